//! Removing a device closes its connections; other devices with the same cookie reconnect with a
//! new one.

use std::sync::Arc;
use std::time::Duration;

use backend_hub::HubSettings;
use backend_protocol::live::{ErrorCode, InboxEvent, Request, ServerFrame};
use backend_store::accounts::{Accounts, CredentialHash, Removal};
use backend_store::broker::{Broker, Topic};
use backend_store::mailboxes::Mailboxes;

use crate::faulty::Faulty;
use crate::support::{Client, House, Person};

/// Removes Ada's first device on request of another device with the same credential.
async fn remove_first(house: &House, ada: &Person) -> CredentialHash {
    let fresh = CredentialHash([9; 32]);
    let removal = house
        .store
        .remove_device(&ada.account, &ada.device(1), &ada.credential(), &fresh)
        .await
        .unwrap();
    assert_eq!(removal, Removal::Removed { replaced: true });
    fresh
}

#[tokio::test]
async fn a_removed_device_is_signed_out_and_the_others_reconnect_with_a_new_cookie() {
    let house = House::new();
    let ada = house.person("ada").await;
    let mut gone = ada.online(&house.hub).await;
    let mut stays = ada.connect(&house.hub);
    stays.hello(&ada.device(2), None).await;
    let fresh = remove_first(&house, &ada).await;
    house.store.publish(&Topic::Revoked(ada.account.clone()), "".into()).await.unwrap();
    assert_eq!(gone.closed().await.0, 4503);
    let (code, _, frames) = stays.closed().await;
    assert_eq!(code, 4014);
    let Some(ServerFrame::Bye { code: 4014, retry_after }) = frames.last() else {
        panic!("{frames:?}")
    };
    assert!(*retry_after >= 1_000, "the new cookie is still in flight: {retry_after}");
    let mut again = Client::with(&house.hub, &ada, fresh, 1024);
    again.hello(&ada.device(2), None).await;
    let mut old = ada.connect(&house.hub);
    assert_eq!(
        old.err(Request::Hello { device: ada.device(2), resume: None }).await.0,
        ErrorCode::UnknownDevice
    );
}

#[tokio::test]
async fn a_removal_without_a_wake_up_is_found_by_polling() {
    let house =
        House::with(HubSettings { credential: Duration::from_millis(50), ..Default::default() });
    let ada = house.person("ada").await;
    let mut gone = ada.online(&house.hub).await;
    let mut stays = ada.connect(&house.hub);
    stays.hello(&ada.device(2), None).await;
    remove_first(&house, &ada).await;
    assert_eq!(gone.closed().await.0, 4503);
    assert_eq!(stays.closed().await.0, 4014);
}

#[tokio::test]
async fn a_removal_is_found_in_the_inbox_when_wake_ups_are_lost() {
    let house = House::new();
    let store = Arc::new(Faulty::new(Arc::clone(&house.store)));
    let settings = HubSettings { poll: Duration::from_millis(50), ..Default::default() };
    let hub = house.hub_over(Arc::clone(&store) as _, settings);
    let ada = house.person("ada").await;
    store.set_deaf(true);
    let mut gone = ada.online(&hub).await;
    let mut stays = ada.connect(&hub);
    stays.hello(&ada.device(2), None).await;
    remove_first(&house, &ada).await;
    let event = InboxEvent::KeyChange { account: ada.account.clone() };
    house.store.append_event(&ada.account, &event).await.unwrap();
    assert_eq!(gone.closed().await.0, 4503);
    assert_eq!(stays.closed().await.0, 4014);
}

#[tokio::test]
async fn a_new_device_of_the_account_closes_no_connection() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut a = ada.online(&house.hub).await;
    let event = InboxEvent::KeyChange { account: ada.account.clone() };
    house.store.append_event(&ada.account, &event).await.unwrap();
    assert_eq!(a.event().await.1, event);
    a.send(&bob, "c1").await;
}
