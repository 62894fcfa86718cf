//! Identities and device logs.

use std::time::Duration;

use backend_protocol::limits::MAX_LOG_ENTRIES;
use backend_store::Retention;
use backend_store::accounts::Access;
use backend_store::identities::{Append, IdentityChange, RecoveryHash};
use futures::future::join_all;

use crate::support::{Bed, account, credential, entry, eventually, identity};

pub(crate) async fn an_identity_is_created_once_and_replaced_by_name(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, bob) = (account("ada"), account("bob"));
    store.create_account(&ada, &credential(1)).await.unwrap();
    store.create_account(&bob, &credential(2)).await.unwrap();
    assert_eq!(store.identity(&ada).await.unwrap(), None);
    let too_soon = store.put_identity(&ada, &identity("b", 2, Some("a"))).await.unwrap();
    assert_eq!(too_soon, IdentityChange::Conflict, "there is nothing to replace");
    for expected in [IdentityChange::Stored, IdentityChange::Unchanged] {
        assert_eq!(store.put_identity(&ada, &identity("a", 1, None)).await.unwrap(), expected);
    }
    let stored = store.identity(&ada).await.unwrap().unwrap();
    assert_eq!((stored.identity_key.as_str(), &stored.log[..]), ("a", &[entry("a-1")][..]));
    assert_eq!(store.identity(&bob).await.unwrap(), None);
    store.append_entry(&ada, 2, &entry("a-2")).await.unwrap();

    for refused in [identity("b", 2, None), identity("b", 2, Some("x")), identity("a", 2, None)] {
        let change = store.put_identity(&ada, &refused).await.unwrap();
        assert_eq!(change, IdentityChange::Conflict);
    }
    assert_eq!(store.identity(&ada).await.unwrap().unwrap().log.len(), 2, "nothing was changed");
    let replaced = store.put_identity(&ada, &identity("b", 2, Some("a"))).await.unwrap();
    assert_eq!(replaced, IdentityChange::Stored);
    let again = store.put_identity(&ada, &identity("b", 2, Some("a"))).await.unwrap();
    assert_eq!(again, IdentityChange::Unchanged, "a retry");
    let stored = store.identity(&ada).await.unwrap().unwrap();
    assert_eq!(
        (stored.identity_key.as_str(), &stored.log[..]),
        ("b", &[entry("b-1")][..]),
        "the log starts over"
    );
}

pub(crate) async fn concurrent_replacements_have_one_winner(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let ada = account("ada");
    one.create_account(&ada, &credential(1)).await.unwrap();
    for (round, replaces) in [None, Some("first")].into_iter().enumerate() {
        let names: Vec<_> = (0..8u8).map(|n| format!("{round}-{n}")).collect();
        let changes = join_all((0..8u8).map(|n| {
            let store = if n % 2 == 0 { &one } else { &other };
            let new = identity(&names[usize::from(n)], 100 * round as u8 + n, replaces);
            let ada = &ada;
            async move { store.put_identity(ada, &new).await.unwrap() }
        }))
        .await;
        let winners: Vec<_> = changes
            .iter()
            .zip(&names)
            .filter(|(change, _)| **change == IdentityChange::Stored)
            .map(|(_, name)| name)
            .collect();
        assert_eq!(winners.len(), 1, "{changes:?}");
        let stored = one.identity(&ada).await.unwrap().unwrap();
        assert_eq!(&stored.identity_key, winners[0]);
        assert_eq!(stored.log, [entry(&format!("{}-1", winners[0]))]);
        let next = identity("first", 50, Some(winners[0]));
        other.put_identity(&ada, &next).await.unwrap();
    }
}

pub(crate) async fn a_log_grows_by_one_version_at_a_time(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let ada = account("ada");
    store.create_account(&ada, &credential(1)).await.unwrap();
    let append = async |version: u64, name: &str| {
        store.append_entry(&ada, version, &entry(name)).await.unwrap()
    };
    assert_eq!(append(1, "x").await, Append::NoIdentity);
    store.put_identity(&ada, &identity("a", 1, None)).await.unwrap();
    for wrong in [0, 1, 3, 4, u64::MAX] {
        assert_eq!(append(wrong, "x").await, Append::Conflict { newest: 1 }, "{wrong}");
    }
    assert_eq!(append(2, "two").await, Append::Appended);
    assert_eq!(append(2, "two").await, Append::Unchanged, "a retry");
    assert_eq!(append(2, "other").await, Append::Conflict { newest: 2 });
    assert_eq!(append(3, "three").await, Append::Appended);
    assert_eq!(append(1, "a-1").await, Append::Unchanged);
    let log = store.identity(&ada).await.unwrap().unwrap().log;
    assert_eq!(log, [entry("a-1"), entry("two"), entry("three")]);
}

pub(crate) async fn concurrent_appends_have_one_winner(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let ada = account("ada");
    one.create_account(&ada, &credential(1)).await.unwrap();
    one.put_identity(&ada, &identity("a", 1, None)).await.unwrap();
    for version in 2..6 {
        let outcomes = join_all((0..8u8).map(|n| {
            let store = if n % 2 == 0 { &one } else { &other };
            let (ada, entry) = (&ada, entry(&format!("{version}-{n}")));
            async move { (n, store.append_entry(ada, version, &entry).await.unwrap()) }
        }))
        .await;
        let mut winners = outcomes.iter().filter(|(_, outcome)| *outcome == Append::Appended);
        let (winner, _) = winners.next().expect("one wins");
        assert_eq!(winners.next(), None, "{outcomes:?}");
        let log = other.identity(&ada).await.unwrap().unwrap().log;
        assert_eq!(log.len() as u64, version);
        assert_eq!(log.last(), Some(&entry(&format!("{version}-{winner}"))));
        let lost = outcomes.iter().filter(|(n, _)| n != winner);
        for (_, outcome) in lost {
            assert_eq!(*outcome, Append::Conflict { newest: version });
        }
    }
}

pub(crate) async fn a_log_is_bounded(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let ada = account("ada");
    store.create_account(&ada, &credential(1)).await.unwrap();
    store.put_identity(&ada, &identity("a", 1, None)).await.unwrap();
    let most = MAX_LOG_ENTRIES as u64;
    for version in 2..=most {
        let appended = store.append_entry(&ada, version, &entry("x")).await.unwrap();
        assert_eq!(appended, Append::Appended, "{version}");
    }
    let full = store.append_entry(&ada, most + 1, &entry("x")).await.unwrap();
    assert_eq!(full, Append::Full);
    let again = store.append_entry(&ada, most, &entry("x")).await.unwrap();
    assert_eq!(again, Append::Unchanged, "a retry of the last one");
    assert_eq!(store.identity(&ada).await.unwrap().unwrap().log.len() as u64, most);
    let replaced = store.put_identity(&ada, &identity("b", 2, Some("a"))).await.unwrap();
    assert_eq!(replaced, IdentityChange::Stored, "a new identity starts over");
}

pub(crate) async fn a_recovery_hash_opens_its_account_until_it_is_replaced(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let ada = account("ada");
    one.create_account(&ada, &credential(1)).await.unwrap();
    one.put_identity(&ada, &identity("a", 1, None)).await.unwrap();
    let unknown = other.recover(&RecoveryHash([9; 32]), &credential(2)).await.unwrap();
    assert!(unknown.is_none());
    assert_eq!(one.access(&credential(2)).await.unwrap(), Access::Unknown);
    let found = other.recover(&RecoveryHash([1; 32]), &credential(2)).await.unwrap().unwrap();
    assert_eq!(found.account.id, ada);
    assert_eq!((found.identity_key.as_str(), found.sealed.as_str()), ("a", "sealed-a"));
    for n in [1, 2] {
        let opened = one.access(&credential(n)).await.unwrap().account().expect("it opens");
        assert_eq!(opened.id, ada, "{n}");
    }
    // An attempt that is rejected reserves nothing.
    one.put_identity(&ada, &identity("b", 3, None)).await.unwrap();
    assert!(one.recover(&RecoveryHash([3; 32]), &credential(3)).await.unwrap().is_none());
    one.put_identity(&ada, &identity("b", 2, Some("a"))).await.unwrap();
    assert!(one.recover(&RecoveryHash([1; 32]), &credential(3)).await.unwrap().is_none());
    assert_eq!(other.access(&credential(3)).await.unwrap(), Access::Unknown);
    let found = one.recover(&RecoveryHash([2; 32]), &credential(3)).await.unwrap().unwrap();
    assert_eq!(found.identity_key, "b");
}

pub(crate) async fn a_recovery_hash_belongs_to_one_account(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, eve) = (account("ada"), account("eve"));
    store.create_account(&ada, &credential(1)).await.unwrap();
    store.create_account(&eve, &credential(2)).await.unwrap();
    store.put_identity(&ada, &identity("a", 1, None)).await.unwrap();
    let taken = store.put_identity(&eve, &identity("e", 1, None)).await.unwrap();
    assert_eq!(taken, IdentityChange::RecoveryTaken);
    assert_eq!(store.identity(&eve).await.unwrap(), None);
    let found = store.recover(&RecoveryHash([1; 32]), &credential(3)).await.unwrap().unwrap();
    assert_eq!(found.account.id, ada);
}

pub(crate) async fn an_identity_lives_as_long_as_its_account(bed: &Bed) {
    let account_ttl = Duration::from_secs(3);
    let store = bed.open(Retention { account_ttl, ..Retention::default() }).await;
    let (idle, busy) = (account("idle"), account("busy"));
    for (n, who) in (1..).zip([&idle, &busy]) {
        store.create_account(who, &credential(n)).await.unwrap();
        let new = identity(who.as_str(), n, None);
        assert_eq!(store.put_identity(who, &new).await.unwrap(), IdentityChange::Stored);
    }
    eventually("the idle account expires while the busy one lives", async || {
        assert!(store.access(&credential(2)).await.unwrap().account().is_some(), "use renews");
        store.account(&idle).await.unwrap().is_none()
    })
    .await;
    assert_eq!(store.identity(&idle).await.unwrap(), None);
    assert!(store.recover(&RecoveryHash([1; 32]), &credential(3)).await.unwrap().is_none());
    store.access(&credential(2)).await.unwrap();
    assert_eq!(store.identity(&busy).await.unwrap().unwrap().log, [entry("busy-1")]);
    assert!(store.recover(&RecoveryHash([2; 32]), &credential(4)).await.unwrap().is_some());
}
