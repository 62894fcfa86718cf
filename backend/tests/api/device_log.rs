//! The account's identity and its device log.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::socket::{SIGNATURE, Socket, account, keys, message_to};
use crate::support::{Client, Server, problem};

/// 32 bytes, base64url, that differ by their first character.
pub(crate) fn bytes32(first: char) -> String {
    format!("{first}{}", "A".repeat(42))
}

pub(crate) fn entry(name: &str) -> Value {
    json!({"entry": URL_SAFE_NO_PAD.encode(name), "signature": SIGNATURE})
}

/// A first identity; its key starts with `key`, its recovery hash with `recovery`.
pub(crate) fn identity(key: char, recovery: char) -> Value {
    json!({
        "identity_key": bytes32(key), "sealed": "c2VhbGVk", "recovery": bytes32(recovery),
        "entry": entry(&format!("{key}1")),
    })
}

/// The identity key and the log of an account.
pub(crate) async fn log_of(reader: &Client, account: &str) -> (Value, Value) {
    let mut list = reader.json(&format!("/api/accounts/{account}/devices")).await;
    (list["identity_key"].take(), list["log"].take())
}

fn append(version: u64, name: &str) -> Value {
    json!({"version": version, "entry": entry(name)})
}

#[tokio::test]
async fn an_identity_starts_the_log_that_everyone_reads() {
    let server = Server::start().await;
    let (ada, bob) = (server.visitor().await, server.visitor().await);
    let ada_id = account(&ada).await;
    assert_eq!(log_of(&bob, &ada_id).await, (Value::Null, json!([])));
    for _again in 0..2 {
        assert_eq!(ada.put("/api/identity", &identity('a', 'r')).await.status(), 204);
        assert_eq!(ada.post("/api/devices/log", &append(2, "2")).await.status(), 204);
    }
    assert_eq!(ada.post("/api/devices/log", &append(3, "3")).await.status(), 204);
    let expected = (json!(bytes32('a')), json!([entry("a1"), entry("2"), entry("3")]));
    assert_eq!(log_of(&bob, &ada_id).await, expected);
    assert_eq!(log_of(&bob, &account(&bob).await).await.0, Value::Null, "only hers");
    let list = bob.json(&format!("/api/accounts/{ada_id}/devices")).await.to_string();
    assert!(!list.contains("c2VhbGVk") && !list.contains(&bytes32('r')), "no secret: {list}");
}

#[tokio::test]
async fn an_identity_is_replaced_only_by_name() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let ada_id = account(&ada).await;
    let replacing = |key: char, replaces: char| {
        let mut new = identity(key, key);
        new["replaces"] = json!(bytes32(replaces));
        new
    };
    let conflict = || (409, "conflict".to_owned());
    let early = ada.put("/api/identity", &replacing('b', 'a')).await;
    assert_eq!(problem(early).await, conflict());
    assert_eq!(ada.put("/api/identity", &identity('a', 'a')).await.status(), 204);
    ada.post("/api/devices/log", &append(2, "2")).await;
    for refused in [identity('b', 'b'), replacing('b', 'x')] {
        assert_eq!(problem(ada.put("/api/identity", &refused).await).await, conflict());
    }
    let same = ada.put("/api/identity", &replacing('a', 'a')).await;
    assert_eq!(problem(same).await, (422, "invalid-value".into()));
    assert_eq!(ada.put("/api/identity", &replacing('b', 'a')).await.status(), 204);
    assert_eq!(log_of(&ada, &ada_id).await, (json!(bytes32('b')), json!([entry("b1")])));
}

#[tokio::test]
async fn a_recovery_token_belongs_to_one_account() {
    let server = Server::start().await;
    let (ada, eve) = (server.visitor().await, server.visitor().await);
    ada.put("/api/identity", &identity('a', 'r')).await;
    let taken = eve.put("/api/identity", &identity('e', 'r')).await;
    assert_eq!(problem(taken).await, (422, "invalid-value".into()));
}

#[tokio::test]
async fn an_entry_needs_the_next_version() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let refused = ada.post("/api/devices/log", &append(1, "1")).await;
    assert_eq!(problem(refused).await, (409, "conflict".into()), "no identity");
    ada.put("/api/identity", &identity('a', 'r')).await;
    for wrong in [0, 1, 3, u64::MAX] {
        let refused = ada.post("/api/devices/log", &append(wrong, "x")).await;
        assert_eq!(refused.status(), 409, "{wrong}");
        let problem = refused.json::<Value>().await.unwrap();
        assert_eq!(problem["type"], "conflict");
        assert!(problem["detail"].as_str().unwrap().contains("Expected version 2"), "{problem}");
    }
    let (one, other) = (append(2, "one"), append(2, "other"));
    let (first, second) =
        tokio::join!(ada.post("/api/devices/log", &one), ada.post("/api/devices/log", &other));
    let mut both = [first.status().as_u16(), second.status().as_u16()];
    both.sort_unstable();
    assert_eq!(both, [204, 409], "one of two concurrent entries wins");
}

#[tokio::test]
async fn sizes_and_encodings_are_checked() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let large = "A".repeat(1024 * 4 / 3 + 2);
    for (field, bad) in [
        ("identity_key", json!("c2hvcnQ")),
        ("identity_key", json!(format!("{}=", bytes32('a')))),
        ("identity_key", json!("A".repeat(44))),
        ("sealed", json!("")),
        ("sealed", json!(large)),
        ("sealed", json!("no/base64")),
        ("recovery", json!(bytes32('a') + "A")),
        // 43 characters of which the last has bits beyond 32 bytes.
        ("recovery", json!(format!("{}B", "A".repeat(42)))),
        ("replaces", json!("x")),
        ("entry", json!({"entry": "", "signature": SIGNATURE})),
        ("entry", json!({"entry": large, "signature": SIGNATURE})),
        ("entry", json!({"entry": "e30", "signature": "c2ln"})),
        ("entry", json!({"entry": "e30", "signature": SIGNATURE, "more": 1})),
    ] {
        let mut new = identity('a', 'r');
        new[field] = bad;
        let refused = ada.put("/api/identity", &new).await;
        assert_eq!(refused.status(), 422, "{new}");
        let problem = refused.json::<Value>().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(field), "{problem}");
    }
    let full = json!({"entry": "A".repeat(1024 * 4 / 3 + 1), "signature": SIGNATURE});
    let mut largest = identity('a', 'r');
    largest["entry"] = full.clone();
    largest["sealed"] = full["entry"].clone();
    assert_eq!(ada.put("/api/identity", &largest).await.status(), 204);
    let bad = json!({"version": 2, "entry": {"entry": "a b", "signature": SIGNATURE}});
    let refused = ada.post("/api/devices/log", &bad).await;
    assert_eq!(problem(refused).await, (422, "invalid-value".into()));
    let anonymous = server.stranger().put("/api/identity", &identity('a', 'r')).await;
    assert_eq!(problem(anonymous).await, (401, "unauthenticated".into()));
}

#[tokio::test]
async fn a_change_of_the_log_is_sent_to_the_account_and_its_contacts() {
    let server = Server::start().await;
    let (ada, bob) = (server.visitor().await, server.visitor().await);
    let ada_id = account(&ada).await;
    ada.put("/api/devices/a1", &keys("a1")).await;
    bob.put("/api/devices/b1", &keys("b1")).await;
    let mut b = Socket::open(&bob, "b1").await;
    b.send_request(&message_to(&ada_id, "c1")).await;
    b.event("message").await;
    let mut a = Socket::open(&ada, "a1").await;
    ada.put("/api/identity", &identity('a', 'r')).await;
    for socket in [&mut a, &mut b] {
        assert_eq!(socket.event("key_change").await["account"], ada_id.as_str());
    }
    ada.post("/api/devices/log", &append(2, "2")).await;
    for socket in [&mut a, &mut b] {
        assert_eq!(socket.event("key_change").await["account"], ada_id.as_str());
    }
}

#[tokio::test]
async fn the_welcome_names_rotation_and_retention() {
    let server = Server::with(|settings| settings.key_rotation = Duration::from_secs(90)).await;
    let ada = server.visitor().await;
    ada.put("/api/devices/a1", &keys("a1")).await;
    let limits = Socket::open(&ada, "a1").await.welcome["limits"].take();
    assert_eq!(limits["key_rotation_seconds"], 90);
    assert_eq!(limits["retention_seconds"], 30 * 24 * 60 * 60);
}
