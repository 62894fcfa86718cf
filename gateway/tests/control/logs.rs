//! The log: clients cannot cause warnings, and no line contains a path of the build machine.

use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{FRONT, Program, SOON, fixed_route, within};

fn config(level: &str, format: &str) -> String {
    let log = format!("level = \"{level}\"\nformat = \"{format}\"");
    format!("{}{}", FRONT.replace("level = \"error\"", &log), fixed_route("word"))
}

/// A ClientHello whose server name is an IP address, which RFC 6066 section 3 forbids.
fn hello_to_an_address() -> Vec<u8> {
    let config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let mut client =
        ClientConnection::new(Arc::new(config), "abc.d.e.f".try_into().unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let at = hello
        .windows(9)
        .position(|window| window == b"abc.d.e.f")
        .expect("the name is in the hello");
    hello[at..at + 9].copy_from_slice(b"127.0.0.1");
    hello
}

#[tokio::test]
async fn an_invalid_client_hello_is_not_logged_as_a_warning() {
    let program = Program::run(&config("info", "json")).await;
    let mut tcp = TcpStream::connect(program.https).await.unwrap();
    tcp.write_all(&hello_to_an_address()).await.unwrap();
    assert_ne!(
        within(SOON, tcp.read(&mut [0; 1])).await.unwrap_or(1),
        0,
        "it is answered, be it by an alert"
    );
    drop(tcp);
    program.ask("/word").await;
    let lines = program.end().await;
    let odd: Vec<_> =
        lines.iter().filter(|line| line.contains("\"WARN\"") || line.contains("SNI")).collect();
    assert!(odd.is_empty(), "{odd:#?}");
    assert!(lines.iter().any(|line| line.contains("\"message\":\"stopped\"")), "{lines:#?}");
}

#[tokio::test]
async fn no_log_line_contains_a_path_of_the_build_machine() {
    let workspace =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().display().to_string();
    for format in ["json", "text"] {
        // Libraries log every connection, some of them through the `log` crate.
        let program = Program::run(&config("trace", "json")).await;
        program.reload(&config("trace", format)).await;
        program.ask("/word").await;
        let lines = program.end().await;
        let is_logged = |line: &String| {
            line.contains("decided upon suite") && line.starts_with('{') == (format == "json")
        };
        assert!(lines.iter().any(is_logged), "rustls logs: {lines:#?}");
        for line in lines {
            let foreign = ["/.cargo/", "/registry/src/", "log.file", "/rustc/", &*workspace];
            assert!(!foreign.iter().any(|foreign| line.contains(foreign)), "{line}");
        }
    }
}
