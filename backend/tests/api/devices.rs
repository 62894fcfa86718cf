//! Removing a device: it is gone for good, and the cookies it used are revoked.

use reqwest::Method;
use serde_json::{Value, json};

use crate::redis::Redis;
use crate::socket::{Socket, account, keys, message_to, rejected_handshake};
use crate::support::{Client, Server, cookie, problem};

/// Every request with the cookie of a removed device is rejected.
async fn assert_revoked(client: &Client, device: &str) {
    let removed = || (401, "device-removed".to_owned());
    for path in ["/api/me", "/api/sessions", "/api/conversations"] {
        let refused = client.get(path).await;
        assert!(!refused.headers().contains_key("set-cookie"), "{path}");
        assert_eq!(problem(refused).await, removed(), "{path}");
    }
    for (path, body) in [
        ("/api/me", json!({})),
        ("/api/me", json!({"username": "x"})),
        ("/api/chat", json!({"message": "hello"})),
    ] {
        let refused = client.post(path, &body).await;
        assert!(!refused.headers().contains_key("set-cookie"), "{path}");
        assert_eq!(problem(refused).await, removed(), "{path} {body}");
    }
    for device in [device, "another"] {
        let refused = client.put(&format!("/api/devices/{device}"), &keys("x")).await;
        assert_eq!(problem(refused).await, removed(), "{device}");
        assert_eq!(
            problem(client.delete(&format!("/api/devices/{device}")).await).await,
            removed(),
            "{device}"
        );
    }
    assert_eq!(rejected_handshake(client).await, removed());
}

/// Ada with two devices and one cookie, as after copying a browser profile.
async fn copied(server: &Server) -> Client {
    let ada = server.visitor().await;
    for device in ["laptop", "phone"] {
        assert_eq!(ada.put(&format!("/api/devices/{device}"), &keys(device)).await.status(), 204);
    }
    ada
}

/// Removes a device; returns the client with its new cookie.
async fn remove(client: &Client, device: &str) -> Client {
    let removed = client.delete(&format!("/api/devices/{device}")).await;
    assert_eq!(removed.status(), 204);
    let mut client = client.clone();
    client.cookie = Some(cookie(removed.headers()).expect("a fresh cookie"));
    client
}

#[tokio::test]
async fn a_removed_device_is_revoked_and_the_other_device_continues() {
    let server = Server::start().await;
    let stolen = copied(&server).await;
    let (me, bob) = (account(&stolen).await, server.visitor().await);
    bob.put("/api/devices/b", &keys("b")).await;
    let mut b = Socket::open(&bob, "b").await;
    b.send_request(&message_to(&me, "c1")).await;
    b.event("message").await;
    let (mut laptop, mut phone) =
        (Socket::open(&stolen, "laptop").await, Socket::open(&stolen, "phone").await);

    let ada = remove(&stolen, "phone").await;
    assert_ne!(ada.cookie, stolen.cookie);
    assert_eq!(phone.closed().await, 4503);
    let bye = laptop.until(|frame| frame["type"] == "bye").await;
    assert!(bye["retry_after"].as_u64().unwrap() >= 1000, "the new cookie is in flight: {bye}");
    assert_eq!(laptop.closed().await, 4014);
    assert_eq!(b.event("key_change").await["account"], me.as_str());

    assert_revoked(&stolen, "phone").await;
    assert_eq!(account(&ada).await, me);
    assert_eq!(ada.put("/api/devices/laptop", &keys("laptop")).await.status(), 204);
    Socket::open(&ada, "laptop").await;
    let back = ada.put("/api/devices/phone", &keys("phone")).await;
    assert_eq!(problem(back).await, (410, "device-removed".into()));
    assert_eq!(problem(ada.delete("/api/devices/phone").await).await, (404, "not-found".into()));
    let listed = bob.json(&format!("/api/accounts/{me}/devices")).await;
    assert_eq!(listed["devices"].as_array().unwrap().len(), 1, "{listed}");

    let out = stolen.post("/api/logout", &Value::Null).await;
    assert_eq!(out.status(), 204);
    assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(problem(stolen.get("/api/me").await).await, (401, "unauthenticated".into()));
    assert_eq!(account(&ada).await, me, "signing out the old cookie does not affect the new one");
    assert!(cookie(stolen.post("/api/me", &json!({})).await.headers()).is_some(), "a new account");
}

#[tokio::test]
async fn removing_a_device_revokes_every_cookie_it_used() {
    let server = Server::start().await;
    let first = copied(&server).await;
    first.put("/api/devices/tablet", &keys("tablet")).await;
    let second = remove(&first, "phone").await;
    // Only the hello of its connection binds the new cookie to the device.
    let mut laptop = Socket::open(&second, "laptop").await;
    assert_eq!(second.put("/api/devices/tablet", &keys("tablet")).await.status(), 204);
    let third = remove(&second, "laptop").await;
    assert_eq!(laptop.closed().await, 4503);
    assert_revoked(&second, "laptop").await;
    assert_eq!(third.json("/api/sessions").await, json!({"sessions": []}));
}

#[tokio::test]
async fn removing_the_last_device_signs_out() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    ada.put("/api/devices/laptop", &keys("laptop")).await;
    let mut socket = Socket::open(&ada, "laptop").await;
    let removed = ada.delete("/api/devices/laptop").await;
    assert_eq!(removed.status(), 204);
    assert!(!removed.headers().contains_key("set-cookie"), "there is no other device");
    assert_eq!(socket.closed().await, 4503);
    assert_revoked(&ada, "laptop").await;
    assert_eq!(ada.post("/api/logout", &Value::Null).await.status(), 204);
    assert_eq!(problem(ada.get("/api/me").await).await, (401, "unauthenticated".into()));
}

#[tokio::test]
async fn a_foreign_device_is_not_found() {
    let server = Server::start().await;
    let (ada, eve) = (copied(&server).await, server.visitor().await);
    assert_eq!(problem(eve.delete("/api/devices/phone").await).await, (404, "not-found".into()));
    assert_eq!(ada.request(Method::GET, "/api/me").send().await.unwrap().status(), 200);
    assert_eq!(
        eve.put("/api/devices/phone", &keys("hers")).await.status(),
        204,
        "device ids are scoped to an account"
    );
}

#[tokio::test]
async fn every_node_rejects_a_removed_device_and_shows_a_new_name() {
    let redis = Redis::start().await;
    let (here, there) = (redis.node(|_| {}).await, redis.node(|_| {}).await);
    let stolen = copied(&here).await;
    let mut stolen_there = there.stranger();
    stolen_there.cookie = stolen.cookie.clone();
    stolen.post("/api/me", &json!({"username": "Ada"})).await;
    let bob = there.visitor().await;
    bob.post("/api/me", &json!({"username": "Bob"})).await;
    bob.put("/api/devices/b", &keys("b")).await;
    let mut b = Socket::open(&bob, "b").await;
    b.send_request(&json!({"type": "lobby", "on": true})).await;
    b.notice("lobby").await;
    let (mut laptop, mut phone) =
        (Socket::open(&stolen, "laptop").await, Socket::open(&stolen_there, "phone").await);
    laptop.send_request(&json!({"type": "lobby", "on": true})).await;
    b.until(|frame| frame["notice"]["user"]["username"] == "Ada").await;
    stolen.post("/api/me", &json!({"username": "Countess"})).await;
    let change = b.until(|frame| frame["notice"]["user"]["username"] == "Countess").await;
    assert_eq!(change["notice"]["present"], true);

    let ada = remove(&stolen, "phone").await;
    assert_eq!(phone.closed().await, 4503);
    assert_eq!(laptop.closed().await, 4014);
    assert_revoked(&stolen_there, "phone").await;
    assert_revoked(&stolen, "phone").await;
    assert_eq!(ada.json("/api/me").await["username"], "Countess");
    assert_eq!(stolen_there.post("/api/logout", &Value::Null).await.status(), 204);
    assert_eq!(problem(stolen.get("/api/me").await).await, (401, "unauthenticated".into()));
}
