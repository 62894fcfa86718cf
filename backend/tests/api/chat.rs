//! `POST /api/chat`, as a stream and as one JSON object.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Events, Server, problem, text};

#[tokio::test]
async fn an_answer_streams_from_its_start_to_its_completion() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let response = ada.post("/api/chat", &json!({"message": "What is a gatehouse?"})).await;
    assert_eq!(response.headers()["cache-control"], "no-cache, no-transform");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let events = Events::new(response).rest().await;

    let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names.first(), Some(&"run.started"));
    assert_eq!(names.last(), Some(&"run.completed"));
    assert!(names.contains(&"usage") && names.contains(&"title"), "{names:?}");
    let ids: Vec<u64> = events.iter().map(|event| event.id.parse().unwrap()).collect();
    assert_eq!(ids, (1..=events.len() as u64).collect::<Vec<_>>());

    let answer = &events.last().unwrap().data;
    assert_eq!(answer["message"]["content"], text(&events));
    assert!(text(&events).starts_with("I am Gatehouse's demo model"));
    assert_eq!(answer["message"]["role"], "assistant");
    assert!(
        answer["usage"]["prompt_tokens"].as_u64() > Some(0)
            && answer["usage"]["completion_tokens"].as_u64() > Some(0)
    );

    let session = answer["session_id"].as_str().unwrap();
    assert_eq!(events[0].data, json!({"run_id": answer["run_id"], "session_id": session}));
    let history = ada.json(&format!("/api/sessions/{session}/messages")).await;
    assert_eq!(history["messages"][0]["content"], "What is a gatehouse?");
    assert_eq!(history["messages"][1], answer["message"]);
}

#[tokio::test]
async fn accepting_json_returns_the_whole_answer() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let answer = ada.exchange("my-session_1", "Give me a list").await;
    assert_eq!(answer["session_id"], "my-session_1");
    assert!(answer["message"]["content"].as_str().unwrap().contains("\n1. "));
    assert!(answer["message"]["created_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_session_continues_with_its_history_in_the_prompt() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    ada.exchange("s", "first").await;
    let second = ada.exchange("s", "second").await;
    assert!(
        second["message"]["content"].as_str().unwrap().contains("shown 3 messages"),
        "{second}"
    );
    assert_eq!(ada.json("/api/sessions/s/info").await["message_count"], 4);
}

#[tokio::test]
async fn the_last_20_messages_are_kept_and_an_orphan_answer_is_left_out_of_the_prompt() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    for number in 1..=10 {
        ada.exchange("s", &format!("question {number}")).await;
    }
    // The 21st message pushes the first question out; its answer would be an orphan in the prompt.
    let eleventh = ada.exchange("s", "question 11").await;
    assert!(
        eleventh["message"]["content"].as_str().unwrap().contains("shown 19 messages"),
        "{eleventh}"
    );
    let history = ada.json("/api/sessions/s/messages").await;
    let messages = history["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 20);
    assert_eq!(messages[0]["content"], "question 2");
}

#[tokio::test]
async fn an_idempotency_key_returns_the_same_run_and_rejects_another_body() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let ask = |message: &'static str| {
        let request =
            ada.request(reqwest::Method::POST, "/api/chat").header("idempotency-key", "key-1");
        async move { request.json(&json!({"message": message})).send().await.unwrap() }
    };
    let first = Events::new(ask("once").await).rest().await;
    let again = Events::new(ask("once").await).rest().await;
    assert_eq!(first, again);
    assert_eq!(server.demo.requests(), 1);
    assert_eq!(problem(ask("twice").await).await, (422, "idempotency-conflict".into()));
    // Keys are scoped to the account.
    let bob = server.visitor().await;
    let request =
        bob.request(reqwest::Method::POST, "/api/chat").header("idempotency-key", "key-1");
    assert_eq!(request.json(&json!({"message": "mine"})).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_session_has_one_answer_at_a_time() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let mut events =
        ada.chat(&json!({"session_id": "s", "message": "hang", "model": "demo-stall"})).await;
    let run = events.until("run.started").await.data["run_id"].clone();
    let refused = ada.post("/api/chat", &json!({"session_id": "s", "message": "impatient"})).await;
    assert_eq!(problem(refused).await, (409, "run-active".into()));
    assert_eq!(ada.json("/api/sessions/s/info").await["active_run"], run);
}

#[tokio::test]
async fn an_account_has_four_answers_at_a_time() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(ada.chat(&json!({"message": "hang", "model": "demo-stall"})).await);
    }
    let refused = ada.post("/api/chat", &json!({"message": "a fifth"})).await;
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(problem(refused).await, (429, "rate-limited".into()));
    let bob = server.visitor().await;
    bob.exchange("s", "another account").await;
}

#[tokio::test]
async fn an_invalid_message_or_model_is_rejected() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let too_long = "x".repeat(33 * 1024);
    for (body, word) in [
        (json!({"message": "  "}), "message"),
        (json!({"message": too_long}), "message"),
        (json!({"message": "hi", "model": "unknown"}), "unknown"),
        (json!({"message": "hi", "session_id": "no spaces"}), "session_id"),
    ] {
        let response = ada.post("/api/chat", &body).await;
        assert_eq!(response.status(), 422, "{word}");
        let detail = response.json::<Value>().await.unwrap()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(word), "{detail}");
    }
    assert_eq!(ada.json("/api/sessions").await, json!({"sessions": []}));
}

#[tokio::test]
async fn the_answer_ends_at_the_output_limit() {
    let server = Server::with(|settings| settings.assistant.max_output_bytes = 100).await;
    let ada = server.visitor().await;
    let answer = ada.exchange("s", "hello").await;
    assert_eq!(answer["message"]["content"].as_str().unwrap().len(), 100);
    server.wait_until_the_model_is_free().await;
}

#[tokio::test]
async fn deltas_are_merged_to_about_thirty_per_second() {
    let server = Server::with_pace(Duration::from_millis(2)).await;
    let ada = server.visitor().await;
    let begun = std::time::Instant::now();
    let events = ada.chat(&json!({"message": "hello"})).await.rest().await;
    let most = begun.elapsed().as_millis() / 33 + 3;
    let deltas = events.iter().filter(|event| event.name == "text.delta").count();
    assert!(deltas > 1 && deltas as u128 <= most, "{deltas} deltas, at most {most}");
}

#[tokio::test]
async fn the_system_prompt_of_a_session_is_sent_to_the_model() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let plain = tokens(&ada, "s").await;
    let patch =
        json!({"system_prompt": "x".repeat(400), "model": "gatehouse-demo", "title": "About x"});
    let patched =
        ada.request(reqwest::Method::PATCH, "/api/sessions/s").json(&patch).send().await.unwrap();
    assert_eq!(patched.status(), 200);
    // 400 bytes are 100 tokens in the demo model; the history grew as well.
    assert!(tokens(&ada, "s").await >= plain + 100);
}

async fn tokens(client: &Client, session: &str) -> u64 {
    client.exchange(session, "hi").await["usage"]["prompt_tokens"].as_u64().unwrap()
}
