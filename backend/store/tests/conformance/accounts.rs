//! Who is who.

use std::time::Duration;

use backend_protocol::api::DeviceKeys;
use backend_protocol::limits::MAX_DEVICES;
use backend_store::Retention;
use backend_store::accounts::{Claim, CredentialHash, DeviceChange};
use futures::future::join_all;

use crate::support::{Bed, account, device, eventually, username};

fn credential(n: u8) -> CredentialHash {
    CredentialHash([n; 32])
}

pub(crate) async fn a_credential_opens_its_account_until_it_is_revoked(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let ada = account("ada");
    assert_eq!(store.account_by_credential(&credential(1)).await.unwrap(), None);
    store.create_account(&ada, &credential(1)).await.unwrap();
    store.create_account(&ada, &credential(1)).await.expect("creating again changes nothing");
    let found = store.account_by_credential(&credential(1)).await.unwrap().expect("it opens");
    assert_eq!((found.id, found.username), (ada.clone(), None));
    assert_eq!(store.account_by_credential(&credential(2)).await.unwrap(), None);

    store.revoke_credential(&credential(1)).await.unwrap();
    assert_eq!(store.account_by_credential(&credential(1)).await.unwrap(), None);
    assert!(store.account(&ada).await.unwrap().is_some(), "the account outlives its credential");
}

pub(crate) async fn an_unused_account_expires(bed: &Bed) {
    let store = bed.open(Retention { account_ttl: Duration::from_millis(700), ..Retention::default() }).await;
    let (idle, busy) = (account("idle"), account("busy"));
    store.create_account(&idle, &credential(1)).await.unwrap();
    store.create_account(&busy, &credential(2)).await.unwrap();
    assert_eq!(store.claim_username(&idle, &username("idle")).await.unwrap(), Claim::Claimed);
    eventually("the idle account expires while the busy one lives", async || {
        assert!(store.account_by_credential(&credential(2)).await.unwrap().is_some(), "use renews");
        store.account(&idle).await.unwrap().is_none()
    })
    .await;
    assert_eq!(store.account_by_credential(&credential(1)).await.unwrap(), None);
    assert_eq!(store.account_by_username(&username("idle")).await.unwrap(), None);
    eventually("the name of an expired account is free", async || {
        store.claim_username(&busy, &username("idle")).await.unwrap() == Claim::Claimed
    })
    .await;
    store.sweep().await.unwrap();
    let found = store.account_by_credential(&credential(2)).await.unwrap().expect("it is in use");
    assert_eq!(found.username.as_deref(), Some("idle"));
}

pub(crate) async fn a_taken_username_is_refused_and_so_is_one_that_looks_the_same(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, eve) = (account("ada"), account("eve"));
    store.create_account(&ada, &credential(1)).await.unwrap();
    store.create_account(&eve, &credential(2)).await.unwrap();
    assert_eq!(store.claim_username(&ada, &username("Paypal")).await.unwrap(), Claim::Claimed);
    assert_eq!(store.claim_username(&ada, &username("Paypal")).await.unwrap(), Claim::Claimed, "it is hers");
    for taken in ["Paypal", "paypal", "PAYPAL", "p\u{430}yp\u{430}l", "paypa1"] {
        assert_eq!(store.claim_username(&eve, &username(taken)).await.unwrap(), Claim::Taken, "{taken}");
    }
    let found = store.account_by_username(&username("p\u{430}ypal")).await.unwrap().expect("it looks the same");
    assert_eq!((found.id, found.username.as_deref()), (ada.clone(), Some("Paypal")));
    assert_eq!(store.account(&eve).await.unwrap().unwrap().username, None, "a refusal changes nothing");
    assert_eq!(store.claim_username(&ada, &username("payPal")).await.unwrap(), Claim::Claimed, "another spelling");
    assert_eq!(store.account(&ada).await.unwrap().unwrap().username.as_deref(), Some("payPal"));
}

pub(crate) async fn a_new_name_frees_the_earlier_one(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, bob) = (account("ada"), account("bob"));
    store.create_account(&ada, &credential(1)).await.unwrap();
    store.create_account(&bob, &credential(2)).await.unwrap();
    store.claim_username(&ada, &username("first")).await.unwrap();
    store.claim_username(&ada, &username("second")).await.unwrap();
    assert_eq!(store.account_by_username(&username("first")).await.unwrap(), None);
    assert_eq!(store.claim_username(&bob, &username("first")).await.unwrap(), Claim::Claimed);
    assert_eq!(store.account_by_username(&username("first")).await.unwrap().unwrap().id, bob);
    assert_eq!(store.account_by_username(&username("second")).await.unwrap().unwrap().id, ada);
}

pub(crate) async fn of_many_who_claim_a_name_at_once_one_gets_it(bed: &Bed) {
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
    let winners: Vec<_> = outcomes.iter().filter(|(_, claim)| *claim == Claim::Claimed).collect();
    assert_eq!(winners.len(), 1);
    let found = one.account_by_username(&username("popular")).await.unwrap().unwrap();
    assert_eq!(found.id, winners[0].0);
}

fn keys(name: &str) -> DeviceKeys {
    DeviceKeys { suite: "rsa-aes-1".into(), encryption_key: format!("enc-{name}"), signing_key: format!("sig-{name}") }
}

pub(crate) async fn a_device_keeps_its_keys(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, bob) = (account("ada"), account("bob"));
    store.create_account(&ada, &credential(1)).await.unwrap();
    store.create_account(&bob, &credential(2)).await.unwrap();
    assert_eq!(store.add_device(&ada, &device("z"), &keys("1")).await.unwrap(), DeviceChange::Added);
    assert_eq!(store.add_device(&ada, &device("a"), &keys("2")).await.unwrap(), DeviceChange::Added);
    assert_eq!(store.add_device(&ada, &device("z"), &keys("1")).await.unwrap(), DeviceChange::Unchanged);
    assert_eq!(store.add_device(&ada, &device("z"), &keys("3")).await.unwrap(), DeviceChange::Conflict);
    let devices = store.devices(&ada).await.unwrap();
    assert_eq!(devices.iter().map(|d| d.device.as_str()).collect::<Vec<_>>(), ["z", "a"], "oldest first");
    assert_eq!(devices[0].keys, keys("1"));
    assert!(devices[0].created_at.ends_with('Z'));
    assert_eq!(store.devices(&bob).await.unwrap(), []);

    assert!(!store.remove_device(&bob, &device("z")).await.unwrap(), "it is not his");
    assert!(store.remove_device(&ada, &device("z")).await.unwrap());
    assert!(!store.remove_device(&ada, &device("z")).await.unwrap());
    assert_eq!(store.devices(&ada).await.unwrap().len(), 1);
}

pub(crate) async fn an_account_has_a_bounded_number_of_devices(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let ada = account("ada");
    store.create_account(&ada, &credential(1)).await.unwrap();
    let added = join_all((0..MAX_DEVICES + 4).map(|n| {
        let (store, ada) = (&store, &ada);
        async move { store.add_device(ada, &device(&format!("d{n}")), &keys("k")).await.unwrap() }
    }))
    .await;
    assert_eq!(added.iter().filter(|change| **change == DeviceChange::Added).count(), MAX_DEVICES);
    assert_eq!(added.iter().filter(|change| **change == DeviceChange::TooMany).count(), 4);
    let first = store.devices(&ada).await.unwrap().remove(0).device;
    assert!(store.remove_device(&ada, &first).await.unwrap());
    assert_eq!(store.add_device(&ada, &device("new"), &keys("k")).await.unwrap(), DeviceChange::Added);
}
