//! Clients that send many requests and read no responses: the gateway's memory stays bounded.

use std::fs;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::h2_floods::{
    END_HEADERS, END_STREAM, GET, HEADERS, RST_STREAM, SETTINGS, assert_others_are_served,
    await_frame, frame,
};
use crate::harness::{Backend, Gateway, eventually, routes_to};

const CONNECTIONS: usize = 20;
const STREAMS: u32 = 100;
const FILE: usize = 2 << 20;

/// A backend that sends a large file for each request.
async fn large() -> Backend {
    static BODY: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    Backend::raw(async |mut tcp: TcpStream| {
        let _ = tcp.read(&mut [0; 1024]).await;
        let _ = tcp
            .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {FILE}\r\n\r\n").as_bytes())
            .await;
        for _ in 0..FILE / BODY.len() {
            if tcp.write_all(&BODY).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// Connections with many requests each, whose responses are not read. `window`: flow-control window
/// for each response body.
async fn stalled(gateway: &Gateway, window: u32) -> Vec<TlsStream<TcpStream>> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = gateway.raw_h2().await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        // SETTINGS_INITIAL_WINDOW_SIZE, and the same for the connection (RFC 9113 sections 6.5.2
        // and 6.9).
        let settings = [&[0, 4], window.to_be_bytes().as_slice()].concat();
        stream.write_all(&frame(SETTINGS, 0, 0, &settings)).await.unwrap();
        stream.write_all(&frame(8, 0, 0, &0x3fff_0000_u32.to_be_bytes())).await.unwrap();
        for number in 0..STREAMS {
            let open = frame(HEADERS, END_STREAM | END_HEADERS, number * 2 + 1, GET);
            stream.write_all(&open).await.unwrap();
        }
        connections.push(stream);
    }
    connections
}

/// Bytes of memory in use by this process: gateway, backend and clients.
fn memory() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Memory that stalled streams hold with these limits.
async fn held_for_stalled_streams(
    routes: &str,
    window: u32,
    limits: &str,
) -> (Gateway, usize, Vec<TlsStream<TcpStream>>) {
    let rate = "rate_limit = { per_second = 100000, burst = 100000 }";
    // On a loaded machine, the first streams must not be cut before the last one is open.
    let send = "send_timeout = \"5m\"";
    let gateway = Gateway::start(&format!("{routes}\n[limits]\n{rate}\n{send}\n{limits}\n")).await;
    let before = memory();
    let connections = stalled(&gateway, window).await;
    let all = (CONNECTIONS * STREAMS as usize) as f64;
    eventually("every request is held or rejected", async || {
        let refused = gateway.metric("gateway_requests_refused_total", &[]);
        gateway.metric("gateway_requests_in_flight", &[]) + refused >= all
    })
    .await;
    let mut most = 0;
    // Wait until the buffers are filled.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(2);
    eventually("memory use is stable", async || {
        most = most.max(memory().saturating_sub(before));
        std::time::Instant::now() > until
    })
    .await;
    (gateway, most, connections)
}

#[tokio::test]
async fn streams_without_a_window_hold_a_bounded_amount_of_responses() {
    let backend = large().await;
    for window in [0, 0x7fff_ffff] {
        let (gateway, held, connections) =
            held_for_stalled_streams(&routes_to(&[backend.address]), window, "").await;
        assert!(held < 256 << 20, "{held} bytes are held with windows of {window}");
        drop(connections);
        all_is_given_back(&gateway).await;
        assert_others_are_served(&gateway).await;
    }
}

async fn all_is_given_back(gateway: &Gateway) {
    eventually("all memory is released", async || {
        gateway.metric("gateway_requests_in_flight", &[]) == 0.0
            && gateway.metric("gateway_held_bytes", &[]) == 0.0
    })
    .await;
}

#[tokio::test]
async fn an_address_over_its_memory_limit_gets_503() {
    let backend = large().await;
    let limits = "held_bytes_per_address = \"32MiB\"";
    let (gateway, held, connections) =
        held_for_stalled_streams(&routes_to(&[backend.address]), 0, limits).await;
    // 32 KiB for each request: at most 1,024 fit without any response data.
    let refused = gateway.metric("gateway_requests_refused_total", &[("reason", "held_bytes")]);
    assert!((976.0..2000.0).contains(&refused), "{refused} of 2000 requests were rejected");
    // When the limit is reached, a piece of 16 KiB may still be read for each request, and ten of 1
    // KiB after that.
    let counted = gateway.metric("gateway_held_bytes", &[]);
    assert!(counted <= f64::from((32 << 20) + 1024 * (26 << 10)), "{counted} bytes are counted");
    assert!(held < 128 << 20, "{held} bytes are held");
    drop(connections);
    all_is_given_back(&gateway).await;
    assert_others_are_served(&gateway).await;
}

#[tokio::test]
async fn stalled_file_responses_hold_a_bounded_amount() {
    let site = tempfile::tempdir().unwrap();
    fs::write(site.path().join("index.html"), vec![b'x'; FILE]).unwrap();
    let routes = format!(
        "[[route]]\nname = \"page\"\npath_prefix = \"/\"\nstatic = \"page\"\n[[site]]\nname = \"page\"\nroot = \"{}\"\n",
        site.path().display()
    );
    for window in [0, 0x7fff_ffff] {
        let (gateway, held, connections) = held_for_stalled_streams(&routes, window, "").await;
        assert!(held < 128 << 20, "{held} bytes are held with windows of {window}");
        drop(connections);
        all_is_given_back(&gateway).await;
    }
}

#[tokio::test]
async fn a_response_that_is_not_read_is_cut_off_after_send_timeout() {
    let backend = large().await;
    let routes = routes_to(&[backend.address]);
    let gateway = Gateway::start(&format!("{routes}\n[limits]\nsend_timeout = \"1s\"\n")).await;
    // HTTP/2: the stream is reset, and the connection stays open.
    let mut h2 = gateway.raw_h2().await;
    h2.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    h2.write_all(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await.unwrap();
    for stream in [1, 3] {
        h2.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, stream, GET)).await.unwrap();
        await_frame(&mut h2, RST_STREAM).await.expect("RST_STREAM");
    }
    // HTTP/1.1: the connection is closed. The response is larger than the socket buffers.
    let mut h1 = gateway.raw().await;
    for _ in 0..20 {
        h1.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    }
    eventually("the request has started", async || {
        gateway.metric("gateway_requests_in_flight", &[]) == 1.0
    })
    .await;
    eventually("no request is in flight", async || {
        gateway.metric("gateway_requests_in_flight", &[]) == 0.0
            && gateway.metric("gateway_connections_open", &[]) == 1.0
    })
    .await;
}
