//! Usernames, devices and conversations.

use serde_json::{Value, json};

use crate::socket::{SIGNATURE, Socket, account, keys, message_to, rotated};
use crate::support::{Server, problem};

#[tokio::test]
async fn a_username_is_claimed_once_and_can_be_looked_up() {
    let server = Server::start().await;
    let (ada, bob) = (server.visitor().await, server.visitor().await);
    let claimed = ada.post("/api/me", &json!({"username": "Ada"})).await;
    assert_eq!(claimed.json::<Value>().await.unwrap()["username"], "Ada");
    assert_eq!(ada.json("/api/me").await["username"], "Ada");
    // The second one has a Cyrillic а.
    for taken in ["ada", "ad\u{430}"] {
        let refused = bob.post("/api/me", &json!({"username": taken})).await;
        assert_eq!(problem(refused).await, (409, "username-taken".into()), "{taken}");
    }
    let found = bob.json("/api/users/ADA").await;
    assert_eq!(found, json!({"account_id": account(&ada).await, "username": "Ada"}));
    for unknown in ["/api/users/unknown", "/api/users/no%20body"] {
        assert_eq!(problem(bob.get(unknown).await).await, (404, "not-found".into()));
    }
    let invalid = bob.post("/api/me", &json!({"username": "no body"})).await;
    assert_eq!(problem(invalid).await, (422, "invalid-value".into()));
}

#[tokio::test]
async fn device_keys_are_registered_once_and_read_by_others() {
    let server = Server::start().await;
    let (ada, bob) = (server.visitor().await, server.visitor().await);
    for _again in 0..2 {
        assert_eq!(ada.put("/api/devices/laptop", &keys("1")).await.status(), 204);
    }
    let changed = ada.put("/api/devices/laptop", &keys("2")).await;
    assert_eq!(problem(changed).await, (422, "invalid-value".into()));
    let path = format!("/api/accounts/{}/devices", account(&ada).await);
    let devices = bob.json(&path).await;
    assert_eq!(devices["devices"][0]["device"], "laptop");
    assert_eq!(devices["devices"][0]["encryption_key"], "enc-1-1");

    assert_eq!(problem(bob.delete("/api/devices/laptop").await).await.0, 404);
    assert_eq!(ada.delete("/api/devices/laptop").await.status(), 204);
    assert_eq!(bob.json(&path).await["devices"], json!([]));
    assert_eq!(problem(bob.get("/api/accounts/unknown/devices").await).await.0, 404);
}

#[tokio::test]
async fn devices_are_limited_and_their_keys_are_checked() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    for number in 0..8 {
        assert_eq!(ada.put(&format!("/api/devices/d{number}"), &keys("x")).await.status(), 204);
    }
    let ninth = ada.put("/api/devices/d8", &keys("x")).await;
    assert_eq!(problem(ninth).await, (409, "limit-reached".into()));
    for (field, bad) in [
        ("suite", json!("")),
        ("encryption_key", json!("not base64url!")),
        ("signing_key", json!("b".repeat(4000))),
        ("generation", json!(0)),
        ("generation", json!(1_u64 << 53)),
        ("generation", json!(-1)),
        ("created_at", json!(1_u64 << 53)),
        ("signature", json!("")),
        ("signature", json!("c2ln")),
        ("signature", json!(format!("{SIGNATURE}="))),
    ] {
        let mut keys = keys("x");
        keys[field] = bad;
        let refused = ada.put("/api/devices/d0", &keys).await;
        assert_eq!(refused.status(), 422, "{keys}");
        let problem = refused.json::<Value>().await.unwrap();
        assert_eq!(problem["type"], "invalid-value");
        assert!(problem["detail"].as_str().unwrap().contains(field), "{problem}");
    }
    let mut unsigned = keys("x");
    unsigned.as_object_mut().unwrap().remove("signature");
    assert_eq!(problem(ada.put("/api/devices/d0", &unsigned).await).await.0, 422);
}

#[tokio::test]
async fn a_higher_generation_replaces_the_keys_and_is_announced() {
    let server = Server::start().await;
    let (ada, bob) = (server.visitor().await, server.visitor().await);
    ada.put("/api/devices/a1", &keys("a1")).await;
    bob.put("/api/devices/b1", &keys("b1")).await;
    let ada_id = account(&ada).await;
    let mut socket = Socket::open(&bob, "b1").await;
    socket.send_request(&message_to(&ada_id, "c1")).await;
    socket.event("message").await;

    assert_eq!(ada.put("/api/devices/a1", &rotated("a1", 3)).await.status(), 204);
    assert_eq!(socket.event("key_change").await["account"], ada_id.as_str());
    assert_eq!(ada.put("/api/devices/a1", &rotated("a1", 3)).await.status(), 204, "the same");
    let path = format!("/api/accounts/{ada_id}/devices");
    let listed = bob.json(&path).await["devices"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    for (field, value) in rotated("a1", 3).as_object().unwrap() {
        assert_eq!(&listed[0][field], value, "{field}");
    }
    let mut other = rotated("a1", 4);
    other["signing_key"] = json!("another");
    for refused in [rotated("a1", 2), rotated("a1", 1), other] {
        let refused = ada.put("/api/devices/a1", &refused).await;
        assert_eq!(problem(refused).await, (422, "invalid-value".into()));
    }
    assert_eq!(bob.json(&path).await["devices"], listed);
}

#[tokio::test]
async fn a_new_device_is_sent_to_the_account_and_everyone_it_has_a_conversation_with() {
    let server = Server::start().await;
    let (ada, bob) = (server.visitor().await, server.visitor().await);
    ada.put("/api/devices/a1", &keys("a1")).await;
    bob.put("/api/devices/b1", &keys("b1")).await;
    let (ada_id, bob_id) = (account(&ada).await, account(&bob).await);
    let mut socket = Socket::open(&bob, "b1").await;
    let send = message_to(&ada_id, "c1");
    let envelope = send["envelope"].clone();
    socket.send_request(&send).await;
    socket.event("message").await;

    ada.put("/api/devices/a2", &keys("a2")).await;
    assert_eq!(socket.event("key_change").await["account"], ada_id.as_str());

    let conversations = ada.json("/api/conversations").await;
    let conversation = &conversations["conversations"][0];
    assert_eq!(conversation["peer"]["account_id"], bob_id);
    let path = format!("/api/conversations/{}/messages", conversation["id"].as_str().unwrap());
    assert_eq!(ada.json(&path).await["messages"][0]["envelope"], envelope);
    let eve = server.visitor().await;
    assert_eq!(problem(eve.get(&path).await).await, (404, "not-found".into()));
    assert_eq!(problem(ada.get(&format!("{path}?limit=101")).await).await.0, 422);
    assert_eq!(problem(ada.get(&format!("{path}?before=x")).await).await.0, 400);
}
