//! HTTP/2 in masses: what a client can make the gateway do, or hold, is bounded, and others are
//! served meanwhile.

use std::time::Duration;

use e2e::attack::wire::PROMPT;
use e2e::attack::{Attacked, BIG_FILE, Door, NO_RATE};
use e2e::frames::{
    self, END_HEADERS, END_STREAM, Frame, H2, WHOLE, code, field, frame, kind, request, settings,
};
use e2e::process::{PATIENCE, eventually};
use tokio::io::AsyncWriteExt as _;

/// Bytes of a flood after which the test gives up: the gateway takes them without end.
const ENDLESS: usize = 32 << 20;
/// A connection that takes nothing for so long has stalled.
const STALLED: Duration = Duration::from_secs(2);

/// What came of a flood.
#[derive(Debug)]
struct Flood {
    /// Bytes that the gateway took.
    taken: usize,
    /// The code of GOAWAY, when there was one.
    goodbye: Option<u32>,
}

/// Sends bytes again and again until the connection ends or takes no more, reading meanwhile or
/// not.
async fn flood(
    attacked: &Attacked,
    first: &[u8],
    reads: bool,
    mut next: impl FnMut(usize) -> Vec<u8>,
) -> Flood {
    let mut connection = H2::open(attacked, &[]).await;
    connection.send(first).await.expect("it is sent");
    let (mut reading, mut writing) = connection.split();
    let reader = tokio::spawn(async move {
        let mut goodbye = None;
        // The side that is not read must stay open all the same.
        while reads || std::future::pending().await {
            match frames::next(&mut reading).await {
                Some(frame) if frame.kind == kind::GOAWAY => {
                    goodbye = Some(frames::number(&frame.payload, 4)).filter(|code| *code != 0);
                }
                Some(_) => {}
                None => break,
            }
        }
        goodbye
    });
    let (mut taken, mut round) = (0, 0);
    while taken < ENDLESS && !reader.is_finished() {
        let bytes = next(round);
        round += 1;
        match tokio::time::timeout(STALLED, writing.write_all(&bytes)).await {
            Ok(Ok(())) => taken += bytes.len(),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    let stop = reader.abort_handle();
    let goodbye = if reads && taken < ENDLESS {
        tokio::time::timeout(PROMPT, reader).await.ok()
    } else {
        None
    };
    stop.abort();
    Flood { taken, goodbye: goodbye.and_then(Result::ok).flatten() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_reset_at_once_end_the_connection() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    for (name, fault) in [
        ("reset by the client", [kind::RST_STREAM, 0, 0, 0, 8]),
        // CVE-2025-8671: the server is made to reset.
        ("a window update of nothing", [kind::WINDOW_UPDATE, 0, 0, 0, 0]),
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
        assert!(flooded.taken < ENDLESS, "{name}: {flooded:?}");
        let goodbye = [code::ENHANCE_YOUR_CALM, code::PROTOCOL];
        assert!(flooded.goodbye.is_none_or(|code| goodbye.contains(&code)), "{name}: {flooded:?}");
    }
    attacked.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_that_cost_the_sender_nothing_end_or_stall() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let head = frame(kind::HEADERS, END_STREAM, 1, &request("GET", "/api/endless"));
    let fields = frame(kind::CONTINUATION, 0, 1, &field("x", "y".repeat(100)).repeat(100));
    let empty = frame(kind::CONTINUATION, 0, 1, &[]).repeat(1000);
    let pings = frame(kind::PING, 0, 0, &[0; 8]).repeat(1000);
    let set = settings(&[(4, 65_535)]).repeat(1000);
    let open = frame(kind::HEADERS, END_HEADERS, 1, &request("POST", "/api/endless"));
    let nothing = frame(kind::DATA, 0, 1, &[]).repeat(1000);
    for (name, first, reads, flooding) in [
        ("a head without end", head.clone(), true, fields),
        ("a head of empty pieces", head, true, empty),
        ("pings whose answers nobody reads", Vec::new(), false, pings),
        ("settings whose answers nobody reads", Vec::new(), false, set),
    ] {
        let flooded = flood(&attacked, &first, reads, |_| flooding.clone()).await;
        assert!(flooded.taken < ENDLESS, "{name}: {flooded:?}");
        attacked
            .exchange(Door::Tls, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .expect(name);
    }
    // Allowed, and worth nothing: it may go on, and must not fill memory.
    let before = attacked.forget_peak();
    flood(&attacked, &open, true, |_| nothing.clone()).await;
    let grown = attacked.memory("VmHWM").saturating_sub(before);
    assert!(grown < 64 << 20, "empty DATA took {grown} bytes of memory");
    assert_eq!(attacked.backend.of("/api/endless").iter().filter(|seen| seen.complete).count(), 0);
    attacked.assert_well().await;
}

/// Connections, and streams on each of them.
const CONNECTIONS: usize = 20;
const STREAMS: u32 = 100;
/// `limits.held_bytes_per_address`, of which each request takes 32 KiB; what is above is answered
/// 503.
const HELD: &str = "held_bytes_per_address = \"32MiB\"";
/// Bytes of memory that stalled streams of one address may hold: twice that, for connections and
/// the allocator.
const STALLED_MAX: usize = 64 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_nobody_reads_hold_little_memory() {
    let mut attacked = Attacked::start(&format!("{NO_RATE}\n{HELD}"), "").await;
    let before = attacked.forget_peak();
    let mut connections = Vec::new();
    for path in ["/big.bin", "/api/big"] {
        for _ in 0..CONNECTIONS / 2 {
            // A window of nothing for each stream.
            let mut connection = H2::open(&attacked, &[(4, 0)]).await;
            let open = (0..STREAMS).flat_map(|stream| {
                frame(kind::HEADERS, WHOLE, 2 * stream + 1, &request("GET", path))
            });
            connection.send(&open.collect::<Vec<_>>()).await.expect("it is sent");
            connections.push(connection);
        }
    }
    let mut answered = 0;
    for connection in &mut connections {
        let mut over = std::collections::BTreeSet::new();
        while over.len() < STREAMS as usize {
            let frame = tokio::time::timeout(PATIENCE, connection.next())
                .await
                .expect("every stream is answered or refused");
            let Some(Frame { kind, stream, .. }) = frame else { break };
            if kind == kind::HEADERS || kind == kind::RST_STREAM {
                answered += usize::from(kind == kind::HEADERS);
                over.insert(stream);
            }
        }
    }
    // Nothing more is read from the sockets; what is held shows once it no longer grows.
    let mut last = 0;
    eventually("memory to stand still", || {
        let now = attacked.memory("VmRSS");
        (std::mem::replace(&mut last, now) >= now).then_some(())
    });
    let grown = attacked.memory("VmHWM").saturating_sub(before);
    println!("{answered} streams of {BIG_FILE} bytes stalled: {grown} bytes of memory");
    assert!(grown < STALLED_MAX, "{grown} bytes for {answered} streams that nobody reads");
    attacked
        .exchange(Door::Tls, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .expect("others are served");
    drop(connections);
    attacked.assert_well().await;
}
