//! Health and metrics, on the admin address only.

use serde_json::json;

use crate::support::{Server, problem};

#[tokio::test]
async fn probes_answer_on_the_admin_address_only() {
    let server = Server::start().await;
    for path in ["/health", "/livez", "/readyz", "/metrics"] {
        assert_eq!(reqwest::get(server.admin(path)).await.unwrap().status(), 200, "{path}");
        assert_eq!(problem(server.stranger().get(path).await).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn metrics_count_runs_tokens_and_requests() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    ada.exchange("s", "count me").await;
    ada.chat_json(&json!({"message": "hello", "model": "demo-429-then-success"})).await;
    let metrics = reqwest::get(server.admin("/metrics")).await.unwrap().text().await.unwrap();
    for line in [
        "gatehouse_ai_runs_total{model=\"gatehouse-demo\",result=\"completed\"} 1",
        "gatehouse_ai_first_token_seconds_count",
        "gatehouse_ai_tokens_total{kind=\"completion\",model=\"gatehouse-demo\"}",
        "gatehouse_backend_requests_total{method=\"POST\",route=\"/api/chat\",status=\"200\"}",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    assert!(!server.registry.gather().is_empty());
}

#[tokio::test]
async fn a_role_serves_its_own_paths_only() {
    let server = Server::start().await;
    // Both roles run here: /ws responds that it expects a WebSocket.
    assert_eq!(problem(server.stranger().get("/ws").await).await.0, 400);
}
