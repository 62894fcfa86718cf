//! Certificates ordered by ACME from Pebble, validated through the gateway's own listeners.

use std::process::Command;
use std::time::Duration;

use gateway::Options;
use rcgen::{CertificateParams, KeyPair};

use crate::support::pebble::{Pebble, free_port};
use crate::support::tls::{Connection, issuer};
use crate::support::{SOON, TestGateway, eventually, fixed_route, install_provider, within};

const NAME: &str = "chat.example.org";

fn config(tls: u16, http: u16, names: &str, keys: &str) -> String {
    format!(
        "[[listener]]\nname = \"https\"\naddress = \"127.0.0.1:{tls}\"\nprotocol = \"https\"\n\
         [[listener]]\nname = \"http\"\naddress = \"127.0.0.1:{http}\"\nprotocol = \"http\"\n\
         [[certificate]]\nname = \"public\"\nsource = \"acme\"\nnames = [{names}]\n{keys}\
         [admin]\naddress = \"127.0.0.1:0\"\n[log]\nlevel = \"error\"\naccess = false\n{}",
        fixed_route("hello")
    )
}

async fn is_from_pebble(port: u16, name: &str) -> bool {
    issuer(port, name).await.contains("Pebble")
}

#[tokio::test]
async fn each_challenge_type_is_answered_and_open_connections_stay_open() {
    for challenge in ["tls-alpn-01", "http-01"] {
        let (tls, http) = (free_port(), free_port());
        let pebble = Pebble::start(tls, http).await;
        let keys = format!("challenges = [\"{challenge}\"]\n{}", pebble.keys());
        let gateway = TestGateway::start(&config(tls, http, &format!("\"{NAME}\""), &keys)).await;
        let mut early = Connection::open(tls, NAME, None).await.unwrap();
        assert!(early.get("/word", "").await.unwrap().ends_with("hello"));
        eventually(true, || is_from_pebble(tls, NAME)).await;
        assert!(
            early.get("/word", "").await.unwrap().ends_with("hello"),
            "{challenge}: the connection before the swap"
        );
        assert_eq!(pebble.issued(), 1, "{challenge}");
        eventually(Some(1.0), || {
            gateway.metric("gateway_certificate_source{name=\"public\",source=\"ordered\"}")
        })
        .await;
        gateway.stop().await;
    }
}

#[tokio::test]
async fn an_unreachable_directory_is_counted_and_the_local_certificate_is_served() {
    let (tls, http) = (free_port(), free_port());
    let pebble = Pebble::start(tls, http).await;
    let keys = pebble.keys().replace(&format!(":{}/", pebble.port), &format!(":{}/", free_port()));
    let gateway = TestGateway::start(&config(tls, http, &format!("\"{NAME}\""), &keys)).await;
    let mut connection = Connection::open(tls, NAME, None).await.unwrap();
    assert!(connection.issuer().contains("Gatehouse"), "{}", connection.issuer());
    assert!(connection.get("/word", "").await.unwrap().ends_with("hello"));
    let failures = "gateway_certificate_failures_total{name=\"public\",reason=\"unreachable\"}";
    eventually(true, || async { gateway.metric(failures).await.is_some_and(|count| count >= 1.0) })
        .await;
    let source = "gateway_certificate_source{name=\"public\",source=\"stand_in\"}";
    assert_eq!(gateway.metric(source).await, Some(1.0));
    gateway.stop().await;
}

#[tokio::test]
async fn a_certificate_survives_a_reload_and_a_restart_and_new_names_are_ordered() {
    let (tls, http) = (free_port(), free_port());
    let mut pebble = Pebble::start(tls, http).await;
    let first = config(tls, http, &format!("\"{NAME}\""), &pebble.keys());
    let gateway = TestGateway::start(&first).await;
    eventually(true, || is_from_pebble(tls, NAME)).await;

    let (status, report) = gateway.reload(&first.replace("hello", "hallo")).await;
    assert_eq!(status, 200, "{report}");
    assert!(is_from_pebble(tls, NAME).await, "the stand-in certificate must not return");
    assert_eq!(pebble.issued(), 1);

    let second = config(tls, http, &format!("\"{NAME}\", \"more.example.org\""), &pebble.keys());
    let (status, report) = gateway.reload(&second).await;
    assert_eq!(status, 200, "{report}");
    eventually(true, || is_from_pebble(tls, "more.example.org")).await;
    assert_eq!(pebble.issued(), 2);

    pebble.down();
    gateway.handle.request_drain();
    gateway.running.await.unwrap();
    let restarted =
        TestGateway::start_in(gateway.directory, "gateway.toml", Default::default()).await;
    let restarted = restarted.unwrap_or_else(|error| panic!("{error}"));
    assert!(is_from_pebble(tls, NAME).await, "the first connection must get the certificate");
    restarted.stop().await;
}

#[tokio::test]
async fn a_reload_applies_the_changed_contents_of_a_ca_file() {
    let (tls, http) = (free_port(), free_port());
    let pebble = Pebble::start(tls, http).await;
    let directory = tempfile::tempdir().unwrap();
    install_provider();
    let other_root = CertificateParams::new(Vec::new())
        .unwrap()
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap();
    std::fs::write(directory.path().join("roots.pem"), other_root.pem()).unwrap();
    let keys = pebble.keys().replace(&pebble.root().display().to_string(), "roots.pem");
    let text = config(tls, http, &format!("\"{NAME}\""), &keys);
    std::fs::write(directory.path().join("gateway.toml"), &text).unwrap();
    let options = Options { ignore_files: true, ..Options::default() };
    let gateway = TestGateway::start_in(directory, "gateway.toml", options)
        .await
        .unwrap_or_else(|e| panic!("{e}"));
    let failures = "gateway_certificate_failures_total{name=\"public\",reason=\"unreachable\"}";
    eventually(true, || async { gateway.metric(failures).await.is_some_and(|count| count >= 1.0) })
        .await;

    std::fs::remove_file(gateway.path("roots.pem")).unwrap();
    let (status, report) = gateway.reload(&text).await;
    assert!(status == 422 && report.to_string().contains("roots.pem"), "{report}");
    std::fs::copy(pebble.root(), gateway.path("roots.pem")).unwrap();
    let (status, report) = gateway.reload(&text).await;
    assert_eq!(status, 200, "{report}");
    // The failure is remembered and the next attempt is delayed.
    let ordered = async {
        while !is_from_pebble(tls, NAME).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within(2 * SOON, ordered).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_certificate_missing_in_a_new_storage_is_not_reported_as_stored() {
    let (tls, http) = (free_port(), free_port());
    let mut pebble = Pebble::start(tls, http).await;
    let text = config(tls, http, &format!("\"{NAME}\""), &pebble.keys());
    let gateway = TestGateway::start(&text).await;
    eventually(true, || is_from_pebble(tls, NAME)).await;
    pebble.down();

    let (status, report) =
        gateway.reload(&format!("{text}[certificate_storage]\ndirectory = \"elsewhere\"\n")).await;
    assert_eq!(status, 200, "{report}");
    let series =
        |source: &str| format!("gateway_certificate_source{{name=\"public\",source=\"{source}\"}}");
    eventually(Some(1.0), || async { gateway.metric(&series("kept")).await }).await;
    for other in ["stored", "ordered", "stand_in"] {
        assert_eq!(gateway.metric(&series(other)).await, None, "{other}");
    }
    assert!(is_from_pebble(tls, NAME).await);
    gateway.stop().await;
}

#[tokio::test]
async fn a_rejected_order_is_reported_by_metrics_and_doctor() {
    let (tls, http) = (free_port(), free_port());
    let pebble = Pebble::refusing(tls, http, &[NAME]).await;
    let gateway =
        TestGateway::start(&config(tls, http, &format!("\"{NAME}\""), &pebble.keys())).await;
    let failures = "gateway_certificate_failures_total{name=\"public\",reason=\"rejected\"}";
    eventually(true, || async { gateway.metric(failures).await.is_some_and(|count| count >= 1.0) })
        .await;

    let doctor = || async {
        let output = Command::new(env!("CARGO_BIN_EXE_gateway"))
            .args(["doctor", "--config", "gateway.toml", "--nameserver", "127.0.0.1:1"])
            .current_dir(gateway.directory.path())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // The failure is stored for other processes shortly after it is counted.
    eventually(true, || async {
        doctor().await.contains("BAD   certificate public: the last attempt failed")
    })
    .await;
    let printed = doctor().await;
    assert!(
        printed.contains("does not issue for this name") && printed.contains("next attempt at"),
        "{printed}"
    );
    assert!(printed.contains("no certificate is stored yet"), "{printed}");
    gateway.stop().await;
}
