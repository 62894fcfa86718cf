//! Faults under load: a killed backend, and SIGTERM to the gateway.

use std::fs;

use e2e::echo::Echo;
use e2e::edge::Edge;
use e2e::gatehouse::admin;
use e2e::load::Load;
use e2e::process::eventually;
use e2e::scrape;
use e2e::split::Split;
use nix::sys::signal::Signal;
use reqwest::Method;

/// Concurrent requests.
const WORKERS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_backend_costs_only_requests_in_flight() {
    let split = Split::start();
    let settings = fs::read_to_string(split.configuration()).expect("read the file");
    let room = "\n[limits]\nrate_limit = { per_second = 1000000, burst = 1000000 }\n\n[log]\naccess = false\n";
    fs::write(split.configuration(), format!("{settings}{room}")).expect("write the file");
    let (status, report) =
        admin(split.admin_port, "POST", "/reload").expect("the admin address answers");
    assert_eq!(status, 200, "{report}");

    let mut visitor = split.visitor();
    let me =
        visitor.send(visitor.request(Method::POST, "/api/me").json(&serde_json::json!({}))).await;
    let cookie = me.headers()["set-cookie"].to_str().expect("a cookie is text");
    let cookie = cookie.split(';').next().expect("a cookie has a value").to_owned();
    let url = format!("https://localhost:{}/api/me", split.https_port);
    let load = Load::start(WORKERS, &split.ca(), &url, &[("cookie", cookie)]);
    load.answers(200).await;

    let (killed_port, killed) = &split.backends[1];
    killed.signal(Signal::SIGKILL);
    let series = format!(
        "gateway_upstream_target_healthy{{target=\"127.0.0.1:{killed_port}\",upstream=\"api\"}}"
    );
    let noticed = eventually("the gateway to notice", || {
        let metrics = scrape::metrics(split.admin_port);
        (scrape::value(&metrics, &series) == Some(0.0)).then(std::time::Instant::now)
    });
    load.answers(500).await;
    let tally = load.stop().await;

    let failures = &tally.failures;
    assert!(
        failures.len() <= WORKERS,
        "{} failed, the first: {:?}",
        failures.len(),
        failures.first()
    );
    let late: Vec<_> = failures.iter().filter(|failure| failure.sent > noticed).collect();
    assert!(late.is_empty(), "failures after the gateway noticed: {late:?}");
    println!("{} answered, {} failed", tally.answered.len(), failures.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_answers_all_accepted_requests_and_exits_with_0() {
    let backend = Echo::start().await;
    let mut edge = Edge::start(backend.port);
    let load = Load::start(
        WORKERS,
        &edge.ca(),
        &format!("https://localhost:{}/api/work", edge.https_port),
        &[],
    );
    load.answers(100).await;

    edge.gateway.signal(Signal::SIGTERM);
    let status = tokio::task::block_in_place(|| edge.gateway.wait());
    assert!(status.success(), "{status}: {}", edge.gateway.log());
    let tally = load.stop().await;

    let reached = backend.reached();
    let lost: Vec<_> =
        tally.failures.iter().filter(|failure| reached.contains(&failure.number)).collect();
    assert!(lost.is_empty(), "accepted and not answered: {lost:?}");
    assert_eq!(
        reached, tally.answered,
        "every request that reached the backend is answered in full"
    );
    assert!(!tally.failures.is_empty(), "the load continued until the listener closed");
}
