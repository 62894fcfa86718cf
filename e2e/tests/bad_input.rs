//! Mistakes of operators and clients: each causes a clear error in the right place and loses
//! nothing.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use e2e::client::Visitor;
use e2e::gatehouse::{Gatehouse, command};
use e2e::process::Process;
use e2e::{free_port, program};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

#[test]
fn start_fails_on_an_occupied_port_and_names_it() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut process =
        Process::start("gatehouse", &mut command(&folder, port, free_port(), free_port()));
    assert!(!process.wait().success(), "it must not run without its port");
    let log = process.log();
    assert!(
        log.contains(&format!("127.0.0.1:{port}")) && log.contains("another program listens there"),
        "{log}"
    );
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn unknown_configuration_key_is_rejected_with_position_and_suggestion() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.toml");
    fs::write(
        &path,
        "[[listener]]\nname = \"https\"\nadress = \"localhost:0\"\nprotocol = \"https\"\n",
    )
    .unwrap();
    let mut process = Process::start(
        "gateway",
        Command::new(program("gateway")).arg("run").arg("--config").arg(&path),
    );
    assert!(!process.wait().success());
    let log = process.log();
    assert!(
        log.contains("gateway.toml:3") && log.contains("`adress`") && log.contains("`address`"),
        "{log}"
    );
}

#[test]
fn missing_certificate_file_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.toml");
    let text = format!(
        "[[listener]]\nname = \"https\"\naddress = \"localhost:{}\"\nprotocol = \"https\"\n\n[[certificate]]\nname = \"c\"\n\
         source = \"files\"\ncert = \"missing-cert.pem\"\nkey = \"missing-key.pem\"\n\n[[route]]\nname = \"r\"\n\
         path_prefix = \"/\"\nrespond = {{ status = 200, body = \"hello\" }}\n",
        free_port()
    );
    fs::write(&path, text).unwrap();
    let mut process = Process::start(
        "gateway",
        Command::new(program("gateway")).arg("run").arg("--config").arg(&path),
    );
    assert!(!process.wait().success());
    assert!(process.log().contains("missing-cert.pem"), "{}", process.log());
}

#[test]
fn unreachable_redis_is_logged_without_its_password() {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let mut process = Process::start(
        "backend",
        Command::new(program("backend"))
            .args(["--role", "all", "--listen", "127.0.0.1:0"])
            .env("REDIS_URL", format!("redis://:hunter2-secret@127.0.0.1:{port}"))
            .current_dir(folder.path()),
    );
    process.wait_for_log("cannot connect to Redis");
    let log = process.log();
    assert!(log.contains(&format!("127.0.0.1:{port}")), "{log}");
    assert!(!log.contains("hunter2-secret"), "{log}");
}

#[test]
fn invalid_backend_setting_is_named() {
    let mut process = Process::start(
        "backend",
        Command::new(program("backend"))
            .args(["--role", "all", "--listen", "127.0.0.1:0"])
            .env("HISTORY_MESSAGES", "many"),
    );
    assert!(!process.wait().success());
    assert!(
        process.log().contains("HISTORY_MESSAGES") || process.log().contains("history-messages"),
        "{}",
        process.log()
    );
}

#[tokio::test]
async fn malformed_api_requests_return_problem_details() {
    let gatehouse = Gatehouse::start();
    let mut visitor: Visitor = gatehouse.visitor();
    let big = json!({"message": "x".repeat(300 * 1024)});
    let (status, problem) = visitor.write(Method::POST, "/api/chat", &big).await;
    assert_eq!((status, &problem["type"]), (413, &json!("too-large")), "{problem}");

    let (status, problem) =
        visitor.write(Method::POST, "/api/chat", &json!({"mesage": "Hi"})).await;
    assert!(status == 400 || status == 422, "{status} {problem}");
    assert!(
        problem["detail"].as_str().is_some_and(|detail| detail.contains("mesage")),
        "{problem}"
    );

    let foreign =
        visitor.request(Method::POST, "/api/chat").header("origin", "https://evil.example");
    let answer = visitor.send(foreign.json(&json!({"message": "Hi"}))).await;
    assert_eq!(answer.status(), 403);

    let (status, _) = visitor.get("/api/me").await;
    assert_eq!(status, 401, "none of these requests created an account");
    let (status, _) = visitor.write(Method::POST, "/api/me", &json!({})).await;
    assert_eq!(status, 200);
    let (status, problem) = visitor.get("/api/sessions/no-such-session/messages").await;
    assert_eq!((status, &problem["type"]), (404, &json!("not-found")));

    let mut live = visitor.join("ada-1", "Ada").await;
    live.send_text("{\"id\": 1, \"do\": {\"type\": \"sing\"}}".into()).await;
    assert_eq!(live.closed().await, 4501);

    let (status, _) = visitor.get("/api/me").await;
    assert_eq!(status, 200, "everything still works");
    assert!(!gatehouse.process.log().contains("panicked"));
}
