//! Metrics: a real Prometheus scrapes them, its linter finds no problems, and no visitor can add
//! label values.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use e2e::client::Visitor;
use e2e::gatehouse::{Gatehouse, admin};
use e2e::process::{Process, eventually};
use e2e::{free_port, scrape};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_scrapes_the_gateway() {
    let gatehouse = Gatehouse::start();
    gatehouse.visitor().get("/api/me").await;
    let folder = TempDir::new().expect("create a temporary folder");
    let (port, path) = (free_port(), folder.path().join("prometheus.yml"));
    let settings = format!(
        "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: gatehouse\n    static_configs:\n      \
         - targets: [\"127.0.0.1:{}\"]\n",
        gatehouse.admin_port
    );
    fs::write(&path, settings).expect("write the configuration");
    let mut command = Command::new("/usr/bin/prometheus");
    command
        .arg(format!("--config.file={}", path.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let mut prometheus = Process::start("prometheus", &mut command);
    for query in ["up==1", "gateway_requests_total", "gateway_config_last_reload_successful==1"] {
        prometheus.wait_for(query, |_| {
            let (status, answer) = admin(port, "GET", &format!("/api/v1/query?query={query}"))?;
            let answer: Value = serde_json::from_str(&answer).ok()?;
            let found = !answer["data"]["result"].as_array()?.is_empty();
            (status == 200 && found).then_some(())
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_finds_no_problems() {
    let gatehouse = Gatehouse::start();
    exercise(&mut gatehouse.visitor()).await;
    let metrics = eventually("metrics of gateway and backend", || {
        let metrics = scrape::metrics(gatehouse.admin_port);
        let wanted = [
            "\ngateway_requests_total{",
            "\ngatehouse_backend_requests_total{",
            "\ngatehouse_live_",
        ];
        wanted.iter().all(|name| metrics.contains(name)).then_some(metrics)
    });
    let mut promtool = Command::new("/usr/bin/promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed with prometheus");
    promtool
        .stdin
        .take()
        .expect("stdin is piped")
        .write_all(metrics.as_bytes())
        .expect("write to promtool");
    let output = promtool.wait_with_output().expect("wait for promtool");
    let found = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && found.trim().is_empty(), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_paths_add_no_label_values() {
    let gatehouse = Gatehouse::start();
    let mut visitor = gatehouse.visitor();
    exercise(&mut visitor).await;
    let before = scrape::labels(&scrape::metrics(gatehouse.admin_port));
    for number in 0..1000 {
        let path = match number % 4 {
            0 => format!("/api/unknown-{number}"),
            1 => format!("/api/sessions/unknown-{number}/messages"),
            2 => format!("/unknown-{number}"),
            _ => format!("/assets/unknown-{number}.js?unknown-{number}"),
        };
        visitor
            .send(
                visitor
                    .request(Method::GET, &path)
                    .header("user-agent", format!("unknown-{number}")),
            )
            .await;
    }
    let metrics = scrape::metrics(gatehouse.admin_port);
    assert!(!metrics.contains("unknown-"), "a label contains input from a visitor");
    for (label, values) in scrape::labels(&metrics) {
        let known = before.get(&label).cloned().unwrap_or_default();
        let new: BTreeSet<_> = values.difference(&known).collect();
        // Status codes vary: 429 after many requests, 404 for missing paths.
        let most = if label.ends_with("{code") || label.ends_with("{status") { 5 } else { 2 };
        assert!(new.len() <= most, "{label} has new values: {new:?}");
    }
}

/// Sends some requests of each kind, so that all series exist.
async fn exercise(visitor: &mut Visitor) {
    for path in ["/", "/api/me", "/api/sessions", "/missing", "/api/missing"] {
        visitor.send(visitor.request(Method::GET, path)).await;
    }
    visitor.join("ada-1", "Ada").await;
    visitor.chat(&serde_json::json!({"message": "Hi"})).await;
}
