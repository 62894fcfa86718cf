//! HTTP/2 floods: the work and memory that a client can cause are bounded, and other clients are
//! still served.

use std::time::Duration;

use e2e::attack::wire::RESPONSE_TIMEOUT;
use e2e::attack::{Attacked, BIG_FILE, Listener, NO_RATE};
use e2e::frames::{
    self, END_HEADERS, END_STREAM, Frame, H2, WHOLE, code, field, frame, kind, request, settings,
};
use e2e::process::{TIMEOUT, eventually};
use tokio::io::AsyncWriteExt as _;

/// Size of a flood, in bytes, at which the test fails: the gateway accepts it without limit.
const ENDLESS: usize = 32 << 20;
/// A connection that accepts nothing for this long has stalled.
const STALLED: Duration = Duration::from_secs(2);

/// Result of a flood.
#[derive(Debug)]
struct Flood {
    /// Bytes that the gateway accepted.
    accepted: usize,
    /// The code of GOAWAY, if there was one.
    goaway: Option<u32>,
}

/// Sends bytes in a loop until the connection ends or stalls. With `reads`, it also reads frames.
async fn flood(
    attacked: &Attacked,
    first: &[u8],
    reads: bool,
    mut next: impl FnMut(usize) -> Vec<u8>,
) -> Flood {
    let mut connection = H2::open(attacked, &[]).await;
    connection.send(first).await.expect("send the request");
    let (mut reading, mut writing) = connection.split();
    let reader = tokio::spawn(async move {
        let mut goaway = None;
        // Without reading, the receiving half must still stay open.
        while reads || std::future::pending().await {
            match frames::next(&mut reading).await {
                Some(frame) if frame.kind == kind::GOAWAY => {
                    goaway = Some(frames::number(&frame.payload, 4)).filter(|code| *code != 0);
                }
                Some(_) => {}
                None => break,
            }
        }
        goaway
    });
    let (mut accepted, mut round) = (0, 0);
    while accepted < ENDLESS && !reader.is_finished() {
        let bytes = next(round);
        round += 1;
        match tokio::time::timeout(STALLED, writing.write_all(&bytes)).await {
            Ok(Ok(())) => accepted += bytes.len(),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    let stop = reader.abort_handle();
    let goaway = if reads && accepted < ENDLESS {
        tokio::time::timeout(RESPONSE_TIMEOUT, reader).await.ok()
    } else {
        None
    };
    stop.abort();
    Flood { accepted, goaway: goaway.and_then(Result::ok).flatten() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_resets_end_the_connection() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    for (name, fault) in [
        ("reset by the client", [kind::RST_STREAM, 0, 0, 0, 8]),
        // CVE-2025-8671: the client makes the server reset streams.
        ("a window update of 0", [kind::WINDOW_UPDATE, 0, 0, 0, 0]),
    ] {
        let [fault, payload @ ..] = fault;
        let flooded = flood(&attacked, &[], true, |round| {
            let stream =
                |step| u32::try_from(2 * (100 * round + step) + 1).expect("streams are few");
            (0..100)
                .flat_map(|step| {
                    let open = frame(
                        kind::HEADERS,
                        END_HEADERS,
                        stream(step),
                        &request("POST", "/api/reset"),
                    );
                    [open, frame(fault, 0, stream(step), &payload)].concat()
                })
                .collect()
        })
        .await;
        assert!(flooded.accepted < ENDLESS, "{name}: {flooded:?}");
        let goaway = [code::ENHANCE_YOUR_CALM, code::PROTOCOL];
        assert!(flooded.goaway.is_none_or(|code| goaway.contains(&code)), "{name}: {flooded:?}");
    }
    attacked.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cheap_floods_end_or_stall() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let head = frame(kind::HEADERS, END_STREAM, 1, &request("GET", "/api/endless"));
    let fields = frame(kind::CONTINUATION, 0, 1, &field("x", "y".repeat(100)).repeat(100));
    let empty = frame(kind::CONTINUATION, 0, 1, &[]).repeat(1000);
    let pings = frame(kind::PING, 0, 0, &[0; 8]).repeat(1000);
    let set = settings(&[(4, 65_535)]).repeat(1000);
    let open = frame(kind::HEADERS, END_HEADERS, 1, &request("POST", "/api/endless"));
    let nothing = frame(kind::DATA, 0, 1, &[]).repeat(1000);
    for (name, first, reads, flooding) in [
        ("endless headers", head.clone(), true, fields),
        ("empty continuations", head, true, empty),
        ("pings with unread answers", Vec::new(), false, pings),
        ("settings with unread answers", Vec::new(), false, set),
    ] {
        let flooded = flood(&attacked, &first, reads, |_| flooding.clone()).await;
        assert!(flooded.accepted < ENDLESS, "{name}: {flooded:?}");
        attacked
            .exchange(Listener::Tls, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .expect(name);
    }
    // Empty DATA is allowed: it may continue, but must not fill memory.
    let before = attacked.reset_peak();
    flood(&attacked, &open, true, |_| nothing.clone()).await;
    let grown = attacked.memory("VmHWM").saturating_sub(before);
    assert!(grown < 64 << 20, "empty DATA used {grown} bytes of memory");
    assert_eq!(attacked.backend.of("/api/endless").iter().filter(|seen| seen.complete).count(), 0);
    attacked.assert_healthy().await;
}

/// Connections, and streams per connection.
const CONNECTIONS: usize = 20;
const STREAMS: u32 = 100;
/// `limits.held_bytes_per_address`. Each request counts 32 KiB; requests above the limit are
/// answered 503.
const HELD: &str = "held_bytes_per_address = \"32MiB\"";
/// Maximum memory for stalled streams of one address, in bytes: twice the limit, for connections
/// and the allocator.
const STALLED_MAX: usize = 64 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_streams_hold_little_memory() {
    let mut attacked = Attacked::start(&format!("{NO_RATE}\n{HELD}"), "").await;
    let before = attacked.reset_peak();
    let mut connections = Vec::new();
    for path in ["/big.bin", "/api/big"] {
        for _ in 0..CONNECTIONS / 2 {
            // A window of 0 for each stream.
            let mut connection = H2::open(&attacked, &[(4, 0)]).await;
            let open = (0..STREAMS).flat_map(|stream| {
                frame(kind::HEADERS, WHOLE, 2 * stream + 1, &request("GET", path))
            });
            connection.send(&open.collect::<Vec<_>>()).await.expect("send the request");
            connections.push(connection);
        }
    }
    let mut answered = 0;
    for connection in &mut connections {
        let mut over = std::collections::BTreeSet::new();
        while over.len() < STREAMS as usize {
            let frame = tokio::time::timeout(TIMEOUT, connection.next())
                .await
                .expect("every stream is answered or reset");
            let Some(Frame { kind, stream, .. }) = frame else { break };
            if kind == kind::HEADERS || kind == kind::RST_STREAM {
                answered += usize::from(kind == kind::HEADERS);
                over.insert(stream);
            }
        }
    }
    // The test reads no more. Memory has its final size when it no longer grows.
    let mut last = 0;
    eventually("memory to stop growing", || {
        let now = attacked.memory("VmRSS");
        (std::mem::replace(&mut last, now) >= now).then_some(())
    });
    let grown = attacked.memory("VmHWM").saturating_sub(before);
    println!("{answered} streams of {BIG_FILE} bytes stalled: {grown} bytes of memory");
    assert!(grown < STALLED_MAX, "{grown} bytes for {answered} unread streams");
    attacked
        .exchange(Listener::Tls, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .expect("other clients are served");
    drop(connections);
    attacked.assert_healthy().await;
}
