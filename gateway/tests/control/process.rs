//! The `gateway` program: signals, exit codes, and the output of its commands.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::pebble::free_port;
use crate::support::{
    Collector, FRONT, Program, SOON, eventually, fixed_route, next, program as gateway, replace,
    within,
};

fn config(word: &str) -> String {
    format!("{}{}", FRONT.replace("level = \"error\"", "level = \"info\""), fixed_route(word))
}

#[tokio::test]
async fn sighup_reloads_and_the_process_keeps_running() {
    let mut program = Program::run(&config("before")).await;
    program.signal(Signal::SIGHUP);
    next(&mut program.log, "\"cause\":\"SIGHUP\"").await;
    let done = next(&mut program.log, "\"message\":\"configuration reloaded\"").await;
    assert!(done.contains("nothing changed"), "{done}");
    replace(&program.directory.path().join("gateway.toml"), "nonsense");
    program.signal(Signal::SIGHUP);
    let failed = next(&mut program.log, "reload failed").await;
    assert!(failed.contains("gateway.toml") && failed.contains("\"line\":1"), "{failed}");
    let alive = || async {
        reqwest::get(format!("http://{}/readyz", program.admin)).await.unwrap().status().as_u16()
    };
    eventually(200, alive).await;
}

#[tokio::test]
async fn a_reload_changes_log_format_and_access_log() {
    let mut program = Program::run(&config("word")).await;
    let written = |format: &str, access: bool| {
        let log = format!("level = \"info\"\nformat = \"{format}\"\naccess = {access}");
        FRONT.replace("level = \"error\"\naccess = false", &log) + &fixed_route("word")
    };
    program.reload(&written("text", true)).await;
    next(&mut program.log, " INFO configuration reloaded").await;
    program.ask("/word").await;
    let line = next(&mut program.log, "path=\"/word\"").await;
    assert!(line.contains("status=200"), "{line}");

    program.reload(&written("json", false)).await;
    next(&mut program.log, "\"message\":\"configuration reloaded\"").await;
    program.ask("/unlogged").await;
    program.reload(&written("json", true)).await;
    program.ask("/word").await;
    // The file watcher may reload too, so other lines can come first.
    let mut line = String::new();
    while !line.contains("\"path\":\"/word\"") {
        line = next(&mut program.log, "").await;
        assert!(!line.contains("/unlogged"), "{line}");
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
    }
}

#[tokio::test]
async fn sigterm_drains_and_exits_with_0() {
    let mut program = Program::run(&config("x")).await;
    program.signal(Signal::SIGTERM);
    assert!(within(SOON, program.child.wait()).await.unwrap().success());
}

#[tokio::test]
async fn the_drain_command_returns_when_the_gateway_has_stopped() {
    let mut program = Program::run(&config("x")).await;
    let admin = program.admin.to_string();
    let drained =
        gateway(program.directory.path(), &["drain", "--admin", &admin]).output().await.unwrap();
    assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
    assert!(within(SOON, program.child.wait()).await.unwrap().success());
}

#[tokio::test]
async fn the_drain_command_reaches_an_admin_address_that_is_not_loopback() {
    for any in ["0.0.0.0:0", "[::]:0"] {
        let mut program = Program::run(&config("x").replace("127.0.0.1:0", any)).await;
        assert!(program.admin.ip().is_unspecified(), "{}", program.admin);
        // The command must ignore the proxy settings of the environment.
        let mut drain =
            gateway(program.directory.path(), &["drain", "--admin", &program.admin.to_string()]);
        let drained = drain.env("http_proxy", "http://127.0.0.1:1").output().await.unwrap();
        assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
        assert!(within(SOON, program.child.wait()).await.unwrap().success());
    }
}

#[tokio::test]
async fn an_occupied_port_fails_the_start_with_a_reason() {
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("gateway.toml"),
        config("x").replace("localhost:0", &address),
    )
    .unwrap();
    let output = within(SOON, gateway(directory.path(), &["run"]).output()).await.unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint.contains(&address) && complaint.contains("key `address`"), "{complaint}");
}

#[tokio::test]
async fn check_prints_a_summary_or_every_problem() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("gateway.toml"), config("x")).unwrap();
    let output = gateway(directory.path(), &["check"]).output().await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("gateway.toml is valid: 1 listeners"),
        "{printed}"
    );
    assert!(printed.contains("# certificate local: localhost, 127.0.0.1, ::1"), "{printed}");

    std::fs::write(directory.path().join("gateway.toml"), config("x").replace("address", "adress"))
        .unwrap();
    let output = gateway(directory.path(), &["check"]).output().await.unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(printed.matches("unknown key `adress`").count(), 2, "{printed}");
}

#[tokio::test]
async fn a_collector_outage_and_its_end_are_logged_once_each() {
    let collector = Collector::start().await;
    collector.refuse(Some(400));
    let port = free_port();
    let plain = format!(
        "[[listener]]\nname = \"plain\"\naddress = \"127.0.0.1:{port}\"\nprotocol = \"http\"\nmode = \"plain\"\n"
    );
    let mut program =
        Program::run(&format!("{}{plain}{}", config("x"), collector.section(1.0))).await;
    let ask = async || {
        let before = collector.asked();
        reqwest::get(format!("http://127.0.0.1:{port}/word")).await.unwrap();
        eventually(true, || async { collector.asked() > before }).await;
    };
    ask().await;
    ask().await;
    collector.refuse(None);
    ask().await;
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.contains("accepts traces again")) {
        let line = within(SOON, program.log.next_line()).await.unwrap().unwrap();
        if line.contains("traces") {
            lines.push(line);
        }
    }
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].contains("the collector does not accept traces") && lines[0].contains("400"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn check_and_doctor_create_no_files() {
    let directory = tempfile::tempdir().unwrap();
    let ordered = "\n[[certificate]]\nname = \"public\"\nsource = \"acme\"\nnames = [\"a.invalid\"]\n\
         directory = \"https://localhost:1/dir\"\n";
    std::fs::write(directory.path().join("gateway.toml"), config("x") + ordered).unwrap();
    let output = gateway(directory.path(), &["check"]).output().await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    assert!(
        printed.contains("# certificate local: localhost, 127.0.0.1, ::1; issued at startup"),
        "{printed}"
    );
    assert!(
        printed.contains(
            "# certificate public: a.invalid; ordered after startup from https://localhost:1/dir"
        ),
        "{printed}"
    );
    let output = gateway(directory.path(), &["doctor", "--nameserver", "127.0.0.1:1"])
        .output()
        .await
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("look  certificate public: is not ordered yet"), "{printed}");
    let there: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(there, ["gateway.toml"]);
}

#[tokio::test]
async fn schema_prints_a_json_schema() {
    let output = gateway(Path::new("/"), &["schema"]).output().await.unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["properties"]["listener"].is_object());
}

#[tokio::test]
async fn doctor_reports_reachable_and_unreachable_targets() {
    let backend = crate::support::Backend::start().await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let good = format!("{}{}", config("x"), crate::support::backend_routes(&backend));
    std::fs::write(directory.path().join("gateway.toml"), &good).unwrap();
    let output = gateway(directory.path(), &["doctor"]).output().await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}");
    assert!(
        printed
            .contains(&format!("ok    WebSocket /ws at {}: accepts WebSockets", backend.address)),
        "{printed}"
    );

    let bad = good.replace(&backend.address.to_string(), &gone.to_string());
    std::fs::write(directory.path().join("gateway.toml"), bad).unwrap();
    let output = gateway(directory.path(), &["doctor"]).output().await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && printed.contains(&format!("BAD   upstream backend at {gone}")),
        "{printed}"
    );
}
