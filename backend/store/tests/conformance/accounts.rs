//! Accounts and credentials.

use std::time::Duration;

use backend_store::Retention;
use backend_store::accounts::{Access, Claim, NewAccount, Opening};
use backend_store::allowance::Allowance;
use futures::future::join_all;

use crate::support::{Bed, account, credential, device, eventually, exchange, keys, username};

pub(crate) async fn a_credential_opens_its_account_until_it_is_revoked(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let ada = account("ada");
    assert_eq!(store.access(&credential(1)).await.unwrap(), Access::Unknown);
    store.create_account(&ada, &credential(1)).await.unwrap();
    store.create_account(&ada, &credential(1)).await.expect("creating again changes nothing");
    let found = store.access(&credential(1)).await.unwrap().account().expect("it opens");
    assert_eq!((found.id, found.username), (ada.clone(), None));
    assert_eq!(store.access(&credential(2)).await.unwrap(), Access::Unknown);

    store.revoke_credential(&credential(1)).await.unwrap();
    assert_eq!(store.access(&credential(1)).await.unwrap(), Access::Unknown);
    assert!(store.account(&ada).await.unwrap().is_some(), "the account outlives its credential");
}

pub(crate) async fn an_unused_account_expires(bed: &Bed) {
    let (account_ttl, name_hold) = (Duration::from_millis(1_500), Duration::from_secs(3));
    let store = bed.open(Retention { account_ttl, name_hold, ..Retention::default() }).await;
    let (idle, busy) = (account("idle"), account("busy"));
    store.create_account(&idle, &credential(1)).await.unwrap();
    store.create_account(&busy, &credential(2)).await.unwrap();
    assert_eq!(
        store.claim_username(&idle, &username("idle")).await.unwrap(),
        Claim::Claimed { previous: None }
    );
    assert_eq!(
        store.claim_username(&busy, &username("busy")).await.unwrap(),
        Claim::Claimed { previous: None }
    );
    eventually("the idle account expires while the busy one lives", async || {
        assert!(store.access(&credential(2)).await.unwrap().account().is_some(), "use renews");
        store.account(&idle).await.unwrap().is_none()
    })
    .await;
    assert_eq!(store.access(&credential(1)).await.unwrap(), Access::Unknown);
    assert_eq!(store.account_by_username(&username("idle")).await.unwrap(), None);
    assert_eq!(
        store.claim_username(&busy, &username("idle")).await.unwrap(),
        Claim::HeldBack,
        "before the sweep"
    );
    store.sweep().await.unwrap();
    assert_eq!(
        store.claim_username(&busy, &username("idle")).await.unwrap(),
        Claim::HeldBack,
        "and after it"
    );
    eventually("the hold on the name of an expired account ends", async || {
        assert!(store.access(&credential(2)).await.unwrap().account().is_some(), "use renews");
        matches!(
            store.claim_username(&busy, &username("idle")).await.unwrap(),
            Claim::Claimed { .. }
        )
    })
    .await;
    store.sweep().await.unwrap();
    let found = store.access(&credential(2)).await.unwrap().account().expect("it is in use");
    assert_eq!(found.username.as_deref(), Some("idle"));
}

pub(crate) async fn an_account_that_was_only_opened_expires_soon(bed: &Bed) {
    let store =
        bed.open(Retention { opened_ttl: Duration::from_secs(2), ..Retention::default() }).await;
    let [idle, named, armed, asking] = ["idle", "named", "armed", "asking"].map(account);
    for (n, who) in (1..).zip([&idle, &named, &armed, &asking]) {
        store.create_account(who, &credential(n)).await.unwrap();
    }
    store.claim_username(&named, &username("named")).await.unwrap();
    store.add_device(&armed, &device("d"), &keys("d"), &credential(3)).await.unwrap();
    exchange(&*store, &asking, "s", "Hello?").await;
    eventually("an account that only reads expires", async || {
        store.access(&credential(1)).await.unwrap() == Access::Unknown
    })
    .await;
    assert_eq!(store.account(&idle).await.unwrap(), None);
    for (n, who) in (2..).zip([named, armed, asking]) {
        let kept = store.access(&credential(n)).await.unwrap().account().expect("a write keeps it");
        assert_eq!(kept.id, who);
    }
}

pub(crate) async fn a_new_account_has_its_name_or_is_not_made(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let new = |who: &str, n: u8, name: &str| NewAccount {
        id: account(who),
        credential: credential(n),
        username: Some(username(name)),
        allowance: None,
    };
    assert_eq!(store.open_account(&new("ada", 1, "Ada")).await.unwrap(), Opening::Opened);
    let ada = store.access(&credential(1)).await.unwrap().account().expect("it opens");
    assert_eq!(ada.username.as_deref(), Some("Ada"));
    assert_eq!(store.account_by_username(&username("ada")).await.unwrap(), Some(ada));
    assert_eq!(store.open_account(&new("eve", 2, "ADA")).await.unwrap(), Opening::Taken);
    store.claim_username(&account("ada"), &username("Countess")).await.unwrap();
    assert_eq!(store.open_account(&new("eve", 2, "ada")).await.unwrap(), Opening::HeldBack);
    assert_eq!(store.access(&credential(2)).await.unwrap(), Access::Unknown);
    assert_eq!(store.account(&account("eve")).await.unwrap(), None);
}

pub(crate) async fn concurrent_openings_with_one_name_create_one_account(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let openings = join_all((0..16u8).map(|n| {
        let store = if n % 2 == 0 { &one } else { &other };
        let (id, username) = (account(&format!("a{n}")), Some(username("popular")));
        async move {
            let new = NewAccount { id, credential: credential(n), username, allowance: None };
            store.open_account(&new).await.unwrap()
        }
    }))
    .await;
    assert_eq!(
        openings.iter().filter(|opening| **opening == Opening::Opened).count(),
        1,
        "{openings:?}"
    );
    for (n, opening) in (0..).zip(openings) {
        let found = one.access(&credential(n)).await.unwrap().account();
        assert_eq!(found.is_some(), opening == Opening::Opened);
        assert_eq!(
            one.account(&account(&format!("a{n}"))).await.unwrap(),
            found,
            "nothing is left of the others"
        );
    }
}

pub(crate) async fn accounts_of_one_network_are_limited(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let new = |n: u8, place: &str, name: Option<&str>| NewAccount {
        id: account(&format!("a{n}")),
        credential: credential(n),
        username: name.map(username),
        allowance: Some(Allowance { place: place.into(), burst: 3, per_hour: 60 }),
    };
    assert_eq!(one.open_account(&new(1, "192.0.2.1", Some("Ada"))).await.unwrap(), Opening::Opened);
    assert_eq!(
        other.open_account(&new(2, "192.0.2.1", Some("ada"))).await.unwrap(),
        Opening::Taken,
        "a rejected opening is not counted"
    );
    assert_eq!(other.open_account(&new(2, "192.0.2.1", None)).await.unwrap(), Opening::Opened);
    assert_eq!(one.open_account(&new(3, "192.0.2.1", None)).await.unwrap(), Opening::Opened);
    for store in [&one, &other] {
        let refused = store.open_account(&new(4, "192.0.2.1", Some("Bob"))).await.unwrap();
        let Opening::OverAllowance(wait) = refused else { panic!("{refused:?}") };
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(60), "{wait:?}");
        assert_eq!(store.access(&credential(4)).await.unwrap(), Access::Unknown);
        assert_eq!(store.account(&account("a4")).await.unwrap(), None);
        assert_eq!(store.account_by_username(&username("Bob")).await.unwrap(), None);
    }
    assert_eq!(one.open_account(&new(4, "192.0.2.2", Some("Bob"))).await.unwrap(), Opening::Opened);
    let quick = |n: u8| NewAccount {
        allowance: Some(Allowance { place: "quick".into(), burst: 1, per_hour: 3_600_000 }),
        ..new(n, "", None)
    };
    for n in 5..15 {
        eventually("the bucket refills", async || {
            one.open_account(&quick(n)).await.unwrap() == Opening::Opened
        })
        .await;
    }
}

pub(crate) async fn requests_of_one_network_are_limited_by_kind(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let of = |place: &str| Allowance { place: place.into(), burst: 2, per_hour: 60 };
    assert_eq!(one.spend(&of("guess 192.0.2.1")).await.unwrap(), None);
    assert_eq!(other.spend(&of("guess 192.0.2.1")).await.unwrap(), None);
    for store in [&one, &other] {
        let wait = store.spend(&of("guess 192.0.2.1")).await.unwrap().expect("it is used up");
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(60), "{wait:?}");
    }
    assert_eq!(one.spend(&of("link 192.0.2.1")).await.unwrap(), None, "another kind");
    assert_eq!(one.spend(&of("guess 192.0.2.2")).await.unwrap(), None, "another network");
}
