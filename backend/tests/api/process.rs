//! The program itself: help, invalid settings, Unix socket, shutdown.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::{SOON, eventually};

pub(crate) fn backend(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backend"));
    command
        .args(args)
        .env_remove("OPENAI_API_KEY")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn terminate(child: &Child) {
    let pid = child.id().expect("it runs").to_string();
    assert!(
        Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs").success()
    );
}

#[tokio::test]
async fn it_serves_a_unix_socket_and_exits_with_0_on_sigterm() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("backend.sock");
    let listen = format!("unix:{}", socket.display());
    let data = folder.path().join("data");
    let mut child =
        backend(&["--listen", &listen, "--data-dir", data.to_str().unwrap(), "--drain", "5s"])
            .spawn()
            .unwrap();
    let mut stream = eventually(async || UnixStream::connect(&socket).await.ok()).await;
    stream
        .write_all(b"GET /api/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("gatehouse-demo"), "{answer}");

    terminate(&child).await;
    let status = timeout(SOON, child.wait()).await.expect("it ends in time").unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn invalid_settings_are_rejected_before_anything_is_bound() {
    for (name, value, expected) in [
        ("OPENAI_APIKEY", "sk", "did you mean OPENAI_API_KEY"),
        ("OPENAI_MODEL", "gpt", "OPENAI_MODEL needs"),
        ("REDIS_URL", "http://x", "REDIS_URL must begin"),
        ("SESSION_TTL", "soon", "session-ttl"),
    ] {
        let mut child = backend(&["--listen", "127.0.0.1:0"]).env(name, value).spawn().unwrap();
        let status = timeout(SOON, child.wait()).await.expect("it ends in time").unwrap();
        assert_ne!(status.code(), Some(0), "{name}");
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).await.unwrap();
        assert!(stderr.contains(expected), "{name}: {stderr}");
    }
}

#[tokio::test]
async fn help_explains_the_settings_and_shows_no_secret() {
    let output = backend(&["--help"]).env("OPENAI_API_KEY", "sk-secret").output().await.unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for setting in [
        "OPENAI_BASE_URL",
        "REDIS_HOST",
        "HISTORY_MESSAGES",
        "SESSION_TTL",
        "ADMIN_ADDR",
        "DATA_DIR",
        "ACCOUNTS_PER_ADDRESS_HOURLY",
        "ENCRYPTION_KEY_ROTATION",
    ] {
        assert!(help.contains(setting), "{setting}");
    }
    assert!(!help.contains("sk-secret"));
}

/// Sends one request over the socket; returns the whole response.
async fn ask(socket: &Path, line: &str, token: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let request = format!(
        "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn no_code_token_or_sealed_key_is_logged() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("backend.sock");
    let listen = format!("unix:{}", socket.display());
    let data = folder.path().join("data");
    let mut child = backend(&["--listen", &listen, "--data-dir", data.to_str().unwrap()])
        .env("RUST_LOG", "backend=trace,backend_store=trace,tower_http=trace,axum=trace")
        .spawn()
        .unwrap();
    eventually(async || UnixStream::connect(&socket).await.ok()).await;
    let opened = ask(&socket, "POST /api/links", "none", "").await;
    assert!(opened.starts_with("HTTP/1.1 201"), "{opened}");
    let link: Value = serde_json::from_str(opened.split_once("\r\n\r\n").unwrap().1).unwrap();
    let (code, token) = (link["code"].as_str().unwrap(), link["token"].as_str().unwrap());
    let claimed = ask(&socket, &format!("POST /api/links/{code}/claim"), token, "").await;
    assert!(claimed.starts_with("HTTP/1.1 409"), "not approved: {claimed}");
    let recovery = "cmVjb3ZlcnktdG9rZW4tb2YtMzItYnl0ZXMtaW4tYWw";
    let body = json!({"token": recovery}).to_string();
    let refused = ask(&socket, "POST /api/recovery", "none", &body).await;
    assert!(refused.starts_with("HTTP/1.1 404"), "{refused}");
    let body = json!({"sealed": recovery}).to_string();
    let refused = ask(&socket, "PUT /api/identity", "none", &body).await;
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");

    terminate(&child).await;
    timeout(SOON, child.wait()).await.expect("it ends in time").unwrap();
    let mut logs = String::new();
    child.stderr.take().unwrap().read_to_string(&mut logs).await.unwrap();
    child.stdout.take().unwrap().read_to_string(&mut logs).await.unwrap();
    assert!(logs.contains("/api/links/{code}/claim"), "the route is logged: {logs}");
    for secret in [code, token, recovery] {
        assert!(!logs.contains(secret), "{secret} is in the logs: {logs}");
    }
}
