//! A testssl.sh scan of a gateway in its default configuration.

use std::process::Command;
use std::time::Duration;

use e2e::echo::Echo;
use e2e::edge::Edge;
use e2e::process::Process;
use serde_json::Value;
use tempfile::TempDir;

/// Findings caused by the test setup, each with its reason.
const IGNORED: &[(&str, &str)] = &[
    (
        "engine_problem",
        "the scanner's OpenSSL has no GOST engine, which Debian only recommends; no GOST is offered here",
    ),
    (
        "cert_revocation",
        "the local authority revokes nothing: its certificates are valid for 90 days on one machine",
    ),
    (
        "sessionresumption_ticket",
        "the scanner often disconnects before the first TLS 1.3 ticket arrives, and then has no result",
    ),
];

/// Checks that must be in the report, so that an empty report fails.
const REQUIRED: [&str; 12] = [
    "SSLv3",
    "TLS1_1",
    "TLS1_3",
    "ALPN_HTTP2",
    "cipherlist_AVERAGE",
    "PFS",
    "cert_chain_of_trust",
    "cert_trust",
    "heartbleed",
    "ROBOT",
    "secure_client_renego",
    "BREACH",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn testssl_finds_nothing_above_low() {
    let backend = Echo::start().await;
    let edge = Edge::start(backend.port);
    let folder = TempDir::new().expect("create a temporary folder");
    let report = folder.path().join("report.json");
    let mut scan = Process::start(
        "testssl",
        Command::new("testssl")
            // Offline: no name resolution, no revocation lists.
            .args([
                "--quiet",
                "--color",
                "0",
                "--warnings",
                "off",
                "--nodns",
                "none",
                "--ip",
                "127.0.0.1",
            ])
            .args(["--connect-timeout", "10", "--openssl-timeout", "10", "--add-ca"])
            .arg(edge.ca())
            .args([
                "--protocols",
                "--std",
                "--pfs",
                "--server-defaults",
                "--headers",
                "--vulnerable",
                "--jsonfile",
            ])
            .arg(&report)
            .arg(format!("localhost:{}", edge.https_port))
            .current_dir(folder.path()),
    );
    let status = tokio::task::block_in_place(|| scan.wait_within(Duration::from_secs(500)));
    let text = std::fs::read_to_string(&report)
        .unwrap_or_else(|error| panic!("{status}, {error}:\n{}", scan.log()));
    let findings: Vec<Value> = serde_json::from_str(&text).expect("the report is JSON");

    let missing = |id: &&&str| !findings.iter().any(|finding| text_of(finding, "id") == **id);
    let unseen: Vec<_> = REQUIRED.iter().filter(missing).collect();
    assert!(unseen.is_empty(), "checks missing from the report: {unseen:?}\n{}", scan.log());
    let bad: Vec<_> = findings
        .iter()
        .filter(|finding| !matches!(text_of(finding, "severity"), "OK" | "INFO" | "LOW"))
        .filter(|finding| !IGNORED.iter().any(|(id, _)| *id == text_of(finding, "id")))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    println!("{} findings, none above LOW", findings.len());
}

fn text_of<'f>(finding: &'f Value, key: &str) -> &'f str {
    finding[key].as_str().unwrap_or_default()
}
