//! The lobby.

use std::time::Duration;

use backend_hub::HubSettings;
use backend_protocol::api::User;
use backend_protocol::live::{ErrorCode, Notice, Request};
use backend_store::accounts::Accounts;
use backend_store::presence::Presence;
use backend_store::username::Username;

use crate::support::{House, Person};

fn user(person: &Person) -> User {
    User { account_id: person.account.clone(), username: person.account.to_string() }
}

fn change(person: &Person, present: bool) -> Notice {
    Notice::LobbyChange { user: user(person), present }
}

fn brisk() -> HubSettings {
    HubSettings {
        presence_refresh: Duration::from_millis(50),
        presence_ttl: Duration::from_millis(400),
        presence_poll: Duration::from_millis(50),
        ..Default::default()
    }
}

#[tokio::test]
async fn the_lobby_is_a_snapshot_followed_by_changes() {
    let house = House::new();
    let (ada, bob, eve) =
        (house.person("ada").await, house.person("bob").await, house.person("eve").await);
    let mut b = bob.online(&house.hub).await;
    b.ok(Request::Lobby { on: true }).await;
    assert_eq!(b.notice().await, Notice::Lobby { users: vec![user(&bob)] });

    let mut a = ada.online(&house.hub).await;
    a.ok(Request::Lobby { on: true }).await;
    assert_eq!(a.notice().await, Notice::Lobby { users: vec![user(&ada), user(&bob)] });
    assert_eq!(b.notice().await, change(&ada, true));

    a.ok(Request::Lobby { on: false }).await;
    assert_eq!(b.notice().await, change(&ada, false));
    let mut e = eve.online(&house.hub).await;
    e.ok(Request::Lobby { on: true }).await;
    assert_eq!(b.notice().await, change(&eve, true));
    e.vanish().await;
    assert_eq!(b.notice().await, change(&eve, false));
    assert_eq!(house.store.lobby().await.unwrap(), [user(&bob)]);
}

#[tokio::test]
async fn the_lobby_is_shared_by_nodes_and_connections() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let other = house.another_hub(HubSettings::default());
    let mut b = bob.online(&other).await;
    b.ok(Request::Lobby { on: true }).await;
    b.notice().await;
    let (mut a1, mut a2) = (ada.online(&house.hub).await, ada.online(&house.hub).await);
    a1.ok(Request::Lobby { on: true }).await;
    a2.ok(Request::Lobby { on: true }).await;
    assert_eq!(b.notice().await, change(&ada, true));
    a1.vanish().await;
    // Ada is still in the lobby with her other connection; she leaves with the last one.
    a2.ok(Request::Lobby { on: false }).await;
    assert_eq!(b.notice().await, change(&ada, false));
}

#[tokio::test]
async fn the_lobby_needs_a_username() {
    let house = House::new();
    let nameless = house.nameless("nameless").await;
    let mut n = nameless.online(&house.hub).await;
    assert_eq!(n.err(Request::Lobby { on: true }).await.0, ErrorCode::UsernameRequired);
    house
        .store
        .claim_username(&nameless.account, &Username::parse("nameless").unwrap())
        .await
        .unwrap();
    n.ok(Request::Lobby { on: true }).await;
    assert_eq!(n.notice().await, Notice::Lobby { users: vec![user(&nameless)] });
}

#[tokio::test]
async fn a_person_on_a_dead_node_leaves_the_lobby() {
    let house = House::with(brisk());
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let other = house.another_hub(brisk());
    let mut b = bob.online(&house.hub).await;
    b.ok(Request::Lobby { on: true }).await;
    assert_eq!(b.notice().await, Notice::Lobby { users: vec![user(&bob)] });
    let mut a = ada.online(&other).await;
    a.ok(Request::Lobby { on: true }).await;
    assert_eq!(b.notice().await, change(&ada, true));
    a.kill().await;
    assert_eq!(b.notice().await, change(&ada, false));
}

#[tokio::test]
async fn a_renamed_person_is_shown_under_the_new_name() {
    let house = House::with(brisk());
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (mut a, mut b) = (ada.online(&house.hub).await, bob.online(&house.hub).await);
    a.ok(Request::Lobby { on: true }).await;
    b.ok(Request::Lobby { on: true }).await;
    b.notice().await;
    house.store.claim_username(&ada.account, &Username::parse("countess").unwrap()).await.unwrap();
    let renamed = User { account_id: ada.account.clone(), username: "countess".into() };
    assert_eq!(b.notice().await, Notice::LobbyChange { user: renamed, present: true });
}
