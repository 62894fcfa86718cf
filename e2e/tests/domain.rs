//! `gatehouse --domain`: one program and one name are enough to get a certificate, even if the
//! authority is not reachable at first.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::gate::Gate;
use e2e::gatehouse::Gatehouse;
use e2e::handshakes::Connection;
use e2e::pebble::Pebble;
use e2e::process::TIMEOUT;
use e2e::{free_port, scrape};

const NAME: &str = "chat.test";
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_certificate_is_served_until_the_ordered_one_arrives() {
    let ports = [free_port(), free_port(), free_port()];
    let pebble = Pebble::start(ports[0], ports[1], LIFETIME);
    let gate = Gate::before(pebble.port()).await;
    let directory = pebble.directory_through(gate.port);
    let gatehouse =
        Gatehouse::start_at(ports, |command, _| orders_from(command, &pebble, &directory));
    let mut early = open(&gatehouse, &gatehouse.ca()).await.expect("serve the local certificate");
    assert!(serves(&mut early).await);

    gate.open();
    let root = pebble.root().await;
    eventually_ordered(&gatehouse, &root).await;
    assert!(serves(&mut early).await, "the early connection stays open");
    assert_eq!((pebble.orders(), pebble.issued()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificate_is_ordered_once_the_directory_is_reachable() {
    let ports = [free_port(), free_port(), free_port()];
    let mut pebble = Pebble::down(ports[0], ports[1], LIFETIME);
    let gatehouse =
        Gatehouse::start_at(ports, |command, _| orders_from(command, &pebble, &pebble.directory()));
    let mut early = open(&gatehouse, &gatehouse.ca()).await.expect("serve the local certificate");
    assert!(serves(&mut early).await);
    let series = "gateway_certificate_failures_total{name=\"public\",reason=\"unreachable\"}";
    e2e::process::eventually("a counted failure", || {
        scrape::value(&scrape::metrics(gatehouse.admin_port), series)
            .filter(|failures| *failures >= 1.0)
    });

    pebble.up();
    let root = pebble.root().await;
    eventually_ordered(&gatehouse, &root).await;
    assert!(serves(&mut early).await, "the early connection stays open");
    let ordered = "gateway_certificate_source{name=\"public\",source=\"ordered\"}";
    assert_eq!(scrape::value(&scrape::metrics(gatehouse.admin_port), ordered), Some(1.0));
}

fn orders_from(command: &mut Command, pebble: &Pebble, directory: &str) {
    command
        .args(["--domain", NAME, "--acme-directory", directory, "--acme-ca"])
        .arg(pebble.https_root());
}

async fn open(gatehouse: &Gatehouse, root: &Path) -> Result<Connection, String> {
    Connection::open(gatehouse.https_port, NAME, root).await
}

async fn serves(connection: &mut Connection) -> bool {
    connection.get("/").await.is_ok_and(|page| page.starts_with("HTTP/1.1 200 "))
}

async fn eventually_ordered(gatehouse: &Gatehouse, root: &Path) {
    let deadline = Instant::now() + TIMEOUT;
    while let Err(reason) = open(gatehouse, root).await {
        assert!(Instant::now() < deadline, "{reason}; the log:\n{}", gatehouse.process.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
