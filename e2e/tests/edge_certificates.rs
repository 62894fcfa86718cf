//! Three gateways behind HAProxy with one Redis and one authority: one orders, all serve, and when
//! the one that orders is killed, another continues.

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
use e2e::process::TIMEOUT;
use e2e::redis::Redis;
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// A renewal is due after two thirds of the lifetime. A killed gateway's lease expires well within
/// the last third.
const LIFETIME: Duration = Duration::from_secs(110);
const WORKERS: usize = 4;
const CERTIFICATE: &str = r#"name = "public"
source = "acme"
names = ["localhost"]
challenges = ["tls-alpn-01"]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_gateway_continues_ordering_when_one_is_killed() {
    let (backend, redis) = (Echo::start().await, Redis::start());
    let targets: Vec<Target> =
        (0..3).map(|_| Target { https: free_port(), admin: free_port() }).collect();
    let balancer = Balancer::start(&targets);
    let validation = Gate::before(balancer.port).await;
    validation.open();
    let pebble = Pebble::start(validation.port, free_port(), LIFETIME);
    let directory = Gate::before(pebble.port()).await;
    let shared = shared(&redis);
    let start = |target: Target| {
        let certificate = format!("{CERTIFICATE}{}", pebble.keys_through(directory.port));
        Edge::start_at(target, backend.port, &certificate, &storage(shared.path()))
    };
    // The directory answers once all gateways run, so that any of them can order. Holding the
    // validation instead would not work: Pebble times it out after five seconds, and the retry
    // comes minutes later.
    let mut edges: Vec<Edge> = targets.iter().map(|target| start(*target)).collect();
    directory.open();
    let root = pebble.root().await;

    let first = serial_of_all(&edges, &root).await;
    assert_eq!((pebble.orders(), pebble.issued()), (1, 1), "one order for all");
    let load = Handshakes::start(WORKERS, balancer.port, &root, "/api/headers");
    eventually("connections through HAProxy", TIMEOUT, || load.tried() > 50).await;

    // Killed after its order: its replacement finds the certificate.
    let leader = sole_orderer(&edges);
    kill(&mut edges[leader]);
    edges[leader] = start(targets[leader]);
    let served = serial_of_all(&edges, &root).await;
    assert_eq!(served, first, "the same certificate from the first connection on");
    assert_eq!(pebble.orders(), 1);

    // Killed during a renewal, while the authority connects to validate.
    validation.close();
    eventually("a renewal", LIFETIME, || validation.waiting() > 0).await;
    let leader = sole_orderer(&edges);
    assert_eq!((pebble.orders(), pebble.issued()), (2, 1));
    kill(&mut edges.remove(leader));
    let killed_at = Instant::now();
    validation.open();
    eventually("a successor's order", LIFETIME, || load.serials().len() > 1).await;
    let took = killed_at.elapsed();
    let second = serial_of_all(&edges, &root).await;
    assert_ne!(second, first);
    assert_eq!(pebble.issued(), 2, "one renewal for all");
    let _successor = sole_orderer(&edges);

    let (serials, tried, faults) = load.stop().await;
    assert!(serials.keys().all(|serial| [&first, &second].contains(&serial)), "{serials:?}");
    assert!(
        faults.len() <= 2 * WORKERS,
        "more faults than connections at the two killed gateways: {faults:?}"
    );
    println!(
        "continued after {took:?}; {tried} connections, {} of them cut with the killed gateways",
        faults.len()
    );
}

fn kill(edge: &mut Edge) {
    edge.gateway.signal(Signal::SIGKILL);
    edge.gateway.wait();
}

/// Files shared by the gateways: the URL of Redis and the secret that seals its data.
fn shared(redis: &Redis) -> TempDir {
    let folder = TempDir::new().expect("create a temporary folder");
    fs::write(folder.path().join("url"), &redis.url).expect("write the file");
    fs::write(folder.path().join("secret"), "a secret of thirty-two bytes or more")
        .expect("write the file");
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

/// The certificate that all gateways serve, once it is not a stand-in.
async fn serial_of_all(edges: &[Edge], root: &Path) -> String {
    let deadline = Instant::now() + TIMEOUT;
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
            _ => assert!(
                Instant::now() < deadline,
                "the gateways serve different certificates: {serials:?}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The only gateway that has started an order.
fn sole_orderer(edges: &[Edge]) -> usize {
    let began = |edge: &Edge| edge.gateway.log().contains("\"message\":\"ordering a certificate\"");
    let orderers: Vec<usize> = (0..edges.len()).filter(|index| began(&edges[*index])).collect();
    let [orderer] = orderers[..] else { panic!("expected one gateway that ordered: {orderers:?}") };
    orderer
}

async fn eventually(what: &str, timeout: Duration, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + timeout;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
