//! A removed device: gone for good, with the cookie that it used.

use reqwest::Method;
use serde_json::{Value, json};

use crate::redis::Redis;
use crate::socket::{Socket, account, keys, message_to, refused_upgrade};
use crate::support::{Client, Server, cookie, problem};

/// Everything that the cookie of a removed device could try.
async fn is_shut_out(client: &Client, device: &str) {
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
    assert_eq!(refused_upgrade(client).await, removed());
}

/// Ada with two devices of one cookie, as after a copied profile.
async fn copied(server: &Server) -> Client {
    let ada = server.visitor().await;
    for device in ["laptop", "phone"] {
        assert_eq!(ada.put(&format!("/api/devices/{device}"), &keys(device)).await.status(), 204);
    }
    ada
}

/// Removes a device; the client with the cookie it has then.
async fn remove(client: &Client, device: &str) -> Client {
    let removed = client.delete(&format!("/api/devices/{device}")).await;
    assert_eq!(removed.status(), 204);
    let mut client = client.clone();
    client.cookie = Some(cookie(removed.headers()).expect("a fresh cookie"));
    client
}

#[tokio::test]
async fn a_removed_device_stays_out_and_who_removed_it_goes_on() {
    let server = Server::start().await;
    let stolen = copied(&server).await;
    let (me, bob) = (account(&stolen).await, server.visitor().await);
    bob.put("/api/devices/b", &keys("b")).await;
    let mut b = Socket::open(&bob, "b").await;
    b.ask(&message_to(&me, "c1")).await;
    b.event("message").await;
    let (mut laptop, mut phone) =
        (Socket::open(&stolen, "laptop").await, Socket::open(&stolen, "phone").await);

    let ada = remove(&stolen, "phone").await;
    assert_ne!(ada.cookie, stolen.cookie);
    assert_eq!(phone.closed().await, 4503);
    let bye = laptop.until(|frame| frame["type"] == "bye").await;
    assert!(bye["retry_after"].as_u64().unwrap() >= 1000, "the new cookie is on its way: {bye}");
    assert_eq!(laptop.closed().await, 4014);
    assert_eq!(b.event("key_change").await["account"], me.as_str());

    is_shut_out(&stolen, "phone").await;
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
    assert_eq!(account(&ada).await, me, "signing out the old cookie does nothing to the new one");
    assert!(cookie(stolen.post("/api/me", &json!({})).await.headers()).is_some(), "a new start");
}

#[tokio::test]
async fn a_device_that_was_used_with_another_cookie_takes_that_along() {
    let server = Server::start().await;
    let first = copied(&server).await;
    first.put("/api/devices/tablet", &keys("tablet")).await;
    let second = remove(&first, "phone").await;
    // Nothing but the hello of its connection belongs to the new cookie.
    let mut laptop = Socket::open(&second, "laptop").await;
    assert_eq!(second.put("/api/devices/tablet", &keys("tablet")).await.status(), 204);
    let third = remove(&second, "laptop").await;
    assert_eq!(laptop.closed().await, 4503);
    is_shut_out(&second, "laptop").await;
    assert_eq!(third.json("/api/sessions").await, json!({"sessions": []}));
}

#[tokio::test]
async fn removing_the_own_device_signs_out() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    ada.put("/api/devices/laptop", &keys("laptop")).await;
    let mut socket = Socket::open(&ada, "laptop").await;
    let removed = ada.delete("/api/devices/laptop").await;
    assert_eq!(removed.status(), 204);
    assert!(
        !removed.headers().contains_key("set-cookie"),
        "there is no other device to go on with"
    );
    assert_eq!(socket.closed().await, 4503);
    is_shut_out(&ada, "laptop").await;
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
        "names are per account"
    );
}

#[tokio::test]
async fn every_node_shuts_a_removed_device_out_and_shows_a_new_name() {
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
    b.ask(&json!({"type": "lobby", "on": true})).await;
    b.notice("lobby").await;
    let (mut laptop, mut phone) =
        (Socket::open(&stolen, "laptop").await, Socket::open(&stolen_there, "phone").await);
    laptop.ask(&json!({"type": "lobby", "on": true})).await;
    b.until(|frame| frame["notice"]["user"]["username"] == "Ada").await;
    stolen.post("/api/me", &json!({"username": "Countess"})).await;
    let change = b.until(|frame| frame["notice"]["user"]["username"] == "Countess").await;
    assert_eq!(change["notice"]["present"], true);

    let ada = remove(&stolen, "phone").await;
    assert_eq!(phone.closed().await, 4503);
    assert_eq!(laptop.closed().await, 4014);
    is_shut_out(&stolen_there, "phone").await;
    is_shut_out(&stolen, "phone").await;
    assert_eq!(ada.json("/api/me").await["username"], "Countess");
    assert_eq!(stolen_there.post("/api/logout", &Value::Null).await.status(), 204);
    assert_eq!(problem(stolen.get("/api/me").await).await, (401, "unauthenticated".into()));
}
