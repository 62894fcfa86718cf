//! Presence.

use std::time::Duration;

use backend_hub::HubSettings;
use backend_protocol::live::{Notice, Request};

use crate::support::{House, Person};

fn presence(person: &Person, online: bool) -> Notice {
    Notice::Presence { account: person.account.clone(), online }
}

fn watch(people: &[&Person]) -> Request {
    Request::Watch { users: people.iter().map(|person| person.account.clone()).collect() }
}

#[tokio::test]
async fn watching_returns_presence_at_once_and_then_changes() {
    let house = House::new();
    let (ada, bob, eve) =
        (house.person("ada").await, house.person("bob").await, house.person("eve").await);
    let mut a = ada.online(&house.hub).await;
    a.ok(watch(&[&bob, &eve])).await;
    assert_eq!(
        [a.notice().await, a.notice().await],
        [presence(&bob, false), presence(&eve, false)]
    );
    let b = bob.online(&house.hub).await;
    assert_eq!(a.notice().await, presence(&bob, true));
    let second = bob.online(&house.hub).await;
    b.vanish().await;
    second.vanish().await;
    assert_eq!(a.notice().await, presence(&bob, false), "only when the last connection closed");

    a.ok(watch(&[&eve])).await;
    assert_eq!(a.notice().await, presence(&eve, false));
    let _b = bob.online(&house.hub).await;
    let _e = eve.online(&house.hub).await;
    assert_eq!(a.notice().await, presence(&eve, true), "bob is no longer watched");
}

#[tokio::test]
async fn presence_spans_nodes_and_expires_with_a_dead_node() {
    let brisk = HubSettings {
        presence_refresh: Duration::from_millis(50),
        presence_ttl: Duration::from_millis(400),
        presence_poll: Duration::from_millis(50),
        ..Default::default()
    };
    let house = House::with(brisk.clone());
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let other = house.another_hub(brisk);
    let mut a = ada.online(&house.hub).await;
    a.ok(watch(&[&bob])).await;
    assert_eq!(a.notice().await, presence(&bob, false));
    let b = bob.online(&other).await;
    assert_eq!(a.notice().await, presence(&bob, true));
    b.kill().await;
    assert_eq!(a.notice().await, presence(&bob, false));
}
