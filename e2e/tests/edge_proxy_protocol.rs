//! Behind a real HAProxy in TCP mode: the client's address arrives, and nobody else may claim one.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use e2e::echo::Echo;
use e2e::edge::Edge;
use e2e::process::Process;
use e2e::{free_port, scrape};
use reqwest::Client;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;
use tempfile::TempDir;

/// The one balancer that is believed.
const BALANCER: &str = "127.0.0.1";
/// A visitor, a neighbour of the balancer, who is not.
const VISITOR: &str = "127.0.0.2";
/// A balancer that nobody configured.
const STRANGER: &str = "127.0.0.3";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_of_the_client_arrives_through_haproxy_in_both_versions() {
    let backend = Echo::start().await;
    let edge = edge(&backend);
    for version in ["send-proxy", "send-proxy-v2"] {
        let haproxy = Haproxy::start(&edge, &format!("{version} source {BALANCER}"));
        let headers = ask(&edge, VISITOR, haproxy.port).await.expect("it is let through");
        assert_eq!(headers["x-forwarded-for"], VISITOR, "{version}: {headers}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_that_is_believed_must_say_for_whom_it_speaks() {
    let backend = Echo::start().await;
    let edge = edge(&backend);
    let haproxy = Haproxy::start(&edge, &format!("source {BALANCER}"));
    ask(&edge, VISITOR, haproxy.port).await.expect_err("no PROXY header, no connection");
    ask(&edge, BALANCER, edge.https_port).await.expect_err("no PROXY header, no connection");
    assert!(backend.reached().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_may_come_but_not_claim_another_address() {
    let backend = Echo::start().await;
    let edge = edge(&backend);
    for version in ["send-proxy", "send-proxy-v2"] {
        let haproxy = Haproxy::start(&edge, &format!("{version} source {STRANGER}"));
        ask(&edge, VISITOR, haproxy.port)
            .await
            .expect_err("a PROXY header from a stranger is not TLS");
    }
    let headers = ask(&edge, STRANGER, edge.https_port)
        .await
        .expect("without a header it is an ordinary client");
    assert_eq!(headers["x-forwarded-for"], STRANGER, "{headers}");
    let metrics = scrape::metrics(edge.admin_port);
    assert!(
        scrape::value(&metrics, "gateway_connections_total{listener=\"https\"}") >= Some(3.0),
        "{metrics}"
    );
}

fn edge(backend: &Echo) -> Edge {
    Edge::start_with(backend.port, &format!("proxy_protocol = [\"{BALANCER}/32\"]"), "")
}

/// A running HAProxy that passes connections on to the gateway.
struct Haproxy {
    port: u16,
    _process: Process,
    _folder: TempDir,
}

impl Haproxy {
    /// Starts it with these words on its `server` line, and waits until it listens.
    fn start(edge: &Edge, server: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let (port, path) = (free_port(), folder.path().join("haproxy.cfg"));
        let settings = format!(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
             listen front\n  bind 127.0.0.1:{port}\n  server gateway 127.0.0.1:{} {server}\n",
            edge.https_port
        );
        fs::write(&path, settings).expect("the configuration can be written");
        let mut process = Process::start(
            "haproxy",
            Command::new("/usr/sbin/haproxy").arg("-db").arg("-f").arg(&path),
        );
        // A connection would reach the gateway without a client that speaks; a port that cannot be
        // bound says as much.
        process.wait_for("its port", |_| std::net::TcpListener::bind(("127.0.0.1", port)).err());
        Self { port, _process: process, _folder: folder }
    }
}

/// The headers of a request from this address to this port, as the backend received them.
async fn ask(edge: &Edge, from: &str, port: u16) -> Result<Value, reqwest::Error> {
    // The first installation wins; later ones are refused, which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(edge.ca()).expect("it is PEM"))
        .expect("it can be trusted");
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .local_address(from.parse::<IpAddr>().expect("it is an address"))
        .resolve("localhost", SocketAddr::from(([127, 0, 0, 1], port)))
        .timeout(std::time::Duration::from_secs(60))
        .build()
        .expect("the client can be built");
    let url = format!("https://localhost:{port}/api/headers");
    client.get(url).header(e2e::echo::NUMBER, 1).send().await?.error_for_status()?.json().await
}
