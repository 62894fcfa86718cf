//! Faults of the store: requests fail, wake-ups get lost; sockets stay open and no message is lost.

use std::sync::Arc;
use std::time::Duration;

use backend_hub::HubSettings;
use backend_protocol::live::{ErrorCode, Notice, Request};
use backend_store::accounts::Accounts;
use backend_store::broker::{Broker, Topic};

use crate::faulty::Faulty;
use crate::support::{House, eventually, message};

fn brisk() -> HubSettings {
    HubSettings { poll: Duration::from_millis(50), ..Default::default() }
}

#[tokio::test]
async fn while_the_store_is_unavailable_requests_fail_temporarily_and_sockets_stay_open() {
    let house = House::new();
    let store = Arc::new(Faulty::new(Arc::clone(&house.store)));
    let hub = house.hub_over(Arc::clone(&store) as _, brisk());
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (mut a, mut b) = (ada.online(&hub).await, bob.online(&hub).await);
    a.send(&bob, "c1").await;
    b.message().await;

    store.set_away(true);
    assert_eq!(a.err(message(&bob, "c2")).await, (ErrorCode::StoreUnavailable, true));
    assert_eq!(a.err(Request::Lobby { on: true }).await, (ErrorCode::StoreUnavailable, true));
    assert_eq!(
        a.err(Request::Watch { users: vec![bob.account.clone()] }).await,
        (ErrorCode::StoreUnavailable, true)
    );
    let mut late = bob.connect(&hub);
    let hello = || Request::Hello { device: bob.device(2), resume: Some(1) };
    assert_eq!(late.err(hello()).await, (ErrorCode::StoreUnavailable, true));

    store.set_away(false);
    assert_eq!(a.send(&bob, "c2").await.seq, 2);
    assert_eq!(b.message().await.1.cid.as_str(), "c2");
    assert_eq!(late.hello(&bob.device(2), Some(1)).await, (2, true));
    assert_eq!(late.message().await.1.cid.as_str(), "c2");
    a.ok(Request::Watch { users: vec![bob.account.clone()] }).await;
    assert_eq!(a.notice().await, Notice::Presence { account: bob.account.clone(), online: true });
}

#[tokio::test]
async fn messages_written_during_an_outage_are_delivered_afterwards() {
    let house = House::new();
    let store = Arc::new(Faulty::new(Arc::clone(&house.store)));
    let hub = house.hub_over(Arc::clone(&store) as _, brisk());
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut b = bob.online(&hub).await;
    // Ada's node reaches the store, Bob's does not: the wake-up arrives, the read fails.
    let mut a = ada.online(&house.hub).await;
    store.set_away(true);
    a.send(&bob, "c1").await;
    store.set_away(false);
    assert_eq!(b.message().await.1.cid.as_str(), "c1");
}

#[tokio::test]
async fn a_message_without_a_wake_up_is_found_by_polling() {
    let house = House::new();
    let store = Arc::new(Faulty::new(Arc::clone(&house.store)));
    let hub = house.hub_over(Arc::clone(&store) as _, brisk());
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    store.set_deaf(true);
    let (mut a, mut b) = (ada.online(&hub).await, bob.online(&hub).await);
    for n in 1..=3 {
        a.send(&bob, &format!("c{n}")).await;
        assert_eq!(b.message().await.0, n);
    }
}

#[tokio::test]
async fn a_closed_subscription_is_opened_again() {
    let house = House::new();
    let store = Arc::new(Faulty::new(Arc::clone(&house.store)));
    let hub = house.hub_over(Arc::clone(&store) as _, brisk());
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    store.set_deaf(true);
    let (mut a, mut b) = (ada.online(&hub).await, bob.online(&hub).await);
    store.set_deaf(false);
    store.hang_up();
    a.send(&bob, "c1").await;
    assert_eq!(b.message().await.1.cid.as_str(), "c1");
    // Typing is never polled for: it arrives only over a working subscription.
    let conversation = backend_protocol::id::ConversationId::between(&ada.account, &bob.account);
    let typing = async {
        loop {
            a.ok(Request::Typing { conversation: conversation.clone() }).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        notice = b.notice() => assert!(matches!(notice, Notice::Typing { .. })),
        () = typing => {}
    }
}

#[tokio::test]
async fn an_outage_of_many_check_intervals_closes_no_socket() {
    let house = House::new();
    let store = Arc::new(Faulty::new(Arc::clone(&house.store)));
    let settings = HubSettings { credential: Duration::from_millis(50), ..brisk() };
    let hub = house.hub_over(Arc::clone(&store) as _, settings);
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut a = ada.online(&hub).await;
    store.set_away(true);
    eventually(async || store.failed("access") >= 10).await;
    assert_eq!(a.err(message(&bob, "c1")).await, (ErrorCode::StoreUnavailable, true));
    store.set_away(false);
    assert_eq!(a.send(&bob, "c1").await.seq, 1);
}

#[tokio::test]
async fn a_revocation_during_an_outage_closes_the_socket_soon_after_it() {
    let house = House::new();
    let store = Arc::new(Faulty::new(Arc::clone(&house.store)));
    // The interval between checks is five minutes: a check that failed is repeated within seconds.
    let hub = house.hub_over(Arc::clone(&store) as _, HubSettings::default());
    let ada = house.person("ada").await;
    let mut a = ada.online(&hub).await;
    store.set_away(true);
    house.store.revoke_credential(&ada.credential()).await.unwrap();
    house.store.publish(&Topic::Revoked(ada.account.clone()), "".into()).await.unwrap();
    eventually(async || store.failed("access") >= 2).await;
    assert_eq!(a.err(Request::Lobby { on: true }).await, (ErrorCode::StoreUnavailable, true));
    store.set_away(false);
    assert_eq!(a.closed().await.0, 4503);
}

#[tokio::test]
async fn waiting_for_a_store_that_hangs_does_not_count_against_the_peer() {
    let house = House::new();
    let store = Arc::new(Faulty::new(Arc::clone(&house.store)));
    // A call takes longer than the peer's deadlines, and less time than passes between two pings.
    let deadline = Duration::from_millis(200);
    let settings = HubSettings {
        credential: Duration::from_millis(50),
        presence_refresh: Duration::from_millis(50),
        ping: deadline * 8,
        hello: deadline,
        pong: deadline,
        write: deadline,
        ..brisk()
    };
    let hub = house.hub_over(Arc::clone(&store) as _, settings);
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut a = ada.online(&hub).await;
    store.set_hang(deadline * 2);
    store.set_away(true);
    for n in 0..3 {
        let refused = a.err(message(&bob, &format!("c{n}"))).await;
        assert_eq!(refused, (ErrorCode::StoreUnavailable, true));
    }
    store.set_away(false);
    a.send(&bob, "c").await;
    a.vanish().await;

    let mut late = bob.connect(&hub);
    store.set_away(true);
    let hello = || Request::Hello { device: bob.device(1), resume: Some(0) };
    assert_eq!(late.err(hello()).await, (ErrorCode::StoreUnavailable, true));
    assert_eq!(late.err(hello()).await, (ErrorCode::StoreUnavailable, true));
    store.set_away(false);
    late.hello(&bob.device(1), Some(0)).await;
    assert_eq!(late.message().await.1.cid.as_str(), "c");
}
