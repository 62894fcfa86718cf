//! Two nodes over one real Redis: a run started on one is read and stopped on the other.

use std::net::TcpListener;
use std::process::Stdio;

use backend::Settings;
use backend_store::redis::RedisSettings;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::{Events, Server, eventually, problem, text};

/// A Redis server for one test.
pub(crate) struct Redis {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let child = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server is installed");
        let answers = async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok();
        eventually(answers).await;
        Self { child, port, _folder: folder }
    }

    pub(crate) async fn node(&self, change: impl FnOnce(&mut Settings)) -> Server {
        let url = format!("redis://127.0.0.1:{}", self.port);
        Server::with(move |settings| {
            settings.redis = Some(RedisSettings { url, ..RedisSettings::default() });
            change(settings);
        })
        .await
    }
}

#[tokio::test]
async fn a_run_started_on_one_node_is_read_and_stopped_on_the_other() {
    let redis = Redis::start().await;
    let (here, there) = (redis.node(|_| {}).await, redis.node(|_| {}).await);
    let ada = here.visitor().await;
    let mut ada_there = there.stranger();
    ada_there.cookie = ada.cookie.clone();
    assert_eq!(ada.json("/api/me").await, ada_there.json("/api/me").await);

    let mut here_events =
        ada.chat(&json!({"session_id": "s", "message": "hang", "model": "demo-stall"})).await;
    let started = here_events.until("run.started").await;
    let run = started.data["run_id"].as_str().unwrap();
    let mut elsewhere = Events::new(ada_there.resume(run, "0").await);
    let shown = elsewhere.until("text.delta").await;
    assert_eq!(ada_there.post(&format!("/api/runs/{run}/stop"), &Value::Null).await.status(), 204);
    let stopped = elsewhere.until("run.stopped").await;
    assert_eq!(here_events.until("run.stopped").await, stopped);
    assert!(stopped.data["message"]["content"].as_str().unwrap().starts_with(&text(&[shown])));
    here.wait_until_the_model_is_free().await;
    assert_eq!(
        ada_there.json("/api/sessions/s/messages").await["messages"][1],
        stopped.data["message"]
    );
}

#[tokio::test]
async fn a_dead_redis_is_503_and_not_ready() {
    let mut redis = Redis::start().await;
    let node = redis.node(|_| {}).await;
    let ada = node.visitor().await;
    redis.child.kill().await.expect("it ran");
    let refused = ada.get("/api/sessions").await;
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(problem(refused).await, (503, "store-unavailable".into()));
    assert_eq!(reqwest::get(node.admin("/readyz")).await.unwrap().status(), 503);
    assert_eq!(reqwest::get(node.admin("/livez")).await.unwrap().status(), 200);
}
