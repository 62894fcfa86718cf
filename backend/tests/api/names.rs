//! Usernames: valid ones, notifications of a rename, and the reservation of the old name.

use reqwest::header::SET_COOKIE;
use serde_json::{Value, json};

use crate::socket::{Socket, account, keys, message_to};
use crate::support::{Client, Server, problem};

async fn name(client: &Client, name: &str) {
    let claimed = client.post("/api/me", &json!({"username": name})).await;
    assert_eq!(claimed.status(), 200, "{name}");
    assert_eq!(claimed.json::<Value>().await.expect("JSON")["username"], name);
}

/// A person with a username and a connected device.
async fn person(server: &Server, who: &str) -> (Client, Socket) {
    let client = server.visitor().await;
    name(&client, who).await;
    assert_eq!(client.put(&format!("/api/devices/{who}"), &keys(who)).await.status(), 204);
    let socket = Socket::open(&client, who).await;
    (client, socket)
}

#[tokio::test]
async fn a_rename_is_sent_to_the_account_and_everyone_it_has_a_conversation_with() {
    let server = Server::start().await;
    let (ada, mut a) = person(&server, "Ada").await;
    let (bob, mut b) = person(&server, "Bob").await;
    let (_eve, mut e) = person(&server, "Eve").await;
    a.send_request(&message_to(&account(&bob).await, "c1")).await;
    b.event("message").await;
    name(&ada, "Countess").await;
    let expected = json!({"kind": "renamed", "account": account(&ada).await, "username": "Countess", "previous": "Ada"});
    assert_eq!(b.event("renamed").await, expected);
    assert_eq!(a.event("renamed").await, expected);
    assert_eq!(
        bob.json("/api/conversations").await["conversations"][0]["peer"]["username"],
        "Countess"
    );
    // Eve's first event is caused by herself.
    e.send_request(&message_to(&account(&ada).await, "c1")).await;
    assert_eq!(e.until(|frame| frame["type"] == "event").await["event"]["kind"], "message");
}

#[tokio::test]
async fn the_lobby_shows_a_new_name_at_once() {
    let server = Server::start().await;
    let (ada, mut a) = person(&server, "Ada").await;
    let (_bob, mut b) = person(&server, "Bob").await;
    a.send_request(&json!({"type": "lobby", "on": true})).await;
    a.notice("lobby").await;
    b.send_request(&json!({"type": "lobby", "on": true})).await;
    b.notice("lobby").await;
    name(&ada, "Countess").await;
    let user = json!({"account_id": account(&ada).await, "username": "Countess"});
    for socket in [&mut a, &mut b] {
        let shown = |frame: &Value| frame["notice"]["user"]["username"] == "Countess";
        let change = socket.until(shown).await;
        assert_eq!(
            change["notice"],
            json!({"kind": "lobby_change", "user": user, "present": true})
        );
    }
    let (_eve, mut e) = person(&server, "Eve").await;
    e.send_request(&json!({"type": "lobby", "on": true})).await;
    let everyone = e.notice("lobby").await;
    let names: Vec<_> =
        everyone["users"].as_array().unwrap().iter().map(|user| user["username"].clone()).collect();
    assert_eq!(names, ["Bob", "Countess", "Eve"]);
}

#[tokio::test]
async fn a_name_given_up_stays_reserved_for_its_account() {
    let server = Server::start().await;
    let (bob, mallory) = (server.visitor().await, server.visitor().await);
    name(&bob, "Bob").await;
    name(&bob, "Robert").await;
    for client in [&mallory, &server.stranger()] {
        for taken in ["Bob", "bob", "B\u{43e}b"] {
            let refused = client.post("/api/me", &json!({"username": taken})).await;
            assert!(!refused.headers().contains_key(SET_COOKIE), "{taken}");
            assert_eq!(refused.status(), 409);
            let problem: Value = refused.json().await.unwrap();
            assert_eq!(problem["type"], "username-taken");
            assert!(problem["detail"].as_str().unwrap().contains("given up recently"), "{problem}");
        }
    }
    assert_eq!(problem(mallory.get("/api/users/Bob").await).await.0, 404);
    name(&bob, "Bob").await;
    assert_eq!(mallory.json("/api/users/bob").await["account_id"], account(&bob).await.as_str());
}

#[tokio::test]
async fn an_account_reserves_a_bounded_number_of_names() {
    let server = Server::start().await;
    let mallory = server.visitor().await;
    for n in 0..=10 {
        name(&mallory, &format!("squat-{n}-x")).await;
    }
    let refused = mallory.post("/api/me", &json!({"username": "another"})).await;
    assert_eq!(problem(refused).await, (409, "limit-reached".into()));
}

#[tokio::test]
async fn a_name_that_cannot_be_part_of_a_url_is_rejected_with_a_reason() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    for (bad, expected) in [
        ("a/b", "/ \\ % ? #"),
        ("a\\b", "/ \\ % ? #"),
        ("100%", "/ \\ % ? #"),
        ("who?", "/ \\ % ? #"),
        ("#ada", "/ \\ % ? #"),
        ("..", "dots only between"),
        (".ada", "dots only between"),
        ("ada.", "dots only between"),
    ] {
        let refused = ada.post("/api/me", &json!({"username": bad})).await;
        assert_eq!(refused.status(), 422, "{bad}");
        let problem: Value = refused.json().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(expected), "{bad}: {problem}");
    }
    name(&ada, "ada.l").await;
    assert_eq!(server.visitor().await.json("/api/users/ada.l").await["username"], "ada.l");
}
