//! HTTP/2 frames of the wrong size, on the wrong stream, or after the end (RFC 9113 sections 4 to
//! 6).

use Expected::{Ended, Reset};
use e2e::attack::{Attacked, NO_RATE};
use e2e::frames::{
    END_HEADERS, END_STREAM, H2, Outcome, PADDED, PREFACE, WHOLE, code, frame, kind, request,
    settings,
};
use futures::{StreamExt as _, stream};

/// Expected result. Silence is always wrong.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// GOAWAY with this code or with PROTOCOL_ERROR, which the h2 library uses for everything it
    /// cannot decode.
    Ended(u32),
    /// The stream is reset with this code, or the connection ends as for `Ended` (allowed by RFC
    /// 9113 section 5.4.2).
    Reset(u32),
}

type Case = (&'static str, Vec<u8>, Expected);

const PROTOCOL: Expected = Ended(code::PROTOCOL);
const SIZE: Expected = Ended(code::FRAME_SIZE);
const COMPRESSION: Expected = Ended(code::COMPRESSION);

fn get() -> Vec<u8> {
    request("GET", "/api/frames")
}

/// A complete request.
fn whole(stream: u32) -> Vec<u8> {
    frame(kind::HEADERS, WHOLE, stream, &get())
}

/// A request without its body.
fn open(stream: u32) -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS, stream, &request("POST", "/api/frames"))
}

fn after(first: Vec<u8>, second: Vec<u8>) -> Vec<u8> {
    [first, second].concat()
}

/// PING, SETTINGS and windows.
fn connection_frames() -> Vec<Case> {
    let increment = |by: u32| by.to_be_bytes();
    vec![
        ("PING of 7 bytes", frame(kind::PING, 0, 0, &[0; 7]), SIZE),
        ("PING of 9 bytes", frame(kind::PING, 0, 0, &[0; 9]), SIZE),
        ("PING on a stream", frame(kind::PING, 0, 1, &[0; 8]), PROTOCOL),
        ("SETTINGS of 5 bytes", frame(kind::SETTINGS, 0, 0, &[0; 5]), SIZE),
        ("SETTINGS on a stream", frame(kind::SETTINGS, 0, 1, &[]), PROTOCOL),
        ("an acknowledgement with settings", frame(kind::SETTINGS, 1, 0, &[0; 6]), SIZE),
        ("a window above 2^31 - 1", settings(&[(4, 1 << 31)]), Ended(code::FLOW_CONTROL)),
        ("push that is neither 0 nor 1", settings(&[(2, 2)]), PROTOCOL),
        ("a maximum frame size that is too small", settings(&[(5, 16_383)]), PROTOCOL),
        ("a maximum frame size that is too large", settings(&[(5, 1 << 24)]), PROTOCOL),
        ("WINDOW_UPDATE of 3 bytes", frame(kind::WINDOW_UPDATE, 0, 0, &[0; 3]), SIZE),
        ("WINDOW_UPDATE of 0", frame(kind::WINDOW_UPDATE, 0, 0, &increment(0)), PROTOCOL),
        (
            "WINDOW_UPDATE on an idle stream",
            frame(kind::WINDOW_UPDATE, 0, 1, &increment(1)),
            PROTOCOL,
        ),
        (
            "a window of the connection that overflows",
            frame(kind::WINDOW_UPDATE, 0, 0, &increment(0x7fff_ffff)),
            Ended(code::FLOW_CONTROL),
        ),
        (
            "a window of a stream that overflows",
            after(open(1), frame(kind::WINDOW_UPDATE, 0, 1, &increment(0x7fff_ffff))),
            Reset(code::FLOW_CONTROL),
        ),
    ]
}

/// Frames on the wrong stream, or after the end of one.
fn stream_frames() -> Vec<Case> {
    vec![
        ("RST_STREAM of 3 bytes", after(open(1), frame(kind::RST_STREAM, 0, 1, &[0; 3])), SIZE),
        ("RST_STREAM on an idle stream", frame(kind::RST_STREAM, 0, 1, &[0; 4]), PROTOCOL),
        ("RST_STREAM on stream 0", frame(kind::RST_STREAM, 0, 0, &[0; 4]), PROTOCOL),
        ("HEADERS on stream 0", whole(0), PROTOCOL),
        ("HEADERS on a server stream", whole(2), PROTOCOL),
        ("HEADERS on a lower stream", after(whole(5), whole(3)), Ended(code::STREAM_CLOSED)),
        ("DATA on stream 0", frame(kind::DATA, 0, 0, b"x"), PROTOCOL),
        ("DATA on an idle stream", frame(kind::DATA, 0, 1, b"x"), PROTOCOL),
        (
            "DATA after the end",
            after(whole(1), frame(kind::DATA, 0, 1, b"x")),
            Reset(code::STREAM_CLOSED),
        ),
        ("HEADERS after the end", after(whole(1), whole(1)), Reset(code::STREAM_CLOSED)),
        ("second HEADERS without END_STREAM", after(open(1), open(1)), Reset(code::PROTOCOL)),
    ]
}

/// Header blocks that are interrupted, and frames of the wrong kind or size.
fn misplaced_frames() -> Vec<Case> {
    vec![
        (
            "CONTINUATION without HEADERS",
            frame(kind::CONTINUATION, END_HEADERS, 1, &get()),
            PROTOCOL,
        ),
        (
            "CONTINUATION after END_HEADERS",
            after(open(1), frame(kind::CONTINUATION, 4, 1, &get())),
            PROTOCOL,
        ),
        (
            "PING within a header block",
            after(frame(kind::HEADERS, END_STREAM, 1, &get()), frame(kind::PING, 0, 0, &[0; 8])),
            PROTOCOL,
        ),
        (
            "CONTINUATION of another stream",
            after(
                frame(kind::HEADERS, END_STREAM, 1, &get()),
                frame(kind::CONTINUATION, END_HEADERS, 3, &[]),
            ),
            PROTOCOL,
        ),
        (
            "PUSH_PROMISE from a client",
            frame(kind::PUSH_PROMISE, END_HEADERS, 1, &[0; 4]),
            PROTOCOL,
        ),
        ("PRIORITY of 4 bytes", frame(kind::PRIORITY, 0, 1, &[0; 4]), SIZE),
        ("PRIORITY on stream 0", frame(kind::PRIORITY, 0, 0, &[0; 5]), PROTOCOL),
        ("GOAWAY on a stream", frame(kind::GOAWAY, 0, 1, &[0; 8]), PROTOCOL),
        ("GOAWAY of 7 bytes", frame(kind::GOAWAY, 0, 0, &[0; 7]), SIZE),
        (
            "padding longer than DATA",
            after(open(1), frame(kind::DATA, PADDED, 1, &[9, 0, 0])),
            PROTOCOL,
        ),
        (
            "padding longer than HEADERS",
            frame(kind::HEADERS, WHOLE | PADDED, 1, &[9, 0x82]),
            PROTOCOL,
        ),
        (
            "DATA above the maximum frame size",
            after(open(1), frame(kind::DATA, 0, 1, &[0; 16_385])),
            SIZE,
        ),
        (
            "HEADERS above the maximum frame size",
            frame(kind::HEADERS, WHOLE, 1, &[0; 16_385]),
            SIZE,
        ),
    ]
}

/// Invalid HPACK.
fn compression() -> Vec<Case> {
    vec![
        ("an index of 0", frame(kind::HEADERS, WHOLE, 1, &[0x80]), COMPRESSION),
        ("an index outside the table", frame(kind::HEADERS, WHOLE, 1, &[0xff, 0x7f]), COMPRESSION),
        ("an index that overflows", frame(kind::HEADERS, WHOLE, 1, &[0xff; 20]), COMPRESSION),
        ("a truncated string", frame(kind::HEADERS, WHOLE, 1, b"\x00\x05ab"), COMPRESSION),
        (
            "a string of endless length",
            frame(kind::HEADERS, WHOLE, 1, &[0, 0x7f, 0xff, 0xff]),
            COMPRESSION,
        ),
        (
            "an invalid Huffman string",
            frame(kind::HEADERS, WHOLE, 1, b"\x00\x84\xff\xff\xff\xff\x01y"),
            COMPRESSION,
        ),
        (
            "a table size above the limit",
            frame(kind::HEADERS, WHOLE, 1, &[0x3f, 0xff, 0xff, 0x7f]),
            COMPRESSION,
        ),
    ]
}

async fn try_one(attacked: &Attacked, (name, bytes, expected): &Case) -> Option<String> {
    let mut connection = H2::open(attacked, &[]).await;
    // The gateway may close the connection before everything is sent.
    let _ = connection.send(bytes).await;
    let mut outcome = connection.outcome(1).await;
    // The stream may be answered before its error is detected.
    if matches!(outcome, Outcome::Status(_)) {
        outcome = connection.outcome(1).await;
    }
    let right = match *expected {
        Ended(code) => [code, code::PROTOCOL].map(Outcome::GoAway).contains(&outcome),
        Reset(code) => {
            [Outcome::Reset(code), Outcome::GoAway(code), Outcome::GoAway(code::PROTOCOL)]
                .contains(&outcome)
        }
    };
    (!right).then(|| format!("{name}: expected {expected:?}, found {outcome:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misplaced_frames_end_the_stream_or_connection_with_the_right_code() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let cases = [connection_frames(), stream_frames(), misplaced_frames(), compression()].concat();
    let tries = cases.iter().map(|case| try_one(&attacked, case));
    let wrong: Vec<String> =
        stream::iter(tries).buffer_unordered(8).filter_map(|wrong| async { wrong }).collect().await;
    assert!(wrong.is_empty(), "{} of {} failed:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    attacked.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_preface_ends_the_connection() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let http1 = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".as_slice();
    let almost = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX".as_slice();
    for bytes in [http1, almost, b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"] {
        let mut wire = attacked.tls("localhost", &[b"h2"]).await;
        wire.send(bytes).await.expect("send the request");
        let rest = wire.rest().await.expect("the connection ends");
        assert!(!rest.starts_with(b"HTTP/"), "{bytes:?}");
    }
    attacked.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incomplete_preface_and_headers_time_out() {
    let mut attacked = Attacked::start(
        &format!("{NO_RATE}\nheader_timeout = \"1s\"\nkeepalive_timeout = \"1s\""),
        "",
    )
    .await;
    let mut wire = attacked.tls("localhost", &[b"h2"]).await;
    wire.send(PREFACE.get(..10).unwrap_or_default()).await.expect("send the request");
    wire.rest().await.expect("an incomplete preface times out");
    let mut connection = H2::open(&attacked, &[]).await;
    connection
        .send(&frame(kind::HEADERS, END_STREAM, 1, &request("GET", "/api/half")))
        .await
        .expect("send the request");
    let outcome = connection.outcome(1).await;
    assert!(
        matches!(outcome, Outcome::Closed | Outcome::GoAway(_) | Outcome::Reset(_)),
        "{outcome:?}"
    );
    assert_eq!(attacked.backend.of("/api/half").len(), 0);
    attacked.assert_healthy().await;
}
