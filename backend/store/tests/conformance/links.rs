//! Links between a new device and an account.

use std::time::Duration;

use backend_protocol::id::AccountId;
use backend_protocol::limits::{MAX_DEVICES, MAX_LINK_BYTES, MAX_LINK_MESSAGE, MAX_LINK_MESSAGES};
use backend_protocol::linking::LinkSide;
use backend_store::accounts::{Access, DeviceChange, Removal};
use backend_store::identities::Append;
use backend_store::links::{Approval, LinkClaim, LinkCode, NewApproval, Party, Posting, TokenHash};
use backend_store::{Retention, Store};
use futures::future::join_all;

use crate::support::{Bed, account, code, credential, device, entry, eventually, identity, keys};

const TOKEN: TokenHash = TokenHash([1; 32]);
const WRONG: TokenHash = TokenHash([2; 32]);

/// An account with an identity and a registered device.
async fn person(store: &dyn Store, name: &str, n: u8) -> AccountId {
    let id = account(name);
    store.create_account(&id, &credential(n)).await.unwrap();
    store.put_identity(&id, &identity(name, n, None)).await.unwrap();
    store.add_device(&id, &device("laptop"), &keys("l"), &credential(n)).await.unwrap();
    id
}

/// A link bound to the account.
async fn bound(store: &dyn Store, digits: &str, who: &AccountId) -> LinkCode {
    let code = code(digits);
    assert!(store.open_link(&code, &TOKEN).await.unwrap());
    let posted = store.post_to_link(&code, &Party::Old(who.clone()), "offer").await.unwrap();
    assert_eq!(posted, Posting::Posted);
    code
}

fn approval(who: &AccountId, name: &str, version: u64) -> NewApproval {
    let (account, device) = (who.clone(), device(name));
    NewApproval { account, device, version, entry: entry(&format!("approve-{name}")) }
}

/// Sides and bodies after a number.
async fn read(
    store: &dyn Store,
    code: &LinkCode,
    party: &Party,
    after: u32,
) -> Option<Vec<String>> {
    let found = store.link_messages(code, party, after).await.unwrap()?;
    let shown = |(n, message): (u32, backend_protocol::linking::RelayedMessage)| {
        assert_eq!(message.index, after + 1 + n, "numbers have no gaps");
        let side = if message.from == LinkSide::New { "new" } else { "old" };
        format!("{side}: {}", message.body)
    };
    Some((0..).zip(found.messages).map(shown).collect())
}

pub(crate) async fn a_link_relays_between_a_token_and_one_account(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let (ada, eve) = (person(&*one, "ada", 1).await, person(&*one, "eve", 2).await);
    let (new, ada, eve) = (Party::New(TOKEN), Party::Old(ada), Party::Old(eve));
    let code = code("00000042");
    assert!(!one.is_party(&code, &new).await.unwrap());
    assert_eq!(one.post_to_link(&code, &new, "hello").await.unwrap(), Posting::NotFound);
    assert_eq!(one.post_to_link(&code, &ada, "hello").await.unwrap(), Posting::NotFound);
    assert_eq!(read(&*one, &code, &ada, 0).await, None);
    assert!(one.open_link(&code, &TOKEN).await.unwrap());
    assert!(!other.open_link(&code, &WRONG).await.unwrap(), "the code is in use");

    assert_eq!(one.post_to_link(&code, &new, "hello").await.unwrap(), Posting::Posted);
    for stranger in [&ada, &eve] {
        assert!(!one.is_party(&code, stranger).await.unwrap(), "no account is bound yet");
        let found = read(&*other, &code, stranger, 0).await;
        assert_eq!(found, Some(vec!["new: hello".into()]), "an account needs it to decide");
    }
    let wrong = Party::New(WRONG);
    assert!(!one.is_party(&code, &wrong).await.unwrap());
    assert_eq!(one.post_to_link(&code, &wrong, "x").await.unwrap(), Posting::NotFound);
    assert_eq!(read(&*one, &code, &wrong, 0).await, None);

    assert_eq!(other.post_to_link(&code, &ada, "offer — ö").await.unwrap(), Posting::Posted);
    assert_eq!(one.post_to_link(&code, &eve, "x").await.unwrap(), Posting::NotFound);
    assert_eq!(read(&*one, &code, &eve, 0).await, None, "bound to Ada");
    assert!(!one.is_party(&code, &eve).await.unwrap());
    assert_eq!(one.post_to_link(&code, &new, "").await.unwrap(), Posting::Posted);
    for party in [&new, &ada] {
        assert!(other.is_party(&code, party).await.unwrap());
        let all = ["new: hello", "old: offer — ö", "new: "].map(str::to_owned);
        assert_eq!(read(&*one, &code, party, 0).await, Some(all.to_vec()));
        assert_eq!(read(&*other, &code, party, 1).await, Some(all[1..].to_vec()));
        assert_eq!(read(&*one, &code, party, 3).await, Some(vec![]));
        assert_eq!(read(&*one, &code, party, u32::MAX).await, Some(vec![]));
    }
}

pub(crate) async fn a_link_has_bounded_messages_and_bytes(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let new = Party::New(TOKEN);
    let (many, large) = (code("00000001"), code("00000002"));
    one.open_link(&many, &TOKEN).await.unwrap();
    let posted = join_all((0..MAX_LINK_MESSAGES + 4).map(|n| {
        let store = if n % 2 == 0 { &one } else { &other };
        let (many, new) = (&many, &new);
        async move { store.post_to_link(many, new, "x").await.unwrap() }
    }))
    .await;
    let full = posted.iter().filter(|outcome| **outcome == Posting::Full).count();
    assert_eq!(full, 4, "{posted:?}");
    let kept = read(&*one, &many, &new, 0).await.unwrap();
    assert_eq!(kept.len(), MAX_LINK_MESSAGES);

    one.open_link(&large, &TOKEN).await.unwrap();
    let body = "ö".repeat(MAX_LINK_MESSAGE / 2);
    for _ in 0..MAX_LINK_BYTES / MAX_LINK_MESSAGE {
        assert_eq!(one.post_to_link(&large, &new, &body).await.unwrap(), Posting::Posted);
    }
    assert_eq!(other.post_to_link(&large, &new, &body).await.unwrap(), Posting::Full);
    let rest = "x".repeat(MAX_LINK_BYTES % MAX_LINK_MESSAGE);
    assert_eq!(other.post_to_link(&large, &new, &rest).await.unwrap(), Posting::Posted);
    assert_eq!(one.post_to_link(&large, &new, "x").await.unwrap(), Posting::Full);
}

pub(crate) async fn an_approval_is_one_step_with_its_log_entry(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let ada = person(&*one, "ada", 1).await;
    let code = bound(&*one, "00000003", &ada).await;
    let log = async || one.identity(&ada).await.unwrap().unwrap().log;
    let approved = async || {
        let party = Party::New(TOKEN);
        other.link_messages(&code, &party, 0).await.unwrap().unwrap().approved
    };
    for version in [0, 1, 3] {
        let refused = one.approve_link(&code, &approval(&ada, "phone", version)).await.unwrap();
        assert_eq!(refused, Approval::Rejected(Append::Conflict { newest: 1 }), "{version}");
    }
    assert!(!approved().await);
    assert_eq!(log().await.len(), 1);
    for _again in 0..2 {
        let done = other.approve_link(&code, &approval(&ada, "phone", 2)).await.unwrap();
        assert_eq!(done, Approval::Approved);
        assert!(approved().await);
        assert_eq!(log().await, [entry("ada-1"), entry("approve-phone")]);
    }
    // The log grew, and the approval is repeated: still the same entry.
    one.append_entry(&ada, 3, &entry("x")).await.unwrap();
    let again = one.approve_link(&code, &approval(&ada, "phone", 2)).await.unwrap();
    assert_eq!(again, Approval::Approved);
    assert_eq!(log().await.len(), 3);
}

pub(crate) async fn an_approval_is_for_one_device_of_the_bound_account(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, eve) = (person(&*store, "ada", 1).await, person(&*store, "eve", 2).await);
    let approve = async |code: &LinkCode, who: &AccountId, name: &str, version: u64| {
        store.approve_link(code, &approval(who, name, version)).await.unwrap()
    };
    let unknown = code("00000009");
    assert_eq!(approve(&unknown, &ada, "phone", 2).await, Approval::NotFound);
    let open = code("00000004");
    store.open_link(&open, &TOKEN).await.unwrap();
    assert_eq!(approve(&open, &ada, "phone", 2).await, Approval::Unbound);
    let link = bound(&*store, "00000005", &ada).await;
    assert_eq!(approve(&link, &eve, "phone", 2).await, Approval::NotFound, "bound to Ada");
    assert_eq!(store.identity(&eve).await.unwrap().unwrap().log.len(), 1);
    assert_eq!(approve(&link, &ada, "phone", 2).await, Approval::Approved);
    assert_eq!(approve(&link, &ada, "tablet", 3).await, Approval::OtherDevice);
    assert_eq!(store.identity(&ada).await.unwrap().unwrap().log.len(), 2);

    // Without an identity there is no log to approve in.
    let bob = account("bob");
    store.create_account(&bob, &credential(3)).await.unwrap();
    let his = bound(&*store, "00000006", &bob).await;
    let refused = approve(&his, &bob, "phone", 1).await;
    assert_eq!(refused, Approval::Rejected(Append::NoIdentity));

    for n in 1..MAX_DEVICES {
        let name = device(&format!("d{n}"));
        store.add_device(&ada, &name, &keys("k"), &credential(1)).await.unwrap();
    }
    let ninth = bound(&*store, "00000007", &ada).await;
    assert_eq!(approve(&ninth, &ada, "ninth", 3).await, Approval::TooMany);
    assert_eq!(approve(&link, &ada, "phone", 2).await, Approval::Approved, "a repeated one");
    assert_eq!(store.identity(&ada).await.unwrap().unwrap().log.len(), 2);
}

pub(crate) async fn a_claim_needs_the_token_and_the_approval_and_works_once(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let ada = person(&*one, "ada", 1).await;
    one.create_account(&account("bob"), &credential(8)).await.unwrap();
    let code = bound(&*one, "00000010", &ada).await;
    let claim = async |token: &TokenHash, n: u8| {
        let claimed = other.claim_link(&code, token, &credential(n)).await.unwrap();
        let opens = one.access(&credential(n)).await.unwrap().account().is_some();
        assert_eq!(opens, matches!(claimed, LinkClaim::Claimed(_)), "{claimed:?}");
        claimed
    };
    assert_eq!(claim(&TOKEN, 10).await, LinkClaim::NotApproved);
    one.approve_link(&code, &approval(&ada, "phone", 2)).await.unwrap();
    assert_eq!(claim(&WRONG, 10).await, LinkClaim::NotFound);
    let LinkClaim::Claimed(found) = claim(&TOKEN, 10).await else { panic!("it was approved") };
    assert_eq!(found.id, ada);
    assert_eq!(claim(&TOKEN, 11).await, LinkClaim::ClaimedBefore);
    assert_eq!(claim(&WRONG, 11).await, LinkClaim::NotFound);

    // The device is approved, not registered: it connects after its registration.
    assert!(!one.use_device(&ada, &device("phone"), &credential(10)).await.unwrap());
    assert_eq!(one.devices(&ada).await.unwrap().len(), 1);
    let added = one.add_device(&ada, &device("phone"), &keys("p"), &credential(10)).await.unwrap();
    assert_eq!(added, DeviceChange::Added);
    assert!(other.use_device(&ada, &device("phone"), &credential(10)).await.unwrap());
    // The link still relays: the old device sends the history.
    let posted = one.post_to_link(&code, &Party::Old(ada.clone()), "history").await.unwrap();
    assert_eq!(posted, Posting::Posted);
    assert_eq!(read(&*other, &code, &Party::New(TOKEN), 1).await.unwrap(), ["old: history"]);

    let removal =
        one.remove_device(&ada, &device("phone"), &credential(1), &credential(12)).await.unwrap();
    assert_eq!(removal, Removal::Removed { replaced: false });
    assert_eq!(other.access(&credential(10)).await.unwrap(), Access::Removed);
    assert!(other.access(&credential(1)).await.unwrap().account().is_some());
}

pub(crate) async fn concurrent_claims_have_one_winner(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let ada = person(&*one, "ada", 1).await;
    let code = bound(&*one, "00000011", &ada).await;
    one.approve_link(&code, &approval(&ada, "phone", 2)).await.unwrap();
    let claims = join_all((10..18u8).map(|n| {
        let store = if n % 2 == 0 { &one } else { &other };
        let code = &code;
        async move { (n, store.claim_link(code, &TOKEN, &credential(n)).await.unwrap()) }
    }))
    .await;
    let won = |claim: &LinkClaim| matches!(claim, LinkClaim::Claimed(_));
    assert_eq!(claims.iter().filter(|(_, claim)| won(claim)).count(), 1, "{claims:?}");
    for (n, claim) in &claims {
        let opens = other.access(&credential(*n)).await.unwrap().account().is_some();
        assert_eq!(opens, won(claim), "{n}: {claim:?}");
        assert!(won(claim) || *claim == LinkClaim::ClaimedBefore);
    }
}

pub(crate) async fn a_removed_device_never_comes_back_by_a_link(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let ada = person(&*store, "ada", 1).await;
    store.add_device(&ada, &device("phone"), &keys("p"), &credential(1)).await.unwrap();
    let removed = store.remove_device(&ada, &device("phone"), &credential(1), &credential(2)).await;
    assert_eq!(removed.unwrap(), Removal::Removed { replaced: true });
    let code = bound(&*store, "00000012", &ada).await;
    let refused = store.approve_link(&code, &approval(&ada, "phone", 2)).await.unwrap();
    assert_eq!(refused, Approval::Removed);
    assert_eq!(store.identity(&ada).await.unwrap().unwrap().log.len(), 1);
    let claim = store.claim_link(&code, &TOKEN, &credential(10)).await.unwrap();
    assert_eq!(claim, LinkClaim::NotApproved);
    assert_eq!(store.access(&credential(10)).await.unwrap(), Access::Unknown);

    // Approved, and removed before it claims the link.
    let late = bound(&*store, "00000013", &ada).await;
    let approved = store.approve_link(&late, &approval(&ada, "tablet", 2)).await.unwrap();
    assert_eq!(approved, Approval::Approved);
    let removal =
        store.remove_device(&ada, &device("tablet"), &credential(2), &credential(3)).await.unwrap();
    assert_eq!(removal, Removal::Removed { replaced: false });
    let claim = store.claim_link(&late, &TOKEN, &credential(11)).await.unwrap();
    assert_eq!(claim, LinkClaim::Removed);
    assert!(store.access(&credential(11)).await.unwrap().account().is_none());
    let again = store.approve_link(&late, &approval(&ada, "tablet", 2)).await.unwrap();
    assert_eq!(again, Approval::Removed);
    let back = store.add_device(&ada, &device("tablet"), &keys("t"), &credential(2)).await.unwrap();
    assert_eq!(back, DeviceChange::Removed);
}

pub(crate) async fn removing_an_approved_device_revokes_what_it_claimed(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let ada = person(&*store, "ada", 1).await;
    let code = bound(&*store, "00000014", &ada).await;
    store.approve_link(&code, &approval(&ada, "phone", 2)).await.unwrap();
    let claim = store.claim_link(&code, &TOKEN, &credential(10)).await.unwrap();
    assert!(matches!(claim, LinkClaim::Claimed(_)), "{claim:?}");
    // Claimed and not registered: its credential is bound to it nevertheless.
    let removal =
        store.remove_device(&ada, &device("phone"), &credential(1), &credential(2)).await.unwrap();
    assert_eq!(removal, Removal::Removed { replaced: false });
    assert_eq!(store.access(&credential(10)).await.unwrap(), Access::Removed);
    let back = store.add_device(&ada, &device("other"), &keys("p"), &credential(10)).await.unwrap();
    assert_eq!(back, DeviceChange::Removed, "a revoked credential registers nothing");
    let again =
        store.remove_device(&ada, &device("phone"), &credential(1), &credential(2)).await.unwrap();
    assert_eq!(again, Removal::NotFound);
    assert!(store.access(&credential(1)).await.unwrap().account().is_some());
}

pub(crate) async fn a_link_expires(bed: &Bed) {
    let link_ttl = Duration::from_secs(3);
    let store = bed.open(Retention { link_ttl, ..Retention::default() }).await;
    let ada = person(&*store, "ada", 1).await;
    let code = bound(&*store, "00000015", &ada).await;
    let new = Party::New(TOKEN);
    store.post_to_link(&code, &new, "hello").await.unwrap();
    eventually("the link expires, used or not", async || {
        store.post_to_link(&code, &new, "more").await.unwrap() == Posting::NotFound
    })
    .await;
    assert_eq!(read(&*store, &code, &new, 0).await, None);
    assert!(!store.is_party(&code, &new).await.unwrap());
    let approved = store.approve_link(&code, &approval(&ada, "phone", 2)).await.unwrap();
    assert_eq!(approved, Approval::NotFound);
    let claim = store.claim_link(&code, &TOKEN, &credential(9)).await.unwrap();
    assert_eq!(claim, LinkClaim::NotFound);
    // The code can be used again, before and after the sweep, and shows nothing of the first link.
    assert!(store.open_link(&code, &WRONG).await.unwrap());
    assert_eq!(read(&*store, &code, &Party::New(WRONG), 0).await, Some(vec![]));
    eventually("it expires again", async || {
        !store.is_party(&code, &Party::New(WRONG)).await.unwrap()
    })
    .await;
    store.sweep().await.unwrap();
    assert!(store.open_link(&code, &TOKEN).await.unwrap());
}
