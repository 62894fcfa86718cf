//! PROXY protocol behind a real HAProxy in TCP mode: the client's address arrives, and untrusted
//! clients cannot set one.

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

/// The only trusted load balancer.
const BALANCER: &str = "127.0.0.1";
/// A visitor on another address, not trusted.
const VISITOR: &str = "127.0.0.2";
/// A load balancer that is not trusted.
const STRANGER: &str = "127.0.0.3";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_address_arrives_through_haproxy_in_both_versions() {
    let backend = Echo::start().await;
    let edge = edge(&backend);
    for version in ["send-proxy", "send-proxy-v2"] {
        let haproxy = Haproxy::start(&edge, &format!("{version} source {BALANCER}"));
        let headers =
            received_headers(&edge, VISITOR, haproxy.port).await.expect("the request is accepted");
        assert_eq!(headers["x-forwarded-for"], VISITOR, "{version}: {headers}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trusted_balancer_must_send_a_proxy_header() {
    let backend = Echo::start().await;
    let edge = edge(&backend);
    let haproxy = Haproxy::start(&edge, &format!("source {BALANCER}"));
    received_headers(&edge, VISITOR, haproxy.port)
        .await
        .expect_err("a connection without PROXY header");
    received_headers(&edge, BALANCER, edge.https_port)
        .await
        .expect_err("a connection without PROXY header");
    assert!(backend.reached().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn untrusted_client_cannot_send_a_proxy_header() {
    let backend = Echo::start().await;
    let edge = edge(&backend);
    for version in ["send-proxy", "send-proxy-v2"] {
        let haproxy = Haproxy::start(&edge, &format!("{version} source {STRANGER}"));
        received_headers(&edge, VISITOR, haproxy.port)
            .await
            .expect_err("a PROXY header from an untrusted address is not TLS");
    }
    let headers = received_headers(&edge, STRANGER, edge.https_port)
        .await
        .expect("without a header it is a normal client");
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

/// A running HAProxy that forwards connections to the gateway.
struct Haproxy {
    port: u16,
    _process: Process,
    _folder: TempDir,
}

impl Haproxy {
    /// Starts HAProxy with these options in its `server` line, and waits until it listens.
    fn start(edge: &Edge, server: &str) -> Self {
        let folder = TempDir::new().expect("create a temporary folder");
        let (port, path) = (free_port(), folder.path().join("haproxy.cfg"));
        let settings = format!(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
             listen front\n  bind 127.0.0.1:{port}\n  server gateway 127.0.0.1:{} {server}\n",
            edge.https_port
        );
        fs::write(&path, settings).expect("write the configuration");
        let mut process = Process::start(
            "haproxy",
            Command::new("/usr/sbin/haproxy").arg("-db").arg("-f").arg(&path),
        );
        // A test connection would reach the gateway. A port that cannot be bound is listening too.
        process.wait_for("its port", |_| std::net::TcpListener::bind(("127.0.0.1", port)).err());
        Self { port, _process: process, _folder: folder }
    }
}

/// Sends a request from this address to this port and returns the headers the backend received.
async fn received_headers(edge: &Edge, from: &str, port: u16) -> Result<Value, reqwest::Error> {
    // Fails if a provider is already installed, which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(edge.ca()).expect("read the CA's PEM certificate"))
        .expect("trust the CA");
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .local_address(from.parse::<IpAddr>().expect("a valid address"))
        .resolve("localhost", SocketAddr::from(([127, 0, 0, 1], port)))
        .timeout(std::time::Duration::from_secs(60))
        .build()
        .expect("build the client");
    let url = format!("https://localhost:{port}/api/headers");
    client.get(url).header(e2e::echo::NUMBER, 1).send().await?.error_for_status()?.json().await
}
