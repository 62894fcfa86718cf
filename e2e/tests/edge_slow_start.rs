//! Slow start: a target that recovers under load first gets a small share of requests, and its full
//! share in the end.

use std::time::{Duration, Instant};

use e2e::echo::Echo;
use e2e::edge::Edge;
use e2e::load::Load;
use e2e::process::TIMEOUT;
use e2e::{free_port, scrape};

/// Concurrent requests.
const WORKERS: usize = 16;
/// Answers per measured share.
const SAMPLE: u64 = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovered_target_gets_a_growing_share() {
    let steady = Echo::start().await;
    let port = free_port();
    let edge = Edge::start_with(steady.port, "", &sections(steady.port, port));
    let load = Load::start(
        WORKERS,
        &edge.ca(),
        &format!("https://localhost:{}/api/work", edge.https_port),
        &[],
    );
    wait_for_health(&edge, port, 0.0).await;
    load.answers(SAMPLE).await;

    let back = Echo::start_at(port).await;
    wait_for_health(&edge, port, 1.0).await;
    let mut shares = vec![share(&load, &steady, &back).await];
    let deadline = Instant::now() + TIMEOUT;
    while shares.last().is_none_or(|share| *share < 0.4) {
        assert!(Instant::now() < deadline, "its share stays small: {shares:?}");
        shares.push(share(&load, &steady, &back).await);
    }
    assert!(shares[0] < 0.3, "its first share is too large: {shares:?}");
    let tally = load.stop().await;
    tally.assert_no_failures();
    println!("shares: {shares:.2?}");
}

async fn share(load: &Load, steady: &Echo, back: &Echo) -> f64 {
    let before = (steady.reached().len(), back.reached().len());
    load.answers(SAMPLE).await;
    let (steady, back) = (steady.reached().len() - before.0, back.reached().len() - before.1);
    back as f64 / (steady + back) as f64
}

async fn wait_for_health(edge: &Edge, port: u16, expected: f64) {
    let series =
        format!("gateway_upstream_target_healthy{{target=\"127.0.0.1:{port}\",upstream=\"work\"}}");
    let deadline = Instant::now() + TIMEOUT;
    while scrape::value(&scrape::metrics(edge.admin_port), &series) != Some(expected) {
        assert!(Instant::now() < deadline, "{series} is never {expected}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn sections(steady: u16, back: u16) -> String {
    format!(
        r#"
[[route]]
name = "work"
path = "/api/work"
upstream = "work"

[[upstream]]
name = "work"
targets = ["127.0.0.1:{steady}", "127.0.0.1:{back}"]
slow_start = "6s"

[upstream.health_check]
interval = "100ms"
timeout = "2s"
healthy_after = 1
unhealthy_after = 1
"#
    )
}
