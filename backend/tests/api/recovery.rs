//! Recovering an account with the token from its recovery code.

use backend::settings::Budget;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::device_log::{bytes32, identity};
use crate::socket::{account, keys};
use crate::support::{Client, Server, cookie, problem};

const TOKEN: [u8; 32] = [7; 32];

fn token(bytes: &[u8]) -> Value {
    json!({"token": URL_SAFE_NO_PAD.encode(bytes)})
}

/// Ada with a username, a device and an identity that `TOKEN` recovers.
async fn ada(server: &Server) -> Client {
    let ada = server.visitor().await;
    ada.post("/api/me", &json!({"username": "Ada"})).await;
    ada.put("/api/devices/a1", &keys("a1")).await;
    let mut new = identity('a', 'r');
    new["recovery"] = json!(URL_SAFE_NO_PAD.encode(Sha256::digest(TOKEN)));
    assert_eq!(ada.put("/api/identity", &new).await.status(), 204);
    ada
}

async fn send(client: &Client, headers: &[(&str, &str)], body: &Value) -> Response {
    let mut request = client.request(Method::POST, "/api/recovery").json(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn the_token_opens_the_account_in_a_new_browser() {
    let server = Server::start().await;
    let ada = ada(&server).await;
    let me = ada.json("/api/me").await;
    for mut browser in [server.stranger(), server.visitor().await] {
        let recovered = browser.post("/api/recovery", &token(&TOKEN)).await;
        assert_eq!(recovered.status(), 200);
        let fresh = cookie(recovered.headers());
        assert!(fresh.is_some() && fresh != ada.cookie && fresh != browser.cookie);
        browser.cookie = fresh;
        let expected = json!({"me": me, "identity_key": bytes32('a'), "sealed": "c2VhbGVk"});
        assert_eq!(recovered.json::<Value>().await.unwrap(), expected);
        assert_eq!(browser.json("/api/me").await, me);
    }
    assert_eq!(ada.json("/api/me").await, me, "her other devices continue");
}

#[tokio::test]
async fn a_wrong_token_is_answered_like_an_unknown_one_and_sets_no_cookie() {
    let server = Server::start().await;
    let stranger = server.stranger();
    let before = stranger.post("/api/recovery", &token(&[8; 32])).await;
    let before = (before.status(), before.text().await.unwrap());
    assert_eq!(before.0, 404);
    ada(&server).await;
    // The stored hash is not the token: a leaked database recovers nothing.
    for wrong in [[8; 32], Sha256::digest(TOKEN).into()] {
        let refused = stranger.post("/api/recovery", &token(&wrong)).await;
        assert!(cookie(refused.headers()).is_none());
        assert_eq!((refused.status(), refused.text().await.unwrap()), before);
    }
    for malformed in [token(&[8; 31]), json!({"token": "?"}), json!({}), json!({"token": 1})] {
        let refused = stranger.post("/api/recovery", &malformed).await;
        assert_eq!(problem(refused).await, (422, "invalid-value".into()), "{malformed}");
    }
}

#[tokio::test]
async fn attempts_are_limited_for_each_network_right_or_wrong() {
    let server = Server::with(|settings| {
        settings.budgets.recoveries = Budget { burst: 3, per_hour: 60 };
    })
    .await;
    ada(&server).await;
    let here = [("x-forwarded-for", "192.0.2.1")];
    let stranger = server.stranger();
    for attempt in [&TOKEN, &[8; 32], &[9; 32]] {
        assert!(matches!(
            send(&stranger, &here, &token(attempt)).await.status().as_u16(),
            200 | 404
        ));
    }
    for attempt in [&TOKEN, &[8; 32]] {
        let refused = send(&stranger, &here, &token(attempt)).await;
        assert!(cookie(refused.headers()).is_none());
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(problem(refused).await, (429, "rate-limited".into()));
    }
    let there = [("x-forwarded-for", "192.0.2.2")];
    assert_eq!(send(&stranger, &there, &token(&TOKEN)).await.status(), 200, "another network");
    assert_eq!(stranger.post("/api/links", &Value::Null).await.status(), 201, "another budget");
}

#[tokio::test]
async fn another_sites_page_recovers_nothing() {
    let server = Server::start().await;
    ada(&server).await;
    let stranger = server.stranger();
    for headers in [
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")][..],
        &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "navigate")],
        &[("origin", "https://evil.example")],
    ] {
        let refused = send(&stranger, headers, &token(&TOKEN)).await;
        assert!(cookie(refused.headers()).is_none());
        assert_eq!(problem(refused).await, (403, "cross-origin".into()), "{headers:?}");
    }
    let script = [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")];
    assert_eq!(send(&stranger, &script, &token(&TOKEN)).await.status(), 200);
}

#[tokio::test]
async fn a_replaced_identity_is_recovered_with_its_own_token_only() {
    let server = Server::start().await;
    let ada = ada(&server).await;
    let mut new = identity('b', 'r');
    new["recovery"] = json!(URL_SAFE_NO_PAD.encode(Sha256::digest([9; 32])));
    new["replaces"] = json!(bytes32('a'));
    assert_eq!(ada.put("/api/identity", &new).await.status(), 204);
    let stranger = server.stranger();
    assert_eq!(stranger.post("/api/recovery", &token(&TOKEN)).await.status(), 404);
    let recovered = stranger.post("/api/recovery", &token(&[9; 32])).await;
    let recovered = recovered.json::<Value>().await.unwrap();
    assert_eq!(recovered["me"]["account_id"], account(&ada).await);
    assert_eq!(recovered["identity_key"], bytes32('b'));
}
