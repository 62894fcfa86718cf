//! Several targets of one upstream, some of which fail.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::any;

use crate::harness::{Backend, Gateway, PATIENCE, eventually, routes_to};

async fn named(name: &'static str) -> Backend {
    Backend::start(Router::new().fallback(any(async move || name))).await
}

/// An address without a listener.
async fn closed_port() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn requests_are_balanced_and_survive_the_death_of_a_backend() {
    let (one, two) = (named("one").await, named("two").await);
    let gateway = Gateway::start(&routes_to(&[one.address, two.address])).await;
    let client = gateway.client();
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        seen.insert(client.get(gateway.url("/")).send().await.unwrap().text().await.unwrap());
    }
    assert_eq!(seen, ["one".to_owned(), "two".to_owned()].into());
    drop(one);
    for _ in 0..50 {
        let response = client.get(gateway.url("/")).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.text().await.unwrap().as_str()),
            (200, "two")
        );
    }
    assert!(gateway.metric("gateway_upstream_retries_total", &[]) >= 1.0);
    assert_eq!(gateway.metric("gateway_upstream_requests_in_flight", &[]), 0.0);
}

#[tokio::test]
async fn a_target_that_keeps_failing_is_ejected() {
    let (dead, two) = (closed_port().await, named("two").await);
    let ejection = "\nejection = { consecutive_failures = 2, duration = \"60s\" }\nretries = { per_request = 1, budget_percent = 100 }";
    let gateway = Gateway::start(&(routes_to(&[dead, two.address]) + ejection)).await;
    let client = gateway.client();
    eventually("the target is ejected", async || {
        assert_eq!(client.get(gateway.url("/")).send().await.unwrap().status(), 200);
        gateway.metric("gateway_upstream_ejections_total", &[]) >= 1.0
    })
    .await;
    let failures = gateway.metric("gateway_upstream_failures_total", &[("reason", "connect")]);
    for _ in 0..20 {
        assert_eq!(client.get(gateway.url("/")).send().await.unwrap().status(), 200);
    }
    assert_eq!(
        gateway.metric("gateway_upstream_failures_total", &[("reason", "connect")]),
        failures,
        "it is left alone"
    );
}

#[tokio::test]
async fn an_unreachable_target_gets_502_then_503_in_the_accepted_format() {
    let gateway = Gateway::start(&routes_to(&[closed_port().await])).await;
    let client = gateway.client();
    let page = client.get(gateway.url("/")).header("accept", "text/html").send().await.unwrap();
    assert_eq!(
        (page.status().as_u16(), page.headers()["content-type"].to_str().unwrap()),
        (502, "text/html; charset=utf-8")
    );
    let problem = client.post(gateway.url("/api/x")).send().await.unwrap();
    assert_eq!(
        (problem.status().as_u16(), problem.headers()["content-type"].to_str().unwrap()),
        (502, "application/problem+json")
    );
    assert!(problem.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn health_checks_exclude_a_dead_target_before_requests_fail() {
    let (sick, well) = (Backend::start(Router::new()).await, named("well").await);
    let checks = "\nhealth_check = { path = \"/health\", interval = \"1s\", timeout = \"1s\", unhealthy_after = 1 }";
    let gateway = Gateway::start(&(routes_to(&[sick.address, well.address]) + checks)).await;
    let label = sick.address.to_string();
    eventually("the health check has failed", async || {
        gateway.metric("gateway_upstream_target_healthy", &[("target", &label)]) == 0.0
    })
    .await;
    for _ in 0..20 {
        assert_eq!(
            gateway.client().get(gateway.url("/")).send().await.unwrap().text().await.unwrap(),
            "well"
        );
    }
}

#[tokio::test]
async fn rendezvous_keeps_a_cookie_on_its_backend() {
    let backends = [named("a").await, named("b").await, named("c").await];
    let addresses: Vec<SocketAddr> = backends.iter().map(|backend| backend.address).collect();
    let gateway = Gateway::start(
        &(routes_to(&addresses) + "\nbalance = \"rendezvous\"\nhash_cookie = \"who\""),
    )
    .await;
    let client = gateway.client();
    let ask = async |who: usize| {
        let request = client.get(gateway.url("/")).header("cookie", format!("x=y; who={who}"));
        request.send().await.unwrap().text().await.unwrap()
    };
    let mut used = BTreeSet::new();
    for who in 0..20 {
        let first = ask(who).await;
        assert_eq!((ask(who).await, ask(who).await), (first.clone(), first.clone()));
        used.insert(first);
    }
    assert_eq!(used.len(), 3, "all targets are used");
}

#[tokio::test]
async fn an_open_circuit_breaker_responds_immediately() {
    let (release, wait) = tokio::sync::watch::channel(false);
    let slow = move || {
        let mut wait = wait.clone();
        async move {
            let _ = wait.wait_for(|done| *done).await;
            "done"
        }
    };
    let backend = Backend::start(Router::new().fallback(any(slow))).await;
    let gateway = Gateway::start(
        &(routes_to(&[backend.address]) + "\ncircuit_breaker = { max_requests = 1 }"),
    )
    .await;
    let client = gateway.client();
    let first = tokio::spawn(client.get(gateway.url("/")).send());
    eventually("the first request has arrived", async || {
        gateway.metric("gateway_upstream_requests_in_flight", &[]) == 1.0
    })
    .await;
    let second = client.get(gateway.url("/")).send().await.unwrap();
    assert_eq!(
        (second.status().as_u16(), second.headers().contains_key("retry-after")),
        (503, true)
    );
    release.send_replace(true);
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn dns_names_and_unix_sockets_are_targets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backend.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let serving = tokio::spawn(async move {
        axum::serve(listener, Router::new().fallback(any(async || "unix"))).await
    });
    let text = routes_to(&[closed_port().await]);
    let with = |target: String| {
        text.split("targets").next().unwrap().to_owned() + &format!("targets = [\"{target}\"]")
    };
    let gateway = Gateway::start(&with(format!("unix:{}", path.display()))).await;
    assert_eq!(
        gateway.client().get(gateway.url("/")).send().await.unwrap().text().await.unwrap(),
        "unix"
    );
    serving.abort();

    // `localhost` may resolve to ::1 first, where nothing listens. `dns:` makes every address a
    // target, one of which works; without it, all addresses are one target and no retry is needed.
    let backend = named("by name").await;
    let port = backend.address.port();
    for (name, retries) in [("dns:localhost", 1), ("localhost", 0)] {
        let retries = format!("\nretries = {{ per_request = {retries}, budget_percent = 100 }}");
        let gateway = Gateway::start(&(with(format!("{name}:{port}")) + &retries)).await;
        let response =
            tokio::time::timeout(PATIENCE, gateway.client().get(gateway.url("/")).send())
                .await
                .unwrap()
                .unwrap();
        assert_eq!(
            (response.status().as_u16(), response.text().await.unwrap().as_str()),
            (200, "by name")
        );
    }
}
