//! A hundred reloads under load, with broken files in between: no request fails, no WebSocket
//! closes, no stream breaks.

use std::time::{Duration, Instant};

use e2e::client::{Live, Visitor, follow};
use e2e::echo::Echo;
use e2e::edge::Edge;
use e2e::load::Load;
use e2e::process::TIMEOUT;
use e2e::scrape;
use futures::future::join_all;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const RELOADS: u32 = 100;
const SOCKETS: usize = 200;
const STREAMS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_reloads_and_broken_files_under_load_lose_nothing() {
    let backend = Echo::start().await;
    let edge = Edge::start_with(backend.port, "", &sections(0));
    let mut visitor = edge.visitor();
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        sockets.push(edge.visitor().live().await);
    }
    let (end, ended) = watch::channel(false);
    let streams: Vec<JoinHandle<u64>> =
        (0..STREAMS).map(|_| tokio::spawn(follow(edge.visitor(), ended.clone()))).collect();
    let load = Load::start(
        8,
        &edge.ca(),
        &format!("https://localhost:{}/api/headers", edge.https_port),
        &[],
    );
    load.answers(100).await;

    let began = Instant::now();
    for round in 1..=RELOADS {
        edge.rewrite(&sections(round));
        reload(&edge, &mut visitor, round).await;
        if round % 5 == 0 {
            reload_broken(&edge, &mut visitor, round).await;
            echo_all(&mut sockets, round).await;
        }
    }
    let took = began.elapsed();
    load.answers(100).await;
    let tally = load.stop().await;
    tally.assert_no_failures();
    echo_all(&mut sockets, RELOADS + 1).await;
    let metrics = scrape::metrics(edge.admin_port);
    assert_eq!(
        scrape::value(&metrics, "gateway_websockets_total{route=\"live\"}"),
        Some(SOCKETS as f64)
    );
    end.send(true).expect("the streams are still read");
    for stream in streams {
        assert!(stream.await.expect("a stream is read until the end of the test") > 0);
    }
    assert!(took < Duration::from_secs(60), "{RELOADS} reloads took {took:?}");
    println!("{RELOADS} reloads in {took:?}; {} requests answered", tally.answered.len());
}

/// Applies the written configuration, by `POST /reload` or by SIGHUP.
async fn reload(edge: &Edge, visitor: &mut Visitor, round: u32) {
    if round.is_multiple_of(2) {
        let (status, report) = edge.reload();
        assert_eq!(status, 200, "{report}");
        let word = word(visitor).await;
        assert_eq!(word, round.to_string(), "the reported configuration is applied");
    } else {
        edge.gateway.signal(Signal::SIGHUP);
        eventually_word(visitor, round).await;
    }
}

async fn reload_broken(edge: &Edge, visitor: &mut Visitor, round: u32) {
    edge.rewrite(&sections(round + 1).replace("respond =", "respnd ="));
    let (status, report) = edge.reload();
    assert!(status == 422 && report.contains("respnd"), "{status} {report}");
    assert_eq!(word(visitor).await, round.to_string(), "a broken file changes nothing");
    let metrics = scrape::metrics(edge.admin_port);
    let successful = scrape::value(&metrics, "gateway_config_last_reload_successful");
    assert_eq!(successful, Some(0.0));
}

/// Alternates between two configurations with different routes, drain deadline and upstreams. The
/// body of `/word` identifies the configuration.
fn sections(round: u32) -> String {
    let word = format!(
        "\n[[route]]\nname = \"word\"\npath = \"/word\"\nrespond = {{ status = 200, body = \"{round}\" }}\n"
    );
    if round.is_multiple_of(2) {
        return word;
    }
    format!(
        "{word}\n[[route]]\nname = \"other\"\npath_prefix = \"/api/other\"\nupstream = \"other\"\n\n\
         [[upstream]]\nname = \"other\"\ntargets = [\"127.0.0.1:9\"]\nbalance = \"least-request\"\n\n\
         [drain]\ndeadline = \"5s\"\n"
    )
}

async fn word(visitor: &mut Visitor) -> String {
    let response = visitor.send(visitor.request(Method::GET, "/word")).await;
    response.text().await.expect("read the whole answer")
}

async fn eventually_word(visitor: &mut Visitor, round: u32) {
    let deadline = Instant::now() + TIMEOUT;
    while word(visitor).await != round.to_string() {
        assert!(Instant::now() < deadline, "SIGHUP did not apply configuration {round}");
    }
}

async fn echo_all(sockets: &mut [Live], round: u32) {
    join_all(sockets.iter_mut().map(|socket| async move {
        socket.send_text(json!({"type": "round", "round": round}).to_string()).await;
        socket.until_where("round", |frame| frame["round"] == round).await;
    }))
    .await;
}
