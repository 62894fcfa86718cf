//! Upstream timeouts, for each stage of a response.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Backend, Gateway, eventually, read_to_end, routes_to};

/// Clearly longer than the shorter timeout in these tests, which is one second.
const PAUSE: Duration = Duration::from_millis(1600);

/// A backend that pauses, or stops, where the path says; it counts its connections.
async fn pausing() -> (Backend, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let backend = Backend::raw(move |tcp: TcpStream| {
        counted.fetch_add(1, Ordering::SeqCst);
        serve(tcp)
    })
    .await;
    (backend, connections)
}

async fn serve(mut tcp: TcpStream) {
    let mut bytes = [0; 4096];
    loop {
        let read = tcp.read(&mut bytes).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        let request = String::from_utf8_lossy(&bytes[..read]).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default();
        match path {
            "/late" => tokio::time::sleep(PAUSE).await,
            "/never" => continue,
            _ => {}
        }
        let kind = if path == "/events" { "text/event-stream" } else { "text/plain" };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let Ok(()) = tcp.write_all(format!("{head}5\r\nfirst\r\n").as_bytes()).await else {
            return;
        };
        match path {
            "/pauses" => tokio::time::sleep(PAUSE).await,
            "/stops" | "/events" => continue,
            _ => {}
        }
        let Ok(()) = tcp.write_all(b"4\r\nlast\r\n0\r\n\r\n").await else { return };
    }
}

async fn gateway(backend: &Backend, first_byte: &str, idle: &str) -> Gateway {
    let timeouts =
        format!("first_byte_timeout = \"{first_byte}\"\nidle_timeout = \"{idle}\"\nbody_limit");
    Gateway::start(&routes_to(&[backend.address]).replace("body_limit", &timeouts)).await
}

fn failures(gateway: &Gateway, reason: &str) -> f64 {
    gateway.metric("gateway_upstream_failures_total", &[("reason", reason)])
}

#[tokio::test]
async fn first_byte_timeout_gets_504_regardless_of_idle_timeout() {
    let (backend, _) = pausing().await;
    let gateway = gateway(&backend, "1s", "60s").await;
    for (client, so_far) in [(gateway.client_h1(), 1.0), (gateway.client(), 2.0)] {
        let started = Instant::now();
        assert_eq!(client.get(gateway.url("/never")).send().await.unwrap().status(), 504);
        assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
        assert_eq!((failures(&gateway, "first_byte"), failures(&gateway, "idle")), (so_far, 0.0));
        let whole = client.get(gateway.url("/pauses")).send().await.unwrap().text().await.unwrap();
        assert_eq!(whole, "firstlast", "a pause shorter than `idle_timeout`");
    }
}

#[tokio::test]
async fn idle_timeout_cuts_off_a_response_regardless_of_first_byte_timeout() {
    let (backend, _) = pausing().await;
    let gateway = gateway(&backend, "60s", "1s").await;
    for (client, so_far) in [(gateway.client_h1(), 1.0), (gateway.client(), 2.0)] {
        let late = client.get(gateway.url("/late")).send().await.unwrap().text().await.unwrap();
        assert_eq!(late, "firstlast", "a first byte before `first_byte_timeout`");
        let cut = client.get(gateway.url("/stops")).send().await.unwrap();
        assert_eq!(cut.status(), 200);
        cut.bytes().await.unwrap_err();
        assert_eq!((failures(&gateway, "idle"), failures(&gateway, "first_byte")), (so_far, 0.0));
    }
    client_sees_no_end(&gateway).await;
}

async fn client_sees_no_end(gateway: &Gateway) {
    let mut stream = gateway.raw().await;
    stream.write_all(b"GET /stops HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.ends_with("5\r\nfirst\r\n"), "the last chunk must be missing: {answer}");
}

#[tokio::test]
async fn an_idle_event_stream_is_cut_off_and_counted_as_stalled() {
    let (backend, _) = pausing().await;
    let gateway = gateway(&backend, "60s", "1s").await;
    gateway.client().get(gateway.url("/events")).send().await.unwrap().bytes().await.unwrap_err();
    eventually("the stall is counted", async || {
        gateway.metric("gateway_event_stream_stalls_total", &[("route", "all")]) == 1.0
    })
    .await;
    assert_eq!(failures(&gateway, "idle"), 1.0);
}

#[tokio::test]
async fn an_event_stream_closed_by_the_client_is_not_counted_as_stalled() {
    let (backend, _) = pausing().await;
    let gateway = gateway(&backend, "60s", "60s").await;
    for client in [gateway.client_h1(), gateway.client()] {
        let mut events = client.get(gateway.url("/events")).send().await.unwrap();
        assert_eq!(events.chunk().await.unwrap().unwrap(), "first");
        drop(events);
        eventually("the event stream is closed", async || {
            gateway.metric("gateway_event_streams_open", &[]) == 0.0
        })
        .await;
    }
    assert_eq!(gateway.metric("gateway_event_stream_stalls_total", &[]), 0.0);
    assert_eq!(gateway.metric("gateway_upstream_failures_total", &[]), 0.0);
}

#[tokio::test]
async fn timeouts_of_a_request_do_not_apply_to_its_idle_connection() {
    let (backend, connections) = pausing().await;
    let gateway = gateway(&backend, "1s", "1s").await;
    let client = gateway.client();
    let ask = async |path: &str| client.get(gateway.url(path)).send().await.unwrap();
    assert_eq!(ask("/").await.text().await.unwrap(), "firstlast");
    eventually("the backend has a connection", async || connections.load(Ordering::SeqCst) == 1)
        .await;
    // Two requests at a time: the first takes the idle connection, the second opens another and
    // leaves it idle until the first has timed out.
    assert_eq!(ask("/never").await.status(), 504);
    assert_eq!(ask("/").await.text().await.unwrap(), "firstlast");
    let before = connections.load(Ordering::SeqCst);
    let (gone, _) = tokio::join!(ask("/never"), async {
        eventually("the idle connection is in use", async || {
            gateway.metric("gateway_upstream_requests_in_flight", &[]) == 1.0
        })
        .await;
        assert_eq!(ask("/").await.text().await.unwrap(), "firstlast");
    });
    assert_eq!((gone.status().as_u16(), connections.load(Ordering::SeqCst)), (504, before + 1));
    assert_eq!(ask("/").await.text().await.unwrap(), "firstlast");
    assert_eq!(
        connections.load(Ordering::SeqCst),
        before + 1,
        "the idle connection must outlive the timeout"
    );
}
