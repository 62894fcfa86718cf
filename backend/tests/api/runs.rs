//! Reading and stopping runs, and what survives.

use std::time::Duration;

use backend_protocol::api::{Message, Role};
use backend_protocol::id::{AccountId, MessageId, RunId, SessionId};
use backend_store::accounts::{Accounts, CredentialHash};
use backend_store::runs::{NewRun, Runs};
use backend_store::sqlite::SqliteStore;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::support::{Event, Events, Server, eventually, problem, text};

fn run_of(event: &Event) -> String {
    event.data["run_id"].as_str().expect("a run").to_owned()
}

#[tokio::test]
async fn a_lost_connection_resumes_at_its_position() {
    let server = Server::with_pace(Duration::from_millis(3)).await;
    let ada = server.visitor().await;
    let mut first = ada.chat(&json!({"message": "tell me"})).await;
    let run = run_of(&first.until("run.started").await);
    let mut read = vec![first.until("text.delta").await, first.until("text.delta").await];
    drop(first);

    let last = read.last().unwrap().id.clone();
    read.extend(Events::new(ada.resume(&run, &last).await).rest().await);
    let answer = &read.last().unwrap().data;
    assert_eq!(answer["message"]["content"], text(&read));
    let ids: Vec<u64> = read.iter().map(|event| event.id.parse().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a + 1 == *b), "{ids:?}");
}

#[tokio::test]
async fn two_readers_of_one_run_read_the_same_events() {
    let server = Server::with_pace(Duration::from_millis(1)).await;
    let ada = server.visitor().await;
    let mut first = ada.chat(&json!({"message": "tell us"})).await;
    let started = first.until("run.started").await;
    let second = Events::new(ada.resume(&run_of(&started), "0").await);
    let (mut one, two) = (vec![started], second.rest().await);
    one.extend(first.rest().await);
    assert_eq!(one, two);
}

#[tokio::test]
async fn a_client_that_leaves_does_not_stop_the_run() {
    let server = Server::with_pace(Duration::from_millis(1)).await;
    let ada = server.visitor().await;
    let mut events = ada.chat(&json!({"session_id": "s", "message": "go on without me"})).await;
    events.until("run.started").await;
    drop(events);
    eventually(async || {
        (ada.json("/api/sessions/s/info").await["message_count"] == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_run_read_to_its_end_returns_204() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let events = ada.chat(&json!({"message": "hello"})).await.rest().await;
    let run = run_of(&events[0]);
    let end = events.last().unwrap().id.clone();
    assert_eq!(ada.resume(&run, &end).await.status(), 204);
    let again = Events::new(ada.resume(&run, "0").await).rest().await;
    assert_eq!(events, again);
}

#[tokio::test]
async fn an_expired_run_returns_410_and_an_unknown_one_404() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let expired = ada.resume("000000000001-00000000000000000000", "0").await;
    assert_eq!(problem(expired).await, (410, "run-expired".into()));
    assert_eq!(problem(ada.resume("unheard-of", "0").await).await, (404, "not-found".into()));
    assert_eq!(
        problem(ada.resume("unheard-of", "nonsense").await).await,
        (400, "bad-request".into())
    );
}

#[tokio::test]
async fn stopping_cancels_the_upstream_request_and_keeps_the_answer_so_far() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let mut events =
        ada.chat(&json!({"session_id": "s", "message": "hang", "model": "demo-stall"})).await;
    let run = run_of(&events.until("run.started").await);
    let mut read = vec![events.until("text.delta").await];
    eventually(async || (server.demo.open_streams() == 1).then_some(())).await;

    assert_eq!(ada.post(&format!("/api/runs/{run}/stop"), &Value::Null).await.status(), 204);
    read.extend(events.rest().await);
    let last = read.last().unwrap();
    assert_eq!(last.name, "run.stopped");
    assert!(!text(&read).is_empty());
    assert_eq!(last.data["message"]["content"], text(&read));
    server.wait_until_the_model_is_free().await;
    let history = ada.json("/api/sessions/s/messages").await;
    assert_eq!(history["messages"][1], last.data["message"]);
    // A second stop succeeds, and the session is idle.
    assert_eq!(ada.post(&format!("/api/runs/{run}/stop"), &Value::Null).await.status(), 204);
    let next = ada
        .chat_json(&json!({"session_id": "s", "message": "go on", "model": "gatehouse-demo"}))
        .await;
    assert_eq!(next.status(), 200);
}

#[tokio::test]
async fn deleting_a_session_cancels_its_run() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    let mut events =
        ada.chat(&json!({"session_id": "s", "message": "hang", "model": "demo-stall"})).await;
    events.until("text.delta").await;
    assert_eq!(ada.delete("/api/sessions/s").await.status(), 204);
    server.wait_until_the_model_is_free().await;
    assert_eq!(problem(ada.get("/api/sessions/s/info").await).await.0, 404);
}

#[tokio::test]
async fn a_run_of_a_dead_node_is_closed_as_failed_and_can_be_retried() {
    let data = TempDir::new().unwrap();
    let credential = "A".repeat(43);
    {
        let store = SqliteStore::open(
            &data.path().join("gatehouse.sqlite"),
            backend_store::Retention::default(),
        );
        let store = store.unwrap();
        let account = AccountId::parse("ada").unwrap();
        store
            .create_account(&account, &CredentialHash(Sha256::digest(&credential).into()))
            .await
            .unwrap();
        let message = Message {
            id: MessageId::parse("m").unwrap(),
            role: Role::User,
            content: "Hello?".into(),
            created_at: "2026-01-01T00:00:00Z".into(),
        };
        let run = NewRun {
            account,
            session: SessionId::parse("s").unwrap(),
            run: RunId::parse("dead").unwrap(),
            message,
            model: "gatehouse-demo".into(),
            title: "t".into(),
            idempotency: None,
            // Not expired: the file's lock proves that the owner is dead.
            lease: Duration::from_secs(3600),
        };
        store.open_run(&run).await.unwrap();
    }
    let server = Server::over(data, Default::default(), |settings| {
        settings.assistant.reap_every = Duration::from_millis(20);
    })
    .await;
    let mut ada = server.stranger();
    ada.cookie = Some(format!("__Host-gatehouse={credential}"));
    let last = Events::new(ada.resume("dead", "0").await).until("run.failed").await;
    assert_eq!(last.data["type"], "upstream-unavailable");
    assert!(last.data["retry_after"].is_u64());
    ada.exchange("s", "again").await;
}

#[tokio::test]
async fn a_drain_waits_for_answers_and_ends_the_rest_as_retryable() {
    let mut server = Server::start().await;
    let ada = server.visitor().await;
    let mut stalled = ada.chat(&json!({"message": "hang", "model": "demo-stall"})).await;
    stalled.until("text.delta").await;
    let running = server.running.take().unwrap();
    // The drain leaves answers what remains after the six seconds it reserves.
    let (last, ()) =
        tokio::join!(stalled.until("run.failed"), running.drain(Duration::from_secs(7)));
    assert_eq!(last.data["type"], "upstream-unavailable");
    assert_eq!(last.data["retry_after"], 1);
    server.wait_until_the_model_is_free().await;
}
