//! Limits per account.

use std::time::Duration;

use backend_hub::HubSettings;
use backend_protocol::live::{ErrorCode, Request, ServerFrame};

use crate::support::House;

#[tokio::test]
async fn an_account_over_its_rate_is_rejected_until_retry_after() {
    let settings = HubSettings {
        rate_burst: 5,
        rate_per_second: 100,
        rate_abuse: 1_000,
        ..Default::default()
    };
    let house = House::with(settings);
    let ada = house.person("ada").await;
    let mut a = ada.online(&house.hub).await;
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(a.post(Request::Watch { users: vec![] }).await);
    }
    let mut wait = None;
    for id in ids {
        if let ServerFrame::Err { code, temporary, retry_after, .. } = a.answer_to(id).await {
            assert_eq!((code, temporary), (ErrorCode::RateLimited, true));
            wait = retry_after;
        }
    }
    let wait = wait.expect("the last ones were rejected");
    tokio::time::sleep(Duration::from_secs(wait.into())).await;
    a.ok(Request::Watch { users: vec![] }).await;
}

#[tokio::test]
async fn abuse_closes_the_connection_and_reconnecting_does_not_help() {
    let settings =
        HubSettings { rate_burst: 5, rate_per_second: 1, rate_abuse: 20, ..Default::default() };
    let house = House::with(settings);
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut a = ada.online(&house.hub).await;
    for _ in 0..40 {
        a.post(Request::Watch { users: vec![] }).await;
    }
    assert_eq!(a.closed().await.0, 4013);
    assert_eq!(
        ada.connect(&house.hub)
            .with_request(Request::Watch { users: vec![] })
            .await
            .closed()
            .await
            .0,
        4013
    );
    bob.online(&house.hub).await;
}

#[tokio::test]
async fn an_account_has_a_bounded_number_of_connections() {
    let house = House::with(HubSettings { connections_per_account: 2, ..Default::default() });
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let first = ada.online(&house.hub).await;
    let _second = ada.connect(&house.hub);
    let mut third = ada.connect(&house.hub);
    assert_eq!(third.closed().await.0, 4509);
    bob.online(&house.hub).await;
    first.vanish().await;
    ada.online(&house.hub).await;
}
