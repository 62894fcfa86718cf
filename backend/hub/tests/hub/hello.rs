//! The start of a connection, and frames that violate the protocol.

use std::time::Duration;

use backend_hub::{HubSettings, Incoming};
use backend_protocol::id::DeviceId;
use backend_protocol::live::{ErrorCode, Request, ServerFrame};

use crate::support::House;

#[tokio::test]
async fn a_connection_without_hello_is_closed() {
    let house = House::with(HubSettings { hello: Duration::from_millis(20), ..Default::default() });
    let ada = house.person("ada").await;
    let (code, _, frames) = ada.connect(&house.hub).closed().await;
    assert_eq!((code, frames), (4502, vec![]));
    assert_eq!(house.metric("gatehouse_live_closes_total", "4502"), 1.0);
}

#[tokio::test]
async fn hello_comes_first_and_once() {
    let house = House::new();
    let ada = house.person("ada").await;
    let mut a = ada.connect(&house.hub);
    assert_eq!(a.err(Request::Lobby { on: true }).await, (ErrorCode::OutOfOrder, false));
    assert_eq!(a.hello(&ada.device(1), None).await, (0, false));
    let again = Request::Hello { device: ada.device(1), resume: None };
    assert_eq!(a.err(again).await.0, ErrorCode::OutOfOrder);
}

#[tokio::test]
async fn a_device_must_be_registered_before_hello_succeeds() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut a = ada.connect(&house.hub);
    for device in [DeviceId::parse("other").unwrap(), bob.device(1)] {
        assert_eq!(
            a.err(Request::Hello { device, resume: None }).await.0,
            ErrorCode::UnknownDevice
        );
    }
    a.hello(&ada.device(2), None).await;
}

#[tokio::test]
async fn the_welcome_names_the_account_and_the_limits() {
    let house = House::new();
    let ada = house.person("ada").await;
    let mut a = ada.connect(&house.hub);
    let id = a.post(Request::Hello { device: ada.device(1), resume: Some(0) }).await;
    let ServerFrame::Welcome { account, resume, recovered, limits, .. } = a.answer_to(id).await
    else {
        panic!()
    };
    assert_eq!((account, resume, recovered), (ada.account.clone(), 0, true));
    assert_eq!(
        (limits.max_frame, limits.max_devices, limits.max_watched, limits.ping_seconds),
        (65536, 8, 500, 25)
    );
}

#[tokio::test]
async fn malformed_frames_close_the_connection_with_a_reason() {
    let house = House::new();
    let ada = house.person("ada").await;
    for bad in [
        "",
        "{",
        "[]",
        r#"{"id":1}"#,
        r#"{"id":1,"do":{"type":"sing"}}"#,
        r#"{"id":-1,"do":{"type":"lobby","on":true}}"#,
    ] {
        for after_hello in [false, true] {
            let mut a = ada.connect(&house.hub);
            if after_hello {
                a.hello(&ada.device(1), None).await;
            }
            a.text(bad).await;
            let (code, reason, _) = a.closed().await;
            assert_eq!(code, 4501, "{bad}");
            assert!(!reason.is_empty() && reason.len() <= 123, "{reason}");
        }
    }
    let mut a = ada.online(&house.hub).await;
    a.raw(Incoming::Binary).await;
    assert_eq!(a.closed().await.0, 4501);
    let mut a = ada.online(&house.hub).await;
    a.raw(Incoming::Text(vec![b'"', 0xff, b'"'].into())).await;
    assert_eq!(a.closed().await.0, 4501);
}

#[tokio::test]
async fn an_unanswered_ping_closes_the_connection() {
    let brisk = HubSettings {
        ping: Duration::from_millis(20),
        pong: Duration::from_millis(50),
        ..Default::default()
    };
    let house = House::with(brisk);
    let ada = house.person("ada").await;
    let mut silent = ada.online(&house.hub).await;
    silent.answers_pings = false;
    assert_eq!(silent.closed().await.0, 4012);
}

#[tokio::test]
async fn answered_pings_keep_the_connection_open() {
    let brisk = HubSettings {
        ping: Duration::from_millis(5),
        pong: Duration::from_secs(5),
        rate_burst: 100_000,
        ..Default::default()
    };
    let house = House::with(brisk);
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (mut a, mut b) = (ada.online(&house.hub).await, bob.online(&house.hub).await);
    while house.metric("gatehouse_live_frames_received_total", "pong") < 10.0 {
        // Reading answers the pings.
        a.send(&bob, &format!("c{}", house.metric("gatehouse_live_frames_sent_total", "ping")))
            .await;
        b.ok(Request::Watch { users: vec![] }).await;
        tokio::task::yield_now().await;
    }
}
