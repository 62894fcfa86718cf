//! Identity and access.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Server, cookie, problem};

#[tokio::test]
async fn a_first_write_gets_an_account_and_keeps_it() {
    let server = Server::start().await;
    let mut ada = server.stranger();
    let first = ada.post("/api/me", &json!({})).await;
    let set = first.headers()["set-cookie"].to_str().unwrap().to_owned();
    for attribute in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/", "Max-Age=15552000"] {
        assert!(set.contains(attribute), "{set}");
    }
    ada.cookie = cookie(first.headers());
    let made = first.json::<Value>().await.unwrap();
    let second = ada.get("/api/sessions").await;
    assert!(cookie(second.headers()).is_none(), "an existing account keeps its cookie");
    assert_eq!(made, ada.json("/api/me").await);
    let again = ada.post("/api/me", &json!({})).await;
    assert_eq!(cookie(again.headers()), ada.cookie, "the cookie is renewed, not replaced");
    assert_eq!(again.json::<Value>().await.unwrap(), made);
    assert_ne!(made, server.visitor().await.json("/api/me").await);
}

#[tokio::test]
async fn an_unknown_cookie_is_replaced_by_a_write_only() {
    let server = Server::start().await;
    let mut ada = server.stranger();
    ada.cookie = Some(format!("__Host-gatehouse={}", "A".repeat(43)));
    let read = ada.get("/api/sessions").await;
    assert!(cookie(read.headers()).is_none());
    assert_eq!(problem(read).await, (401, "unauthenticated".into()));
    assert!(cookie(ada.post("/api/me", &json!({})).await.headers()).is_some());
}

#[tokio::test]
async fn public_resources_need_no_account() {
    let server = Server::start().await;
    for path in ["/api/models", "/api/openapi.json", "/api/nowhere"] {
        assert!(cookie(server.stranger().get(path).await.headers()).is_none(), "{path}");
    }
    let models = server.stranger().json("/api/models").await;
    assert_eq!(models["models"][0], json!({"id": "gatehouse-demo", "demo": true}));
    assert_eq!(server.stranger().json("/api/openapi.json").await["openapi"], "3.1.0");
}

#[tokio::test]
async fn resources_of_another_account_are_not_found() {
    let server = Server::start().await;
    let (ada, bob) = (server.visitor().await, server.visitor().await);
    let run = ada.exchange("s", "mine").await["run_id"].as_str().unwrap().to_owned();
    for path in
        ["/api/sessions/s/messages", "/api/sessions/s/info", &format!("/api/runs/{run}/events")]
    {
        assert_eq!(ada.get(path).await.status(), 200, "{path}");
        assert_eq!(problem(bob.get(path).await).await, (404, "not-found".into()), "{path}");
    }
    assert_eq!(problem(bob.delete("/api/sessions/s").await).await.0, 404);
    assert_eq!(
        problem(bob.post(&format!("/api/runs/{run}/stop"), &Value::Null).await).await.0,
        404
    );
    // Session ids are scoped to the account.
    let answer = bob.exchange("s", "mine too").await;
    assert!(answer["message"]["content"].as_str().unwrap().contains("shown 1 messages"));
    assert_eq!(ada.json("/api/sessions/s/info").await["message_count"], 2);
}

#[tokio::test]
async fn signing_out_revokes_the_cookie() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    ada.exchange("s", "mine").await;
    let answer = ada.post("/api/logout", &Value::Null).await;
    assert_eq!(answer.status(), 204);
    assert!(answer.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    let after = ada.get("/api/sessions").await;
    assert!(cookie(after.headers()).is_none());
    assert_eq!(problem(after).await, (401, "unauthenticated".into()));
    assert_eq!(
        problem(ada.post("/api/logout", &Value::Null).await).await,
        (401, "unauthenticated".into())
    );
}

#[tokio::test]
async fn writes_from_another_origin_are_rejected_before_any_effect() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let write = |name: &'static str, value: &'static str| {
        let request = ada
            .request(Method::POST, "/api/me")
            .json(&json!({"username": "ada"}))
            .header(name, value);
        async move { request.send().await.unwrap() }
    };
    for (name, value) in
        [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
    {
        assert_eq!(problem(write(name, value).await).await, (403, "cross-origin".into()));
    }
    assert_eq!(ada.json("/api/me").await["username"], Value::Null);
    let stranger =
        server.stranger().request(Method::POST, "/api/me").header("sec-fetch-site", "cross-site");
    assert!(
        cookie(stranger.send().await.unwrap().headers()).is_none(),
        "no account is created for a rejected write"
    );
    assert_eq!(write("sec-fetch-site", "same-origin").await.status(), 200);
}

#[tokio::test]
async fn every_response_has_security_headers_and_a_request_id() {
    let server = Server::start().await;
    for path in ["/api/me", "/api/nowhere", "/api/models"] {
        let response = server
            .stranger()
            .request(Method::GET, path)
            .header("x-request-id", "given-1")
            .send()
            .await
            .unwrap();
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        assert_eq!(headers["x-request-id"], "given-1", "{path}");
    }
}
