//! Devices, their credentials, and removed devices.

use backend_protocol::api::DeviceKeys;
use backend_protocol::limits::MAX_DEVICES;
use backend_store::Retention;
use backend_store::accounts::{Access, CredentialHash, DeviceChange, MAX_DEVICES_REMOVED, Removal};
use futures::future::join_all;

use crate::support::{Bed, account, credential, device, keys, rotated};

pub(crate) async fn a_device_keeps_its_signing_key(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, bob) = (account("ada"), account("bob"));
    store.create_account(&ada, &credential(1)).await.unwrap();
    store.create_account(&bob, &credential(2)).await.unwrap();
    assert_eq!(
        store.add_device(&ada, &device("z"), &keys("1"), &credential(1)).await.unwrap(),
        DeviceChange::Added
    );
    assert_eq!(
        store.add_device(&ada, &device("a"), &keys("2"), &credential(1)).await.unwrap(),
        DeviceChange::Added
    );
    assert_eq!(
        store.add_device(&ada, &device("z"), &keys("1"), &credential(1)).await.unwrap(),
        DeviceChange::Unchanged
    );
    assert_eq!(
        store.add_device(&ada, &device("z"), &keys("3"), &credential(1)).await.unwrap(),
        DeviceChange::Conflict
    );
    let devices = store.devices(&ada).await.unwrap();
    assert_eq!(
        devices.iter().map(|d| d.device.as_str()).collect::<Vec<_>>(),
        ["z", "a"],
        "oldest first"
    );
    assert_eq!(devices[0].keys, keys("1"));
    assert!(devices[0].registered_at.ends_with('Z'));
    assert_eq!(store.devices(&bob).await.unwrap(), []);

    let by_bob =
        store.remove_device(&bob, &device("z"), &credential(2), &credential(9)).await.unwrap();
    assert_eq!(by_bob, Removal::NotFound, "it belongs to Ada");
    assert_eq!(store.devices(&ada).await.unwrap().len(), 2);
}

pub(crate) async fn only_a_higher_generation_replaces_the_keys_of_a_device(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let ada = account("ada");
    store.create_account(&ada, &credential(1)).await.unwrap();
    let laptop = device("laptop");
    let put = async |keys: &DeviceKeys| {
        store.add_device(&ada, &laptop, keys, &credential(1)).await.unwrap()
    };
    assert_eq!(put(&rotated("l", 2)).await, DeviceChange::Added);
    store.add_device(&ada, &device("phone"), &keys("p"), &credential(1)).await.unwrap();
    let first = store.devices(&ada).await.unwrap().remove(0);
    assert_eq!(put(&rotated("l", 10)).await, DeviceChange::Replaced);
    assert_eq!(put(&rotated("l", 10)).await, DeviceChange::Unchanged);

    let same_generation = DeviceKeys { encryption_key: "other".into(), ..rotated("l", 10) };
    let other_signing_key = DeviceKeys { signing_key: "other".into(), ..rotated("l", 11) };
    for refused in [rotated("l", 9), rotated("l", 1), same_generation, other_signing_key] {
        assert_eq!(put(&refused).await, DeviceChange::Conflict, "{refused:?}");
    }
    let listed = store.devices(&ada).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].keys, rotated("l", 10));
    assert_eq!(
        (&listed[0].device, &listed[0].registered_at),
        (&laptop, &first.registered_at),
        "it keeps its place"
    );

    // The largest generation that JSON holds exactly.
    let most = (1 << 53) - 1;
    assert_eq!(put(&rotated("l", most - 1)).await, DeviceChange::Replaced);
    assert_eq!(put(&rotated("l", most)).await, DeviceChange::Replaced);
    assert_eq!(put(&rotated("l", most - 1)).await, DeviceChange::Conflict);
    // The rotation binds the credential, like a registration.
    let own = CredentialHash([7; 32]);
    store.create_account(&ada, &own).await.unwrap();
    store.add_device(&ada, &device("phone"), &rotated("p", 2), &own).await.unwrap();
    store.remove_device(&ada, &device("phone"), &credential(1), &credential(2)).await.unwrap();
    assert_eq!(store.access(&own).await.unwrap(), Access::Removed);
    let back = store.add_device(&ada, &device("phone"), &rotated("p", 3), &credential(2)).await;
    assert_eq!(back.unwrap(), DeviceChange::Removed);
}

pub(crate) async fn concurrent_generations_end_with_the_highest(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let (ada, laptop) = (account("ada"), device("laptop"));
    one.create_account(&ada, &credential(1)).await.unwrap();
    one.add_device(&ada, &laptop, &keys("l"), &credential(1)).await.unwrap();
    let changes = join_all((2..18).map(|generation| {
        let store = if generation % 2 == 0 { &one } else { &other };
        let (ada, laptop) = (&ada, &laptop);
        async move {
            let keys = rotated("l", generation);
            (generation, store.add_device(ada, laptop, &keys, &credential(1)).await.unwrap())
        }
    }))
    .await;
    for (generation, change) in &changes {
        assert!(matches!(change, DeviceChange::Replaced | DeviceChange::Conflict), "{change:?}");
        assert!(*generation != 17 || *change == DeviceChange::Replaced, "the highest wins");
    }
    assert_eq!(other.devices(&ada).await.unwrap()[0].keys, rotated("l", 17));
}

pub(crate) async fn an_account_has_a_bounded_number_of_devices(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let ada = account("ada");
    store.create_account(&ada, &credential(1)).await.unwrap();
    let added = join_all((0..MAX_DEVICES + 4).map(|n| {
        let (store, ada) = (&store, &ada);
        async move {
            store
                .add_device(ada, &device(&format!("d{n}")), &keys("k"), &credential(1))
                .await
                .unwrap()
        }
    }))
    .await;
    assert_eq!(added.iter().filter(|change| **change == DeviceChange::Added).count(), MAX_DEVICES);
    assert_eq!(added.iter().filter(|change| **change == DeviceChange::TooMany).count(), 4);
    let first = store.devices(&ada).await.unwrap().remove(0).device;
    let removal = store.remove_device(&ada, &first, &credential(1), &credential(2)).await.unwrap();
    assert_eq!(removal, Removal::Removed { replaced: true });
    assert_eq!(
        store.add_device(&ada, &device("new"), &keys("k"), &credential(2)).await.unwrap(),
        DeviceChange::Added
    );
}

pub(crate) async fn a_removed_device_never_comes_back(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let (ada, bob) = (account("ada"), account("bob"));
    one.create_account(&ada, &credential(1)).await.unwrap();
    one.create_account(&bob, &credential(2)).await.unwrap();
    // A copied cookie: both devices have the same one.
    for name in ["laptop", "phone"] {
        one.add_device(&ada, &device(name), &keys(name), &credential(1)).await.unwrap();
    }
    let removal =
        other.remove_device(&ada, &device("phone"), &credential(1), &credential(3)).await.unwrap();
    assert_eq!(removal, Removal::Removed { replaced: true });
    assert_eq!(one.access(&credential(1)).await.unwrap(), Access::Removed);
    assert_eq!(
        one.access(&credential(3)).await.unwrap().account().expect("the fresh one opens").id,
        ada
    );
    let left: Vec<_> =
        one.devices(&ada).await.unwrap().into_iter().map(|known| known.device).collect();
    assert_eq!(left, [device("laptop")]);

    // Neither with the old cookie nor with the new one.
    for n in [1, 3] {
        let back =
            one.add_device(&ada, &device("phone"), &keys("phone"), &credential(n)).await.unwrap();
        assert_eq!(back, DeviceChange::Removed, "{n}");
        assert!(!one.use_device(&ada, &device("phone"), &credential(n)).await.unwrap(), "{n}");
    }
    let another =
        one.add_device(&ada, &device("tablet"), &keys("tablet"), &credential(1)).await.unwrap();
    assert_eq!(another, DeviceChange::Removed, "a revoked credential registers nothing");
    assert!(!one.use_device(&ada, &device("laptop"), &credential(1)).await.unwrap());
    let by_removed =
        one.remove_device(&ada, &device("laptop"), &credential(1), &credential(4)).await.unwrap();
    assert_eq!(by_removed, Removal::Refused);
    assert_eq!(one.access(&credential(4)).await.unwrap(), Access::Unknown);
    let again =
        one.remove_device(&ada, &device("phone"), &credential(3), &credential(4)).await.unwrap();
    assert_eq!(again, Removal::NotFound);
    assert!(one.use_device(&ada, &device("laptop"), &credential(3)).await.unwrap());

    // Device ids are scoped to an account.
    let his = one.add_device(&bob, &device("phone"), &keys("phone"), &credential(2)).await.unwrap();
    assert_eq!(his, DeviceChange::Added);

    one.revoke_credential(&credential(1)).await.unwrap();
    assert_eq!(
        one.access(&credential(1)).await.unwrap(),
        Access::Unknown,
        "deleted by signing out"
    );
}

pub(crate) async fn removing_a_device_revokes_the_credentials_it_used(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let ada = account("ada");
    for n in [1, 2, 3] {
        store.create_account(&ada, &credential(n)).await.unwrap();
    }
    store.add_device(&ada, &device("phone"), &keys("p"), &credential(1)).await.unwrap();
    store.add_device(&ada, &device("laptop"), &keys("l"), &credential(3)).await.unwrap();
    let again = store.add_device(&ada, &device("phone"), &keys("p"), &credential(1)).await.unwrap();
    assert_eq!(again, DeviceChange::Unchanged);
    assert!(store.use_device(&ada, &device("phone"), &credential(2)).await.unwrap());
    assert!(store.use_device(&ada, &device("phone"), &credential(2)).await.unwrap());
    assert!(
        !store.use_device(&ada, &device("tablet"), &credential(2)).await.unwrap(),
        "it is not registered"
    );
    let removal =
        store.remove_device(&ada, &device("phone"), &credential(3), &credential(4)).await.unwrap();
    assert_eq!(removal, Removal::Removed { replaced: false });
    for (n, expected) in [(1, None), (2, None), (3, Some(&ada)), (4, None)] {
        let found = store.access(&credential(n)).await.unwrap().account();
        assert_eq!(found.as_ref().map(|account| &account.id), expected, "{n}");
    }
    // The account's last device: signed out, without a fresh credential.
    let own =
        store.remove_device(&ada, &device("laptop"), &credential(3), &credential(4)).await.unwrap();
    assert_eq!(own, Removal::Removed { replaced: false });
    assert_eq!(store.access(&credential(3)).await.unwrap(), Access::Removed);
    assert_eq!(store.access(&credential(4)).await.unwrap(), Access::Unknown);
}

pub(crate) async fn an_account_removes_a_bounded_number_of_devices(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let ada = account("ada");
    store.create_account(&ada, &credential(1)).await.unwrap();
    for n in 0..=MAX_DEVICES_REMOVED {
        // Each with its own credential: credential(1) stays valid.
        let mut hash = [7; 32];
        hash[..8].copy_from_slice(&(n as u64).to_be_bytes());
        let own = CredentialHash(hash);
        let change =
            store.add_device(&ada, &device(&format!("d{n}")), &keys("k"), &own).await.unwrap();
        let expected =
            if n < MAX_DEVICES_REMOVED { DeviceChange::Added } else { DeviceChange::TooMany };
        assert_eq!(change, expected, "{n}");
        store
            .remove_device(&ada, &device(&format!("d{n}")), &credential(1), &credential(2))
            .await
            .unwrap();
    }
}
