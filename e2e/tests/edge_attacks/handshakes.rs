//! TLS: a server name of one certificate with a host of another; client hellos that are broken,
//! incomplete or missing.

use std::time::{Duration, Instant};

use e2e::attack::wire::Wire;
use e2e::attack::{Attacked, Listener, NO_RATE};
use e2e::frames::{H2, Outcome, WHOLE, frame, head, kind};

/// Server name in TLS, host in HTTP, and whether one certificate covers both.
const NAMES: &[(&str, &str, bool)] = &[
    ("localhost", "localhost", true),
    ("localhost", "LOCALHOST:8443", true),
    ("one.example", "one.example", true),
    // Browsers use one connection for all names of its certificate (RFC 9113 section 9.1.1).
    ("one.example", "two.example", true),
    ("two.example", "one.example", true),
    ("one.example", "Two.Example:443", true),
    // Without a server name in TLS there is nothing to compare.
    ("127.0.0.1", "localhost", true),
    ("127.0.0.1", "127.0.0.1", true),
    ("localhost", "one.example", false),
    ("localhost", "one.example:443", false),
    ("localhost", "TWO.example", false),
    ("one.example", "localhost", false),
    ("two.example", "localhost:8443", false),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_of_another_certificate_is_answered_421() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let mut wrong = Vec::new();
    for (index, (name, host, shared)) in NAMES.iter().enumerate() {
        let path = format!("/api/misdirected/{index}");
        // RFC 9110 section 15.5.20.
        let expected = if *shared { 200 } else { 421 };
        let mut wire = attacked.tls(name, &[b"http/1.1"]).await;
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
            .await
            .expect("send the request");
        let http1 = wire.answer(false).await.map(|answer| answer.status);
        if http1 != Ok(expected) {
            wrong.push(format!("{name} {host}: {http1:?} over HTTP/1.1, not {expected}"));
        }
        let mut connection = H2::named(&attacked, name, &[]).await;
        let fields = head(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", host),
            (":path", &path),
        ]);
        connection.send(&frame(kind::HEADERS, WHOLE, 1, &fields)).await.expect("send the request");
        let http2 = connection.outcome(1).await;
        if http2 != Outcome::Status(expected) {
            wrong.push(format!("{name} {host}: {http2:?} over HTTP/2, not {expected}"));
        }
        let mut wire = attacked.tls(name, &[b"http/1.1"]).await;
        let handshake = format!(
            "GET /ws HTTP/1.1\r\nHost: {host}\r\nOrigin: https://{host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        wire.send(handshake.as_bytes()).await.expect("send the request");
        let expected_handshake = if *shared { 101 } else { 421 };
        let websocket = wire.answer(false).await.map(|answer| answer.status);
        if websocket != Ok(expected_handshake) {
            wrong.push(format!(
                "{name} {host}: {websocket:?} for a WebSocket, not {expected_handshake}"
            ));
        }
        let reached = attacked.backend.of(&format!(" {path} ")).len();
        if reached != if *shared { 2 } else { 0 } {
            wrong.push(format!("{name} {host}: {reached} requests reached the backend"));
        }
    }
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n"));
    attacked.assert_healthy().await;
}

/// A client hello for TLS 1.3 and 1.2 with this server name (RFC 8446 section 4.1.2, RFC 6066
/// section 3).
fn hello(name: &[u8]) -> Vec<u8> {
    let sized = |bytes: &[u8]| {
        [&u16::try_from(bytes.len()).expect("the length fits").to_be_bytes()[..], bytes].concat()
    };
    let extension = |id: u16, body: &[u8]| [&id.to_be_bytes()[..], &sized(body)].concat();
    let extensions = [
        extension(0, &sized(&[&[0][..], sized(name).as_slice()].concat())),
        extension(10, &sized(&[0, 29])),
        extension(13, &sized(&[4, 3, 8, 4])),
        extension(43, &[4, 3, 4, 3, 3]),
        extension(51, &sized(&[&[0, 29][..], &sized(&[9; 32])].concat())),
    ]
    .concat();
    let body =
        [&[3, 3][..], &[7; 32], &[0], &sized(&[0x13, 1, 0xc0, 0x2b]), &[1, 0], &sized(&extensions)]
            .concat();
    let length = u32::try_from(body.len()).expect("the length fits").to_be_bytes();
    let handshake = [&[1][..], length.get(1..).unwrap_or_default(), &body].concat();
    [&[22, 3, 1][..], &sized(&handshake)].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_client_hellos_time_out_while_others_are_served() {
    let mut attacked = Attacked::start(&format!("{NO_RATE}\nhandshake_timeout = \"2s\""), "").await;
    let whole = hello(b"localhost");
    let half = whole.get(..whole.len() / 2).unwrap_or_default();
    let long = [&[22, 3, 1, 0xff, 0xff][..], &[1; 65_535]].concat();
    let hellos: Vec<Vec<u8>> = vec![
        Vec::new(),
        vec![22],
        vec![22, 3, 1],
        vec![22, 3, 1, 2, 0],
        half.to_vec(),
        vec![0; 1_000],
        vec![0xff; 1_000],
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.0\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
        b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x01\x7f\0\0\x01\0\0".to_vec(),
        // SSL 2.
        vec![0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10],
        long,
        [22, 3, 1, 0, 0].repeat(1_000),
        [21, 3, 3, 0, 2, 1, 0].repeat(1_000),
        [20, 3, 3, 0, 1, 1].repeat(1_000),
        [&[22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff][..], &[0; 100_000]].concat(),
        [whole.as_slice(), &whole].concat(),
        [whole.as_slice(), &[0; 100]].concat(),
    ];
    let mut open = Vec::new();
    for bytes in hellos.iter().cycle().take(hellos.len() * 10) {
        let mut wire = Wire::new(attacked.tcp(attacked.https).await);
        // The connection may be closed already.
        let _ = wire.send(bytes).await;
        open.push(wire);
    }
    let began = Instant::now();
    attacked
        .exchange(Listener::Tls, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .expect("other clients are served");
    for wire in &mut open {
        let rest = wire.rest().await.expect("an incomplete handshake times out");
        assert!(!rest.starts_with(b"HTTP/"), "no plaintext answer");
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    attacked.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_server_names_log_no_warning() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let warnings = |log: &str| {
        log.lines().filter(|line| line.contains("\"WARN\"") || line.contains("\"ERROR\"")).count()
    };
    let before = warnings(&attacked.gateway.log());
    let long = [b'a'; 300];
    for name in [
        b"127.0.0.1".as_slice(),
        b"::1",
        b"[::1]",
        b"",
        b"a b",
        b"-",
        b"..",
        b"local\0host",
        b"\xff\xfe",
        &long,
    ] {
        for _ in 0..20 {
            let mut wire = Wire::new(attacked.tcp(attacked.https).await);
            wire.send(&hello(name)).await.expect("send the request");
            // The answer, an alert or a hello, shows that the server name was parsed.
            let _ = wire.more().await;
        }
    }
    attacked.assert_healthy().await;
    let log = attacked.gateway.log();
    assert_eq!(warnings(&log), before, "{log}");
}
