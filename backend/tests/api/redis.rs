//! Two nodes over one real Redis: a run started on one is read and stopped on the other.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use backend::Settings;
use backend_store::redis::RedisSettings;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::process::backend;
use crate::socket::{Socket, account, keys, message_to};
use crate::support::{Events, SOON, Server, eventually, problem, text};

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

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Suspends it (SIGSTOP) or continues it (SIGCONT).
    async fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().await;
        assert!(sent.expect("kill runs").success());
    }

    pub(crate) async fn node(&self, change: impl FnOnce(&mut Settings)) -> Server {
        let url = self.url();
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

#[tokio::test]
async fn a_run_of_a_killed_node_ends_within_15_s() {
    let redis = Redis::start().await;
    let alive = redis.node(|_| {}).await;
    let ada = alive.visitor().await;
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("backend.sock");
    let listen = format!("unix:{}", socket.display());
    // A token a second: the answer takes longer than the test.
    let mut killed = backend(&["--listen", &listen, "--demo-token-ms", "1000"])
        .args(["--redis-url", &redis.url()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stream = eventually(async || UnixStream::connect(&socket).await.ok()).await;
    let body = json!({"session_id": "s", "message": "tell me"}).to_string();
    let request = format!(
        "POST /api/chat HTTP/1.1\r\nhost: x\r\ncookie: {}\r\naccept: text/event-stream\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        ada.cookie.as_deref().unwrap(),
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !answer.contains("text.delta") {
        let mut buffer = [0; 4096];
        let read = timeout(SOON, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert_ne!(read, 0, "the answer ended: {answer}");
        answer.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    let (_, run) = answer.split_once(r#""run_id":""#).unwrap();
    let run = run.split_once('"').unwrap().0;

    killed.kill().await.unwrap();
    let start = Instant::now();
    let mut events = Events::new(ada.resume(run, "0").await);
    events.until("text.delta").await;
    let last = events.until("run.failed").await;
    assert!(start.elapsed() < Duration::from_secs(15), "took {:?}", start.elapsed());
    assert_eq!(last.data["type"], "upstream-unavailable");
    assert!(last.data["detail"].as_str().unwrap().contains("stopped"), "{}", last.data);
    ada.exchange("s", "again").await;
}

#[tokio::test]
async fn a_run_whose_store_is_away_longer_than_its_lease_keeps_its_text() {
    let redis = Redis::start().await;
    let brisk = |settings: &mut Settings| {
        settings.assistant.lease = Duration::from_secs(2);
        settings.assistant.renew_every = Duration::from_millis(200);
        settings.assistant.reap_every = Duration::from_millis(50);
    };
    let (here, _there) = (redis.node(brisk).await, redis.node(brisk).await);
    let ada = here.visitor().await;
    let mut events =
        ada.chat(&json!({"session_id": "s", "message": "hang", "model": "demo-stall"})).await;
    let run = events.until("run.started").await.data["run_id"].as_str().unwrap().to_owned();
    let shown = events.until("text.delta").await;

    redis.signal("-STOP").await;
    // The deadline of a call is longer than the lease.
    let start = Instant::now();
    assert_eq!(problem(ada.get("/api/sessions").await).await, (503, "store-unavailable".into()));
    assert!(start.elapsed() > Duration::from_secs(2), "took {:?}", start.elapsed());
    redis.signal("-CONT").await;
    // Both nodes looked for dead runs, and the run is still open.
    let stop = async || {
        let stopped = ada.post(&format!("/api/runs/{run}/stop"), &Value::Null).await;
        (stopped.status() == 204).then_some(())
    };
    eventually(stop).await;
    let stopped = Events::new(ada.resume(&run, "0").await).until("run.stopped").await;
    assert!(stopped.data["message"]["content"].as_str().unwrap().starts_with(&text(&[shown])));
    let history = ada.json("/api/sessions/s/messages").await;
    assert_eq!(history["messages"][1], stopped.data["message"]);
}

#[tokio::test]
async fn a_socket_stays_open_while_redis_hangs() {
    let redis = Redis::start().await;
    let node = redis.node(|settings| settings.credential_check = Duration::from_millis(100)).await;
    let ada = node.visitor().await;
    let me = account(&ada).await;
    assert_eq!(ada.put("/api/devices/d1", &keys("d1")).await.status(), 204);
    let mut socket = Socket::open(&ada, "d1").await;
    redis.signal("-STOP").await;
    for n in 0..2 {
        socket.send_request(&message_to(&me, &format!("c{n}"))).await;
        let refused = socket.until(|frame| frame["type"] == "err").await;
        assert_eq!(refused["code"], "store-unavailable");
        assert_eq!(refused["temporary"], true);
    }
    redis.signal("-CONT").await;
    socket.send_request(&message_to(&me, "c9")).await;
    socket.until(|frame| frame["type"] == "ok").await;
    // The check continues: a removed device is signed out.
    assert_eq!(ada.delete("/api/devices/d1").await.status(), 204);
    assert_eq!(socket.closed().await, 4503);
}
