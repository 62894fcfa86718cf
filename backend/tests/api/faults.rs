//! Failures of the model provider, and the problem reported for each.

use std::time::Duration;

use backend_ai::provider::Endpoint;
use serde_json::{Value, json};

use crate::support::{Server, problem};

async fn problem_of(server: &Server, model: &str) -> (u16, String) {
    let ada = server.visitor().await;
    let whole = problem(ada.chat_json(&json!({"message": "hello", "model": model})).await).await;
    // A stream reports the same, as its last event.
    let last = ada
        .chat(&json!({"message": "hello", "model": model}))
        .await
        .rest()
        .await
        .pop()
        .expect("an event");
    assert_eq!(last.name, "run.failed");
    assert_eq!(
        (last.data["status"].clone(), last.data["type"].clone()),
        (json!(whole.0), json!(whole.1))
    );
    whole
}

#[tokio::test]
async fn a_failing_provider_is_retried_and_then_unavailable() {
    let server = Server::with(|settings| settings.provider.retries = 2).await;
    assert_eq!(problem_of(&server, "demo-500").await, (502, "upstream-unavailable".into()));
    assert_eq!(server.demo.requests(), 6, "two runs, three attempts each");
}

#[tokio::test]
async fn a_rate_limited_request_is_retried_and_succeeds() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let answer =
        ada.chat_json(&json!({"message": "hello", "model": "demo-429-then-success"})).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(server.demo.requests(), 2);
}

#[tokio::test]
async fn a_lasting_rate_limit_is_reported_with_retry_after() {
    let server = Server::with(|settings| settings.provider.retries = 0).await;
    let ada = server.visitor().await;
    let refused =
        ada.chat_json(&json!({"message": "hello", "model": "demo-429-then-success"})).await;
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(problem(refused).await, (429, "rate-limited".into()));
}

#[tokio::test]
async fn an_exhausted_quota_is_not_retried() {
    let server = Server::start().await;
    assert_eq!(problem_of(&server, "demo-quota").await, (429, "quota-exhausted".into()));
    assert_eq!(server.demo.requests(), 2);
}

#[tokio::test]
async fn a_context_that_is_too_long_and_a_content_filter_are_reported() {
    let server = Server::start().await;
    assert_eq!(problem_of(&server, "demo-context").await, (422, "context-too-long".into()));
    assert_eq!(problem_of(&server, "demo-content-filter").await, (422, "content-filtered".into()));
}

#[tokio::test]
async fn a_cut_in_the_middle_of_an_answer_is_never_retried() {
    let server = Server::start().await;
    assert_eq!(problem_of(&server, "demo-cut").await, (502, "upstream-unavailable".into()));
    assert_eq!(server.demo.requests(), 2);
}

#[tokio::test]
async fn the_first_token_and_every_next_one_have_a_deadline() {
    let server = Server::with(|settings| {
        settings.provider.first_token_deadline = Duration::from_millis(300);
        settings.provider.idle_deadline = Duration::from_millis(300);
        settings.provider.retries = 0;
    })
    .await;
    assert_eq!(problem_of(&server, "demo-slow-start").await, (502, "upstream-unavailable".into()));
    assert_eq!(problem_of(&server, "demo-stall").await, (502, "upstream-unavailable".into()));
    server.wait_until_the_model_is_free().await;
}

#[tokio::test]
async fn an_unreachable_provider_is_unavailable() {
    let server = Server::with(|settings| {
        settings.model = Some(Endpoint::Compatible {
            // The discard port: nothing listens there.
            base_url: "http://127.0.0.1:9/v1".into(),
            api_key: Some("sk-secret".into()),
            models: vec!["absent".into()],
            demo: false,
        });
    })
    .await;
    let ada = server.visitor().await;
    let refused = ada.chat_json(&json!({"message": "hello"})).await;
    assert_eq!(refused.status(), 502);
    assert!(
        !refused.text().await.unwrap().contains("127.0.0.1"),
        "the provider's address is not disclosed"
    );
}

#[tokio::test]
async fn after_a_failure_the_message_is_kept_and_the_session_is_idle() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let failed =
        ada.chat_json(&json!({"session_id": "s", "message": "one", "model": "demo-context"})).await;
    assert_eq!(failed.status(), 422);
    let again = ada
        .chat_json(&json!({"session_id": "s", "message": "two", "model": "gatehouse-demo"}))
        .await;
    assert_eq!(again.status(), 200);
    let history: Value = ada.json("/api/sessions/s/messages").await;
    let contents: Vec<_> =
        history["messages"].as_array().unwrap().iter().map(|m| m["content"].clone()).collect();
    assert_eq!(contents[..2], [json!("one"), json!("two")]);
}
