//! Draining.

use std::time::Duration;

use backend_hub::HubSettings;
use backend_protocol::live::ServerFrame;
use tokio::time::timeout;

use crate::support::{House, PATIENCE};

#[tokio::test]
async fn a_drain_sends_bye_to_every_connection_and_waits_for_them() {
    let house = House::new();
    let mut clients = Vec::new();
    for n in 0..20 {
        clients.push(house.person(&format!("p{n}")).await.online(&house.hub).await);
    }
    assert_eq!(house.metric("gatehouse_live_connections", ""), 20.0);
    let drain = tokio::spawn({
        let hub = house.hub.clone();
        async move { hub.drain(Duration::from_millis(200)).await }
    });
    for client in &mut clients {
        let (code, _, frames) = client.closed().await;
        assert_eq!(code, 4000);
        assert!(
            matches!(frames.last(), Some(ServerFrame::Bye { code: 4000, retry_after: 100.. })),
            "{frames:?}"
        );
    }
    timeout(PATIENCE, drain).await.expect("the drain ends").unwrap();
    assert_eq!((house.hub.connections(), house.metric("gatehouse_live_connections", "")), (0, 0.0));
}

#[tokio::test]
async fn a_draining_hub_rejects_new_connections_and_serves_existing_ones() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let other = house.another_hub(HubSettings::default());
    let mut a = ada.online(&house.hub).await;
    let drain = tokio::spawn({
        let hub = house.hub.clone();
        async move { hub.drain(Duration::from_secs(2)).await }
    });
    let mut late = loop {
        let mut late = bob.connect(&house.hub);
        let id = late
            .post(backend_protocol::live::Request::Hello { device: bob.device(1), resume: None })
            .await;
        if !drain.is_finished() && id == 1 {
            break late;
        }
    };
    assert_eq!(late.closed().await.0, 4000);
    let mut b = bob.online(&other).await;
    let (code, ..) = a.closed().await;
    assert_eq!(code, 4000);
    let mut a = ada.online(&other).await;
    b.send(&ada, "c1").await;
    assert_eq!(a.message().await.1.cid.as_str(), "c1");
    timeout(PATIENCE, drain).await.expect("the drain ends").unwrap();
}

#[tokio::test]
async fn a_peer_that_never_closes_does_not_hold_up_the_drain() {
    let settings = HubSettings { linger: Duration::from_millis(50), ..Default::default() };
    let house = House::with(settings);
    let ada = house.person("ada").await;
    let _stubborn = ada.online(&house.hub).await;
    timeout(PATIENCE, house.hub.drain(Duration::ZERO)).await.expect("the drain ends");
    assert_eq!(house.hub.connections(), 0);
}
