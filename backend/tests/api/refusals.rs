//! Malformed requests are rejected with a problem that says where they are wrong.

use reqwest::Method;
use serde_json::Value;

use crate::support::{Server, problem};

async fn refusal(server: &Server, body: &'static str) -> (u16, String) {
    let request = server
        .visitor()
        .await
        .request(Method::POST, "/api/chat")
        .header("content-type", "application/json");
    let response = request.body(body).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json::<Value>().await.unwrap()["detail"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn malformed_json_is_rejected_with_line_and_column() {
    let server = Server::start().await;
    let (status, detail) = refusal(&server, "{\n  \"message\": oops}").await;
    assert_eq!(status, 400);
    assert!(detail.contains("line 2 column"), "{detail}");
}

#[tokio::test]
async fn an_invalid_field_is_named() {
    let server = Server::start().await;
    for (body, field) in [
        (r#"{"message": 1}"#, "message"),
        (r#"{"message":"a","colour":1}"#, "colour"),
        ("{}", "message"),
    ] {
        let (status, detail) = refusal(&server, body).await;
        assert_eq!(status, 422, "{body}");
        assert!(detail.contains(field), "{detail}");
    }
}

#[tokio::test]
async fn an_oversized_body_gets_413_and_another_type_415() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let big = format!("{{\"message\": \"{}\"}}", "x".repeat(300 * 1024));
    let request =
        ada.request(Method::POST, "/api/chat").header("content-type", "application/json").body(big);
    assert_eq!(problem(request.send().await.unwrap()).await, (413, "too-large".into()));
    let request =
        ada.request(Method::POST, "/api/chat").header("content-type", "text/plain").body("hello");
    assert_eq!(
        problem(request.send().await.unwrap()).await,
        (415, "unsupported-media-type".into())
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_get_problems() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    for path in ["/", "/api", "/api/nowhere", "/api/sessions/no%2Fid/info"] {
        assert_eq!(problem(ada.get(path).await).await, (404, "not-found".into()), "{path}");
    }
    let response = ada.delete("/api/chat").await;
    assert_eq!(response.headers()["allow"], "POST");
    assert_eq!(problem(response).await, (405, "method-not-allowed".into()));
}

#[tokio::test]
async fn an_idempotency_key_has_a_bounded_length() {
    let server = Server::start().await;
    let request = server
        .visitor()
        .await
        .request(Method::POST, "/api/chat")
        .header("idempotency-key", "k".repeat(129));
    let response = request.json(&serde_json::json!({"message": "hi"})).send().await.unwrap();
    assert_eq!(problem(response).await, (400, "bad-request".into()));
}
