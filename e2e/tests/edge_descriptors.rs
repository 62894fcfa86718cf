//! A gateway that runs out of file descriptors, by the real limit: what is open goes on, nothing
//! spins, and it recovers.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::echo::Echo;
use e2e::edge::Edge;
use e2e::process::PATIENCE;
use e2e::scrape;
use reqwest::{Client, Method};
use serde_json::json;

/// Descriptors left to the gateway, and clients that want one each.
const LEFT: usize = 40;
const IDLE: usize = 150;
/// Times that accepting fails before the test looks at what it costs.
const FAILURES: f64 = 50.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_it_serves_what_is_open_does_not_spin_and_accepts_again_later() {
    let backend = Echo::start().await;
    let edge = Edge::start(backend.port);
    let mut socket = edge.visitor().live().await;
    // Connected before: a new one would wait for a descriptor too.
    let (admin, mut visitor) = (Client::new(), edge.visitor());
    assert!(refused(&admin, edge.admin_port).await < 1.0);
    assert_eq!(visitor.get("/api/headers").await.0, 200);

    let id = edge.gateway.id().to_string();
    let open = fs::read_dir(format!("/proc/{id}/fd")).expect("it runs").count();
    let limit = format!("--nofile={0}:{0}", open + LEFT);
    let limited = Command::new("prlimit")
        .args(["--pid", &id, &limit])
        .status()
        .expect("util-linux has prlimit");
    assert!(limited.success());
    let idle: Vec<_> =
        (0..IDLE).map(|_| TcpStream::connect(("127.0.0.1", edge.https_port))).collect();
    assert!(idle.iter().all(Result::is_ok), "they wait in the queue");

    let first = until_refused(&admin, edge.admin_port, 1.0).await;
    let (began, busy) = (Instant::now(), processor_time(&id));
    until_refused(&admin, edge.admin_port, first + FAILURES).await;
    let (took, busy) = (began.elapsed(), processor_time(&id) - busy);
    assert!(busy < took / 2, "{busy:?} of processor time in {took:?}");
    socket.send_text(json!({"type": "still"}).to_string()).await;
    socket.until("still").await;

    drop(idle);
    assert_eq!(edge.visitor().get("/api/headers").await.0, 200, "there is room again");
    assert_eq!(visitor.get("/api/headers").await.0, 200);
    println!("{busy:?} of processor time in {took:?}, {FAILURES} failures");
}

async fn until_refused(admin: &Client, port: u16, enough: f64) -> f64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let refused = refused(admin, port).await;
        if refused >= enough {
            return refused;
        }
        assert!(Instant::now() < deadline, "{refused} refused, expected {enough}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Failures to accept for want of a descriptor.
async fn refused(admin: &Client, port: u16) -> f64 {
    let metrics =
        admin.request(Method::GET, format!("http://127.0.0.1:{port}/metrics")).send().await;
    let metrics = metrics
        .expect("the admin address answers on an open connection")
        .text()
        .await
        .expect("all of it");
    let series = "gateway_connections_refused_total{listener=\"https\",reason=\"descriptors\"}";
    scrape::value(&metrics, series).unwrap_or_default()
}

/// What a process has used of the processors so far, proc(5): fields 14 and 15, in hundredths of a
/// second.
fn processor_time(id: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("it runs");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().expect("a number"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
