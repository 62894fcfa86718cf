//! Chat sessions: listing, reading, changing, deleting, and surviving a restart.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Server, problem};

#[tokio::test]
async fn sessions_are_listed_latest_first_and_named_after_the_first_message() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    ada.exchange("one", "Why is the sky blue?").await;
    ada.exchange("two", "And the sea?").await;
    ada.exchange("one", "Really?").await;
    let list = ada.json("/api/sessions").await;
    let titles: Vec<_> =
        list["sessions"].as_array().unwrap().iter().map(|s| s["title"].clone()).collect();
    assert_eq!(titles, ["Why is the sky blue?", "And the sea?"]);
}

#[tokio::test]
async fn a_session_is_changed_within_limits() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    ada.exchange("s", "hello").await;
    let patch = |body: Value| {
        let request = ada.request(Method::PATCH, "/api/sessions/s").json(&body);
        async move { request.send().await.unwrap() }
    };
    let changed = patch(json!({"title": " New ", "system_prompt": "Be brief."}))
        .await
        .json::<Value>()
        .await
        .unwrap();
    assert_eq!(
        (&changed["title"], &changed["system_prompt"]),
        (&json!("New"), &json!("Be brief."))
    );
    let removed = patch(json!({"system_prompt": ""})).await.json::<Value>().await.unwrap();
    assert_eq!((&removed["title"], &removed["system_prompt"]), (&json!("New"), &Value::Null));
    for bad in [
        json!({"title": " "}),
        json!({"title": "x".repeat(121)}),
        json!({"system_prompt": "x".repeat(9000)}),
        json!({"model": "unknown"}),
        json!({"colour": "red"}),
    ] {
        assert_eq!(problem(patch(bad).await).await, (422, "invalid-value".into()));
    }
    let absent = ada
        .request(Method::PATCH, "/api/sessions/absent")
        .json(&json!({"title": "x"}))
        .send()
        .await
        .unwrap();
    assert_eq!(problem(absent).await, (404, "not-found".into()));
}

#[tokio::test]
async fn a_deleted_session_is_gone_and_its_id_can_be_reused() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    ada.exchange("s", "hello").await;
    assert_eq!(ada.delete("/api/sessions/s").await.status(), 204);
    assert_eq!(problem(ada.delete("/api/sessions/s").await).await.0, 404);
    assert_eq!(ada.json("/api/sessions").await, json!({"sessions": []}));
    let answer = ada.exchange("s", "hello again").await;
    assert!(answer["message"]["content"].as_str().unwrap().contains("shown 1 messages"));
}

#[tokio::test]
async fn accounts_and_sessions_survive_a_restart() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let answer = ada.exchange("s", "remember me").await;
    let cookie = ada.cookie.clone();
    let data = server.stop().await;

    let server = Server::over(data, Default::default(), |_| {}).await;
    let mut ada = server.stranger();
    ada.cookie = cookie;
    assert_eq!(ada.json("/api/sessions/s/messages").await["messages"][1], answer["message"]);
}
