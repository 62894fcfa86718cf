//! A certificate is renewed under load: every handshake succeeds, open connections stay open, and
//! new connections get the new certificate.

use std::path::Path;
use std::time::{Duration, Instant};

use e2e::balancer::Target;
use e2e::client::Live;
use e2e::echo::Echo;
use e2e::edge::Edge;
use e2e::free_port;
use e2e::handshakes::{Connection, Handshakes};
use e2e::load::Load;
use e2e::pebble::Pebble;
use futures::future::join_all;
use serde_json::json;

/// A renewal is due after two thirds of the lifetime.
const LIFETIME: Duration = Duration::from_secs(36);
const HANDSHAKERS: usize = 4;
const WORKERS: usize = 8;
const SOCKETS: usize = 100;
const KEPT: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewal_under_load_fails_no_handshake_and_closes_no_connection() {
    let backend = Echo::start().await;
    let (target, http) = (Target { https: free_port(), admin: free_port() }, free_port());
    let pebble = Pebble::start(target.https, http, LIFETIME);
    let certificate = format!(
        "name = \"public\"\nsource = \"acme\"\nnames = [\"localhost\"]\nchallenges = [\"http-01\"]\n{}",
        pebble.keys()
    );
    let listener = format!(
        "[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:{http}\"\nprotocol = \"http\"\n"
    );
    let edge = Edge::start_at(target, backend.port, &certificate, &listener);
    let root = pebble.root().await;
    let first = ordered(target.https, &root).await;

    let mut kept = Vec::new();
    for _ in 0..KEPT {
        kept.push(
            Connection::open(target.https, "localhost", &root).await.expect("open a connection"),
        );
    }
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        sockets.push(edge.visitor_trusting(&root).live().await);
    }
    let url = format!("https://localhost:{}/api/headers", target.https);
    let load = Load::start(WORKERS, &root, &url, &[]);
    let handshakes = Handshakes::start(HANDSHAKERS, target.https, &root, "/api/headers");

    let deadline = Instant::now() + LIFETIME;
    while handshakes.serials().len() < 2 {
        assert!(Instant::now() < deadline, "no renewal in time: {}", edge.gateway.log());
        use_all(&mut kept, &first).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let second = Connection::open(target.https, "localhost", &root)
        .await
        .expect("open a connection")
        .serial();
    assert_ne!(second, first);
    load.answers(200).await;
    let (serials, tried, faults) = handshakes.stop().await;
    assert!(faults.is_empty(), "{} of {tried} failed: {faults:?}", faults.len());
    assert!(
        serials.len() == 2 && serials.contains_key(&first) && serials.contains_key(&second),
        "{serials:?}"
    );

    use_all(&mut kept, &first).await;
    echo(&mut sockets).await;
    let tally = load.stop().await;
    tally.assert_no_failures();
    println!(
        "{tried} handshakes, {} requests, {SOCKETS} sockets: 0 lost; {serials:?}",
        tally.answered.len()
    );
}

/// The serial number of the certificate, once it is no longer the stand-in.
async fn ordered(port: u16, root: &Path) -> String {
    let deadline = Instant::now() + LIFETIME;
    loop {
        match Connection::open(port, "localhost", root).await {
            Ok(connection) => return connection.serial(),
            Err(reason) => {
                assert!(Instant::now() < deadline, "no certificate was ordered: {reason}")
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends a request on each open connection and checks that it still uses this certificate.
async fn use_all(kept: &mut [Connection], serial: &str) {
    for connection in kept {
        assert_eq!(connection.serial(), serial);
        let answer = connection.get("/api/headers").await;
        assert!(
            answer.as_ref().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 ")),
            "{answer:?}"
        );
    }
}

async fn echo(sockets: &mut [Live]) {
    join_all(sockets.iter_mut().map(|socket| async move {
        socket.send_text(json!({"type": "still here"}).to_string()).await;
        socket.until("still here").await;
    }))
    .await;
}
