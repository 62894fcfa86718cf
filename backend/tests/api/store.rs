//! An unavailable store: errors instead of hanging.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Server, problem};

#[tokio::test]
async fn an_unavailable_store_gets_503_with_retry_after() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    // Another process holds the file's write lock for longer than the store waits.
    let other = Connection::open(server.data().join("gatehouse.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = ada.post("/api/me", &json!({"username": "ada"})).await;
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(problem(refused).await, (503, "store-unavailable".into()));

    other.execute_batch("ROLLBACK").unwrap();
    let claimed = ada.post("/api/me", &json!({"username": "ada"})).await;
    assert_eq!(claimed.json::<Value>().await.unwrap()["username"], "ada");
}
