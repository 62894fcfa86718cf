//! Requests whose host belongs to a different certificate than the server name of their connection.

use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{Backend, FRONT, SOON, TestGateway, backend_routes, fixed_route, within};

/// The default certificate has two names, another certificate has a third.
const SECOND: &str = r#"
[[certificate]]
name = "second"
source = "self-signed"
names = ["two.example"]
"#;

fn config(further: &str) -> String {
    let first = "source = \"self-signed\"\nnames = [\"localhost\", \"one.example\", \"127.0.0.1\"]";
    format!(
        "{}{SECOND}{}{further}",
        FRONT.replace("source = \"self-signed\"", first),
        fixed_route("x")
    )
}

async fn connect(gateway: &TestGateway, name: Option<&str>, alpn: &[u8]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(gateway.path("certs/local-ca.pem")).unwrap()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let tcp =
        TcpStream::connect(("127.0.0.1", gateway.address("https").await.port())).await.unwrap();
    // An IP address sends no SNI, and the certificate must contain that address.
    let name = ServerName::try_from(name.unwrap_or("127.0.0.1").to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

/// The status of a request for this host on an HTTP/1.1 connection with this server name.
async fn h1(gateway: &TestGateway, name: Option<&str>, host: &str) -> u16 {
    let mut tls = connect(gateway, name, b"http/1.1").await;
    let request = format!("GET /word HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    tls.write_all(request.as_bytes()).await.unwrap();
    status(&mut tls).await
}

async fn status(tls: &mut TlsStream<TcpStream>) -> u16 {
    let mut head = Vec::new();
    while head.len() < 12 && within(SOON, tls.read_buf(&mut head)).await.unwrap() > 0 {}
    std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap()
}

/// The same over HTTP/2.
async fn h2(gateway: &TestGateway, name: Option<&str>, host: &str) -> u16 {
    let tls = connect(gateway, name, b"h2").await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls))
            .await
            .unwrap();
    let driving = tokio::spawn(connection);
    let request = hyper::Request::get(format!("https://{host}/word")).body(String::new()).unwrap();
    let answer = within(SOON, sender.send_request(request)).await.unwrap();
    driving.abort();
    answer.status().as_u16()
}

#[tokio::test]
async fn a_host_of_another_certificate_gets_421() {
    let gateway = TestGateway::start(&config("")).await;
    for (name, host, expected) in [
        (Some("localhost"), "localhost", 200),
        (Some("localhost"), "LOCALHOST.:8443", 200),
        // A browser sends both over one HTTP/2 connection (RFC 9113 section 9.1.1).
        (Some("localhost"), "one.example", 200),
        (Some("one.example"), "127.0.0.1", 200),
        (Some("localhost"), "two.example", 421),
        (Some("two.example"), "localhost", 421),
        (Some("two.example"), "two.example", 200),
        // A name without a certificate belongs to the default certificate.
        (Some("localhost"), "unknown.example", 200),
        (Some("two.example"), "unknown.example", 421),
        // A connection without a server name is not restricted.
        (None, "two.example", 200),
        (None, "localhost", 200),
    ] {
        assert_eq!(h1(&gateway, name, host).await, expected, "h1: {name:?} {host}");
        assert_eq!(h2(&gateway, name, host).await, expected, "h2: {name:?} {host}");
    }
    let refused = gateway.metric("gateway_requests_refused_total{reason=\"misdirected\"}").await;
    assert_eq!(refused, Some(6.0));
    gateway.stop().await;
}

#[tokio::test]
async fn a_websocket_request_for_a_host_of_another_certificate_gets_421() {
    let backend = Backend::start().await;
    let gateway = TestGateway::start(&config(&backend_routes(&backend))).await;
    for (name, host, expected) in
        [("localhost", "localhost", 101), ("localhost", "two.example", 421)]
    {
        let mut tls = connect(&gateway, Some(name), b"http/1.1").await;
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {host}\r\nOrigin: https://{host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        tls.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(status(&mut tls).await, expected, "{name} {host}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn misdirected_requests_can_be_allowed_and_unknown_names_rejected() {
    let gateway = TestGateway::start(&config("\n[tls]\nrefuse_misdirected = false\n")).await;
    assert_eq!(h1(&gateway, Some("localhost"), "two.example").await, 200);
    let (done, report) = gateway.reload(&config("\n[tls]\nunknown_names = \"refuse\"\n")).await;
    assert_eq!(done, 200, "{report}");
    assert_eq!(h1(&gateway, Some("localhost"), "two.example").await, 421);
    assert_eq!(h1(&gateway, Some("localhost"), "unknown.example").await, 421);
    assert_eq!(h1(&gateway, Some("localhost"), "one.example").await, 200);
    gateway.stop().await;
}
