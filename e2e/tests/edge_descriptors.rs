//! A gateway that runs out of file descriptors at the real limit: open connections continue,
//! nothing spins, and it recovers.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::echo::Echo;
use e2e::edge::Edge;
use e2e::process::TIMEOUT;
use e2e::scrape;
use reqwest::{Client, Method};
use serde_json::json;

/// Descriptors left to the gateway, and clients that need one each.
const LEFT: usize = 40;
const IDLE: usize = 150;
/// Failed accepts over which CPU time is measured.
const FAILURES: f64 = 50.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_out_of_descriptors_keeps_open_connections_and_recovers() {
    let backend = Echo::start().await;
    let edge = Edge::start(backend.port);
    let mut socket = edge.visitor().live().await;
    // Connected before the limit: a new connection would wait for a descriptor too.
    let (admin, mut visitor) = (Client::new(), edge.visitor());
    assert!(refused(&admin, edge.admin_port).await < 1.0);
    assert_eq!(visitor.get("/api/headers").await.0, 200);

    let id = edge.gateway.id().to_string();
    let open = fs::read_dir(format!("/proc/{id}/fd")).expect("the process runs").count();
    let limit = format!("--nofile={0}:{0}", open + LEFT);
    let limited = Command::new("prlimit")
        .args(["--pid", &id, &limit])
        .status()
        .expect("util-linux has prlimit");
    assert!(limited.success());
    let idle: Vec<_> =
        (0..IDLE).map(|_| TcpStream::connect(("127.0.0.1", edge.https_port))).collect();
    assert!(idle.iter().all(Result::is_ok), "the connections wait in the accept queue");

    let first = until_refused(&admin, edge.admin_port, 1.0).await;
    let (began, busy) = (Instant::now(), cpu_time(&id));
    until_refused(&admin, edge.admin_port, first + FAILURES).await;
    let (took, busy) = (began.elapsed(), cpu_time(&id) - busy);
    assert!(busy < took / 2, "{busy:?} of CPU time in {took:?}");
    socket.send_text(json!({"type": "still"}).to_string()).await;
    socket.until("still").await;

    drop(idle);
    assert_eq!(
        edge.visitor().get("/api/headers").await.0,
        200,
        "new connections are accepted again"
    );
    assert_eq!(visitor.get("/api/headers").await.0, 200);
    println!("{busy:?} of CPU time in {took:?}, {FAILURES} failures");
}

async fn until_refused(admin: &Client, port: u16, enough: f64) -> f64 {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let refused = refused(admin, port).await;
        if refused >= enough {
            return refused;
        }
        assert!(Instant::now() < deadline, "{refused} refused, expected {enough}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Accepts that failed for lack of a descriptor.
async fn refused(admin: &Client, port: u16) -> f64 {
    let metrics =
        admin.request(Method::GET, format!("http://127.0.0.1:{port}/metrics")).send().await;
    let metrics = metrics
        .expect("the admin address answers on an open connection")
        .text()
        .await
        .expect("read all metrics");
    let series = "gateway_connections_refused_total{listener=\"https\",reason=\"descriptors\"}";
    scrape::value(&metrics, series).unwrap_or_default()
}

/// The CPU time of a process so far: fields 14 and 15 in proc_pid_stat(5), in hundredths of a
/// second.
fn cpu_time(id: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("the process runs");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().expect("a number"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
