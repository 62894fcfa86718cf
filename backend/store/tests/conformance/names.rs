//! Usernames: claims, and the reservation of names given up.

use std::time::Duration;

use backend_protocol::id::AccountId;
use backend_protocol::live::InboxEvent;
use backend_store::Retention;
use backend_store::accounts::{Claim, MAX_NAMES_GIVEN_UP};
use backend_store::broker::Topic;
use futures::future::join_all;

use crate::support::{
    Bed, account, credential, delivery, device, eventually, keys, username, woken,
};

/// The account had no name before.
fn first() -> Claim {
    Claim::Claimed { previous: None }
}

/// The account had this name before.
fn after(previous: &str) -> Claim {
    Claim::Claimed { previous: Some(previous.to_owned()) }
}

pub(crate) async fn a_taken_username_is_refused_and_so_is_one_that_looks_the_same(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, eve) = (account("ada"), account("eve"));
    store.create_account(&ada, &credential(1)).await.unwrap();
    store.create_account(&eve, &credential(2)).await.unwrap();
    assert_eq!(store.claim_username(&ada, &username("Paypal")).await.unwrap(), first());
    assert_eq!(
        store.claim_username(&ada, &username("Paypal")).await.unwrap(),
        after("Paypal"),
        "she already has it"
    );
    for taken in ["Paypal", "paypal", "PAYPAL", "p\u{430}yp\u{430}l", "paypa1"] {
        assert_eq!(
            store.claim_username(&eve, &username(taken)).await.unwrap(),
            Claim::Taken,
            "{taken}"
        );
    }
    let found = store
        .account_by_username(&username("p\u{430}ypal"))
        .await
        .unwrap()
        .expect("it looks the same");
    assert_eq!((found.id, found.username.as_deref()), (ada.clone(), Some("Paypal")));
    assert_eq!(
        store.account(&eve).await.unwrap().unwrap().username,
        None,
        "a refusal changes nothing"
    );
    assert_eq!(
        store.claim_username(&ada, &username("payPal")).await.unwrap(),
        after("Paypal"),
        "another spelling"
    );
    assert_eq!(store.account(&ada).await.unwrap().unwrap().username.as_deref(), Some("payPal"));
}

pub(crate) async fn a_name_given_up_is_held_back_for_its_account(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let (ada, bob) = (account("ada"), account("bob"));
    one.create_account(&ada, &credential(1)).await.unwrap();
    one.create_account(&bob, &credential(2)).await.unwrap();
    assert_eq!(one.claim_username(&ada, &username("first")).await.unwrap(), first());
    assert_eq!(one.claim_username(&ada, &username("second")).await.unwrap(), after("first"));
    assert_eq!(one.account_by_username(&username("first")).await.unwrap(), None);
    for taken in ["first", "FIRST", "f\u{456}rst"] {
        assert_eq!(
            other.claim_username(&bob, &username(taken)).await.unwrap(),
            Claim::HeldBack,
            "{taken}"
        );
    }
    // Using the account does not restore its previous name.
    one.access(&credential(1)).await.unwrap();
    assert_eq!(other.claim_username(&bob, &username("first")).await.unwrap(), Claim::HeldBack);
    assert_eq!(other.claim_username(&bob, &username("second")).await.unwrap(), Claim::Taken);
    assert_eq!(
        one.account(&bob).await.unwrap().unwrap().username,
        None,
        "a refusal changes nothing"
    );
    assert_eq!(
        other.claim_username(&ada, &username("First")).await.unwrap(),
        after("second"),
        "reserved for this account"
    );
    assert_eq!(one.account_by_username(&username("first")).await.unwrap().unwrap().id, ada);
    assert_eq!(one.claim_username(&bob, &username("first")).await.unwrap(), Claim::Taken);
    assert_eq!(one.claim_username(&bob, &username("second")).await.unwrap(), Claim::HeldBack);
}

pub(crate) async fn a_reserved_name_becomes_free(bed: &Bed) {
    let store =
        bed.open(Retention { name_hold: Duration::from_secs(2), ..Retention::default() }).await;
    let (ada, bob) = (account("ada"), account("bob"));
    store.create_account(&ada, &credential(1)).await.unwrap();
    store.create_account(&bob, &credential(2)).await.unwrap();
    store.claim_username(&ada, &username("first")).await.unwrap();
    store.claim_username(&ada, &username("second")).await.unwrap();
    assert_eq!(store.claim_username(&bob, &username("first")).await.unwrap(), Claim::HeldBack);
    eventually("the hold ends", async || {
        store.claim_username(&bob, &username("first")).await.unwrap() == first()
    })
    .await;
    assert_eq!(store.claim_username(&ada, &username("first")).await.unwrap(), Claim::Taken);
    assert_eq!(store.account_by_username(&username("first")).await.unwrap().unwrap().id, bob);
    assert_eq!(store.account_by_username(&username("second")).await.unwrap().unwrap().id, ada);
}

pub(crate) async fn an_account_holds_back_a_bounded_number_of_names(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, bob) = (account("ada"), account("bob"));
    store.create_account(&ada, &credential(1)).await.unwrap();
    store.create_account(&bob, &credential(2)).await.unwrap();
    for n in 0..=MAX_NAMES_GIVEN_UP {
        let claim = store.claim_username(&ada, &username(&format!("name-{n}-x"))).await.unwrap();
        assert!(matches!(claim, Claim::Claimed { .. }), "{n}: {claim:?}");
    }
    assert_eq!(store.claim_username(&ada, &username("one-more")).await.unwrap(), Claim::TooMany);
    assert_eq!(
        store.claim_username(&bob, &username("one-more")).await.unwrap(),
        first(),
        "it was not reserved"
    );
    let shown = store.account(&ada).await.unwrap().unwrap().username.expect("it keeps its name");
    assert_eq!(shown, format!("name-{MAX_NAMES_GIVEN_UP}-x"));
    assert_eq!(
        store.claim_username(&ada, &username("name-3-x")).await.unwrap(),
        after(&shown),
        "back to a reserved one"
    );
    assert_eq!(
        store.claim_username(&ada, &username("NAME-3-x")).await.unwrap(),
        after("name-3-x"),
        "another spelling"
    );
}

pub(crate) async fn a_rename_is_sent_to_the_accounts_concerned(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(account);
    for (n, who) in (1..).zip([&ada, &bob, &eve]) {
        one.create_account(who, &credential(n)).await.unwrap();
    }
    one.add_device(&bob, &device("b"), &keys("b"), &credential(2)).await.unwrap();
    one.claim_username(&ada, &username("Ada")).await.unwrap();
    assert_eq!(one.inbox(&ada, 0, 10).await.unwrap().head, 0, "it has no device");
    one.deliver(&delivery(&ada, &bob, "m1")).await.unwrap().unwrap();
    one.add_device(&ada, &device("a"), &keys("a"), &credential(1)).await.unwrap();
    let mut wake = other.subscribe(&Topic::Inbox(bob.clone())).await.unwrap();
    one.claim_username(&ada, &username("Countess")).await.unwrap();
    woken(&mut wake).await;
    one.claim_username(&ada, &username("Countess"))
        .await
        .expect("repeating the claim appends nothing");
    let renamed = |previous: Option<&str>, account: &AccountId, name: &str| InboxEvent::Renamed {
        account: account.clone(),
        username: name.into(),
        previous: previous.map(str::to_owned),
    };
    for who in [&ada, &bob] {
        let events: Vec<_> = other
            .inbox(who, 1, 10)
            .await
            .unwrap()
            .events
            .into_iter()
            .map(|(_, event)| event)
            .collect();
        assert_eq!(events, [renamed(Some("Ada"), &ada, "Countess")], "{who}");
    }
    assert_eq!(one.inbox(&eve, 0, 10).await.unwrap().head, 0);
    one.claim_username(&bob, &username("Bob")).await.unwrap();
    let last =
        one.inbox(&ada, 2, 10).await.unwrap().events.pop().expect("a first name is sent, too").1;
    assert_eq!(last, renamed(None, &bob, "Bob"));
}

pub(crate) async fn concurrent_claims_of_one_name_have_one_winner(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let claims = (0..16u8).map(|n| {
        let store = if n % 2 == 0 { &one } else { &other };
        async move {
            let me = account(&format!("a{n}"));
            store.create_account(&me, &credential(n)).await.unwrap();
            (me.clone(), store.claim_username(&me, &username("popular")).await.unwrap())
        }
    });
    let outcomes = join_all(claims).await;
    let winners: Vec<_> = outcomes.iter().filter(|(_, claim)| *claim == first()).collect();
    assert_eq!(winners.len(), 1);
    let found = one.account_by_username(&username("popular")).await.unwrap().unwrap();
    assert_eq!(found.id, winners[0].0);
}
