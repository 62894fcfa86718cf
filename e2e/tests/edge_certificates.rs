//! Three gateways behind HAProxy, one Redis, one authority: one of them orders, all serve, and the
//! one that is killed in the middle of an order is succeeded by another.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use e2e::balancer::{Balancer, Target};
use e2e::echo::Echo;
use e2e::edge::Edge;
use e2e::free_port;
use e2e::gate::Gate;
use e2e::handshakes::{Connection, Handshakes};
use e2e::pebble::Pebble;
use e2e::process::PATIENCE;
use e2e::redis::Redis;
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// A renewal is due after two thirds of it; a killed gateway's lock runs out well within the last
/// third.
const LIFETIME: Duration = Duration::from_secs(110);
const WORKERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_killed_after_or_amid_an_order_is_succeeded_and_connections_are_served_all_along()
{
    let (backend, redis) = (Echo::start().await, Redis::start());
    let targets: Vec<Target> =
        (0..3).map(|_| Target { https: free_port(), admin: free_port() }).collect();
    let balancer = Balancer::start(&targets);
    let proofs = Gate::before(balancer.port).await;
    proofs.open();
    let pebble = Pebble::start(proofs.port, free_port(), LIFETIME);
    let directory = Gate::before(pebble.port()).await;
    let shared = shared(&redis);
    let start = |target: Target| {
        let certificate = format!(
            "name = \"public\"\nsource = \"acme\"\nnames = [\"localhost\"]\nchallenges = [\"tls-alpn-01\"]\n{}",
            pebble.keys_through(directory.port)
        );
        Edge::start_at(target, backend.port, &certificate, &storage(shared.path()))
    };
    // The directory answers once all gateways run, so that each of them could have ordered. A
    // validation cannot be held back for that: Pebble gives it five seconds, and a failed one is
    // retried minutes later.
    let mut edges: Vec<Edge> = targets.iter().map(|target| start(*target)).collect();
    directory.open();
    let root = pebble.root().await;

    let first = serial_of_all(&edges, &root).await;
    assert_eq!((pebble.orders(), pebble.issued()), (1, 1), "one order for all");
    let load = Handshakes::start(WORKERS, balancer.port, &root, "/api/headers");
    eventually("connections through HAProxy", PATIENCE, || load.tried() > 50).await;

    // Killed after its order: whoever takes its place finds the certificate.
    let leader = sole_orderer(&edges);
    edges[leader].gateway.signal(Signal::SIGKILL);
    edges[leader].gateway.wait();
    edges[leader] = start(targets[leader]);
    assert_eq!(serial_of_all(&edges, &root).await, first, "from the first connection on");
    assert_eq!(pebble.orders(), 1);

    // Killed in the middle of a renewal: while the authority is on its way to see the proof.
    proofs.shut();
    eventually("a renewal", LIFETIME, || proofs.waiting() > 0).await;
    let leader = sole_orderer(&edges);
    assert_eq!((pebble.orders(), pebble.issued()), (2, 1));
    let mut killed = edges.remove(leader);
    killed.gateway.signal(Signal::SIGKILL);
    killed.gateway.wait();
    let begun = Instant::now();
    proofs.open();
    eventually("a successor's order", LIFETIME, || load.serials().len() > 1).await;
    let took = begun.elapsed();
    let second = serial_of_all(&edges, &root).await;
    assert_ne!(second, first);
    assert_eq!(pebble.issued(), 2, "one renewal for all");
    let _successor = sole_orderer(&edges);

    let (serials, tried, faults) = load.stop().await;
    assert!(serials.keys().all(|serial| [&first, &second].contains(&serial)), "{serials:?}");
    assert!(
        faults.len() <= 2 * WORKERS,
        "more than what was open at the two that were killed: {faults:?}"
    );
    println!(
        "succeeded after {took:?}; {tried} connections, {} of them cut with the killed ones",
        faults.len()
    );
}

/// What the gateways share: where Redis is, and the secret that seals what it keeps.
fn shared(redis: &Redis) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder can be made");
    fs::write(folder.path().join("url"), &redis.url).expect("it can be written");
    fs::write(folder.path().join("secret"), "a secret of thirty-two bytes or more")
        .expect("it can be written");
    folder
}

fn storage(shared: &Path) -> String {
    let path = |name: &str| shared.join(name).display().to_string();
    format!(
        "[certificate_storage]\nredis_url_file = \"{}\"\nsecret_file = \"{}\"\n",
        path("url"),
        path("secret")
    )
}

/// The one certificate that all of them show, once all show one that is not a stand-in.
async fn serial_of_all(edges: &[Edge], root: &Path) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut serials = Vec::new();
        for edge in edges {
            let connection = Connection::open(edge.https_port, "localhost", root).await;
            serials.push(connection.map(|connection| connection.serial()));
        }
        match &serials[..] {
            [Ok(first), others @ ..] if others.iter().all(|other| other.as_ref() == Ok(first)) => {
                return first.clone();
            }
            _ => assert!(Instant::now() < deadline, "they do not agree: {serials:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Which of them began an order in its life.
fn sole_orderer(edges: &[Edge]) -> usize {
    let began = |edge: &Edge| edge.gateway.log().contains("\"message\":\"ordering a certificate\"");
    let orderers: Vec<usize> = (0..edges.len()).filter(|index| began(&edges[*index])).collect();
    let [orderer] = orderers[..] else { panic!("expected one that ordered: {orderers:?}") };
    orderer
}

async fn eventually(what: &str, patience: Duration, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + patience;
    while !condition() {
        assert!(Instant::now() < deadline, "patience is over waiting for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
