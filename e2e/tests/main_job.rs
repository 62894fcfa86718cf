//! The main features over real HTTPS without a browser: assistant, private messages, metrics,
//! reload.

use std::fs;

use e2e::gatehouse::{Gatehouse, admin};
use e2e::process::eventually;
use e2e::split::Split;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

fn envelope(text: &str) -> Value {
    json!({"suite": "rsa-aes-1", "header": "aGVhZA", "nonce": "bm9uY2U", "ciphertext": text,
           "keys": [{"device": "d", "key": "a2V5"}], "signature": "c2ln"})
}

#[tokio::test]
async fn assistant_streams_an_answer_and_stores_the_chat_session() {
    let gatehouse = Gatehouse::start();
    let mut visitor = gatehouse.visitor();
    let events = visitor.chat(&json!({"session_id": "first", "message": "What are you?"})).await;
    assert_eq!(events[0].event, "run.started");
    let deltas: Vec<&str> = events
        .iter()
        .filter(|event| event.event == "text.delta")
        .filter_map(|event| event.data["text"].as_str())
        .collect();
    assert!(deltas.len() > 1, "the answer is not streamed: {deltas:?}");
    let last = events.last().expect("a run has events");
    assert_eq!(last.event, "run.completed");
    assert_eq!(last.data["message"]["content"], deltas.concat());

    let (status, history) = visitor.get("/api/sessions/first/messages").await;
    assert_eq!(status, 200);
    assert_eq!(history["messages"][0]["content"], "What are you?");
    assert_eq!(history["messages"][1]["content"], deltas.concat());
    let (_, list) = visitor.get("/api/sessions").await;
    assert_eq!(list["sessions"][0]["id"], "first");

    let mut stranger = gatehouse.visitor();
    let (status, problem) = stranger.get("/api/sessions/first/messages").await;
    assert_eq!(
        (status, &problem["type"]),
        (401, &json!("unauthenticated")),
        "reading creates no account"
    );
    let (status, _) = stranger.write(Method::POST, "/api/me", &json!({})).await;
    assert_eq!(status, 200, "a write creates an account");
    let (status, _) = stranger.get("/api/sessions/first/messages").await;
    assert_eq!(status, 404, "another account's session is not found");
    let (status, _) = visitor.write(Method::DELETE, "/api/sessions/first", &json!({})).await;
    assert!(status == 200 || status == 204, "deleting answers {status}");
    let (status, _) = visitor.get("/api/sessions/first/messages").await;
    assert_eq!(status, 404, "a deleted session is gone");
}

#[tokio::test]
async fn chat_session_survives_a_restart() {
    let mut gatehouse = Gatehouse::start();
    let mut visitor = gatehouse.visitor();
    let (status, answer) = visitor
        .write(Method::POST, "/api/chat", &json!({"session_id": "kept", "message": "Hi"}))
        .await;
    assert_eq!(status, 200, "{answer}");
    gatehouse.process.signal(Signal::SIGTERM);
    assert!(gatehouse.process.wait().success(), "SIGTERM exits with 0");
    let again = gatehouse.restart();
    visitor.move_to(again.https_port);
    let (status, history) = visitor.get("/api/sessions/kept/messages").await;
    assert_eq!((status, &history["messages"][0]["content"]), (200, &json!("Hi")));
}

#[tokio::test]
async fn two_people_meet_in_the_lobby_and_exchange_envelopes() {
    let gatehouse = Gatehouse::start();
    let (mut ada, mut bob) = (gatehouse.visitor(), gatehouse.visitor());
    let mut ada_live = ada.join("ada-1", "Ada").await;
    let mut bob_live = bob.join("bob-1", "Bob").await;
    ada_live.request(json!({"type": "lobby", "on": true})).await;
    ada_live.until("notice").await;
    bob_live.request(json!({"type": "lobby", "on": true})).await;
    let seen =
        ada_live.until_where("notice", |frame| frame["notice"]["kind"] == "lobby_change").await;
    assert_eq!(seen["notice"]["user"]["username"], "Bob");
    let bob_account = seen["notice"]["user"]["account_id"].clone();

    let send = json!({"type": "send", "to": bob_account, "cid": "m1", "envelope": envelope("Y2lwaGVydGV4dA")});
    ada_live.request(send.clone()).await;
    let first = ada_live.until("ok").await;
    ada_live.request(send).await;
    let second = ada_live.until("ok").await;
    assert_eq!(first["sent"], second["sent"], "a retry returns the same answer");
    let event = bob_live.until_where("event", |frame| frame["event"]["kind"] == "message").await;
    assert_eq!(event["event"]["envelope"]["ciphertext"], "Y2lwaGVydGV4dA");

    drop(bob_live);
    let left = ada_live.until_where("notice", |frame| frame["notice"]["present"] == false).await;
    assert_eq!(left["notice"]["user"]["username"], "Bob");
}

#[tokio::test]
async fn metrics_are_served_on_the_admin_address_only() {
    let gatehouse = Gatehouse::start();
    let mut visitor = gatehouse.visitor();
    visitor.get("/api/me").await;
    // A request is counted when it ends, shortly after its answer arrives.
    let wanted = [
        "gateway_requests_total{",
        "gateway_config_last_reload_successful 1",
        "gatehouse_backend_",
    ];
    eventually("metrics of gateway and backend", || {
        let (status, metrics) = admin(gatehouse.admin_port, "GET", "/metrics")?;
        (status == 200 && wanted.iter().all(|name| metrics.contains(name))).then_some(())
    });
    let (_, page) = visitor.get("/metrics").await;
    assert!(!page.to_string().contains("gateway_requests_total"), "metrics are not public");
}

#[tokio::test]
async fn reload_changes_a_route_and_keeps_websockets_and_a_broken_file_changes_nothing() {
    let mut split = Split::start();
    let mut visitor = split.visitor();
    let mut live = visitor.join("ada-1", "Ada").await;
    let good = fs::read_to_string(split.configuration()).expect("read the file");

    let changed = format!(
        "{good}\n[[route]]\nname = \"hello\"\npath = \"/hello\"\nrespond = {{ status = 200, body = \"changed\" }}\n"
    );
    fs::write(split.configuration(), &changed).expect("write the file");
    split.gateway.signal(Signal::SIGHUP);
    eventually_hello(&mut visitor, "changed").await;
    assert!(live.answers_ping().await, "the WebSocket stays open");

    let broken = changed.replace("respond =", "respnd =");
    fs::write(split.configuration(), broken).expect("write the file");
    let (status, report) =
        admin(split.admin_port, "POST", "/reload").expect("the admin address answers");
    assert_eq!(status, 422, "{report}");
    let line = changed
        .lines()
        .position(|line| line.starts_with("respond"))
        .expect("find the changed line")
        + 1;
    for part in ["gateway.toml", &format!("{line}"), "respnd", "respond"] {
        assert!(report.contains(part), "the report names `{part}`: {report}");
    }
    split.gateway.wait_for_log("respnd");
    let (_, metrics) =
        admin(split.admin_port, "GET", "/metrics").expect("the admin address answers");
    assert!(metrics.contains("gateway_config_last_reload_successful 0"), "{metrics}");
    eventually_hello(&mut visitor, "changed").await;
    assert!(live.answers_ping().await, "the WebSocket is still open");
}

async fn eventually_hello(visitor: &mut e2e::client::Visitor, expected: &str) {
    let deadline = tokio::time::Instant::now() + e2e::process::TIMEOUT;
    loop {
        let (_, body) = visitor.get("/hello").await;
        if body.as_str() == Some(expected) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "/hello still answers {body}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn two_backends_on_one_redis_deliver_to_each_other() {
    let split = Split::start();
    let (first, second) = (split.backends[0].0, split.backends[1].0);
    let (mut ada, mut bob) = (split.visitor().directly(first), split.visitor().directly(second));
    let mut ada_live = ada.join("ada-1", "Ada").await;
    let mut bob_live = bob.join("bob-1", "Bob").await;
    let (_, me) = bob.get("/api/me").await;
    ada_live.request(json!({"type": "send", "to": me["account_id"], "cid": "m1", "envelope": envelope("YWNyb3Nz")})).await;
    ada_live.until("ok").await;
    let event = bob_live.until_where("event", |frame| frame["event"]["kind"] == "message").await;
    assert_eq!(event["event"]["envelope"]["ciphertext"], "YWNyb3Nz");
}

#[test]
fn sigterm_exits_with_0_and_frees_the_port() {
    let mut gatehouse = Gatehouse::start();
    gatehouse.process.signal(Signal::SIGTERM);
    assert!(gatehouse.process.wait().success(), "{}", gatehouse.process.log());
    eventually("the port to be free", || {
        std::net::TcpListener::bind(("127.0.0.1", gatehouse.https_port)).ok()
    });
}
