//! Frames of HTTP/2 of the wrong size, in the wrong place, or after the end (RFC 9113 sections 4 to
//! 6).

use e2e::attack::{Attacked, NO_RATE};
use e2e::frames::{
    END_HEADERS, END_STREAM, H2, Outcome, PADDED, PREFACE, WHOLE, code, frame, kind, request,
    settings,
};
use futures::{StreamExt as _, stream};

/// What must come of it, besides silence being wrong always.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// GOAWAY with this code, or as a protocol error: the library has one code for all that it
    /// cannot decode.
    Ended(u32),
    /// The stream is reset with this code, or the connection ends as above (RFC 9113 section 5.4.2
    /// allows it).
    Reset(u32),
}

fn cases() -> Vec<(&'static str, Vec<u8>, Then)> {
    use Then::{Ended, Reset};
    let (protocol, size) = (Ended(code::PROTOCOL), Ended(code::FRAME_SIZE));
    let get = || request("GET", "/api/frames");
    let whole = |stream| frame(kind::HEADERS, WHOLE, stream, &get());
    let open = |stream| frame(kind::HEADERS, END_HEADERS, stream, &request("POST", "/api/frames"));
    let increment = |by: u32| by.to_be_bytes();
    let alone = |bytes: Vec<u8>| bytes;
    let after = |first: Vec<u8>, then: Vec<u8>| [first, then].concat();
    vec![
        ("PING of 7 bytes", alone(frame(kind::PING, 0, 0, &[0; 7])), size),
        ("PING of 9 bytes", alone(frame(kind::PING, 0, 0, &[0; 9])), size),
        ("PING on a stream", alone(frame(kind::PING, 0, 1, &[0; 8])), protocol),
        ("SETTINGS of 5 bytes", alone(frame(kind::SETTINGS, 0, 0, &[0; 5])), size),
        ("SETTINGS on a stream", alone(frame(kind::SETTINGS, 0, 1, &[])), protocol),
        ("an acknowledgement with settings", alone(frame(kind::SETTINGS, 1, 0, &[0; 6])), size),
        ("a window above 2^31 - 1", alone(settings(&[(4, 1 << 31)])), Ended(code::FLOW_CONTROL)),
        ("push that is neither on nor off", alone(settings(&[(2, 2)])), protocol),
        ("a largest frame that is too small", alone(settings(&[(5, 16_383)])), protocol),
        ("a largest frame that is too large", alone(settings(&[(5, 1 << 24)])), protocol),
        ("WINDOW_UPDATE of 3 bytes", alone(frame(kind::WINDOW_UPDATE, 0, 0, &[0; 3])), size),
        (
            "WINDOW_UPDATE of nothing",
            alone(frame(kind::WINDOW_UPDATE, 0, 0, &increment(0))),
            protocol,
        ),
        (
            "WINDOW_UPDATE on an idle stream",
            alone(frame(kind::WINDOW_UPDATE, 0, 1, &increment(1))),
            protocol,
        ),
        (
            "a window of the connection that overflows",
            alone(frame(kind::WINDOW_UPDATE, 0, 0, &increment(0x7fff_ffff))),
            Ended(code::FLOW_CONTROL),
        ),
        (
            "a window of a stream that overflows",
            after(open(1), frame(kind::WINDOW_UPDATE, 0, 1, &increment(0x7fff_ffff))),
            Reset(code::FLOW_CONTROL),
        ),
        ("RST_STREAM of 3 bytes", after(open(1), frame(kind::RST_STREAM, 0, 1, &[0; 3])), size),
        ("RST_STREAM on an idle stream", alone(frame(kind::RST_STREAM, 0, 1, &[0; 4])), protocol),
        ("RST_STREAM on no stream", alone(frame(kind::RST_STREAM, 0, 0, &[0; 4])), protocol),
        ("HEADERS on no stream", alone(whole(0)), protocol),
        ("HEADERS on a stream of the server", alone(whole(2)), protocol),
        ("HEADERS on a stream of the past", after(whole(5), whole(3)), Ended(code::STREAM_CLOSED)),
        ("DATA on no stream", alone(frame(kind::DATA, 0, 0, b"x")), protocol),
        ("DATA on an idle stream", alone(frame(kind::DATA, 0, 1, b"x")), protocol),
        (
            "DATA after the end",
            after(whole(1), frame(kind::DATA, 0, 1, b"x")),
            Reset(code::STREAM_CLOSED),
        ),
        ("HEADERS after the end", after(whole(1), whole(1)), Reset(code::STREAM_CLOSED)),
        ("HEADERS in the middle that do not end", after(open(1), open(1)), Reset(code::PROTOCOL)),
        (
            "CONTINUATION after nothing",
            alone(frame(kind::CONTINUATION, END_HEADERS, 1, &get())),
            protocol,
        ),
        (
            "CONTINUATION after the end of a head",
            after(open(1), frame(kind::CONTINUATION, 4, 1, &get())),
            protocol,
        ),
        (
            "a PING within a head",
            after(frame(kind::HEADERS, END_STREAM, 1, &get()), frame(kind::PING, 0, 0, &[0; 8])),
            protocol,
        ),
        (
            "CONTINUATION of another stream",
            after(
                frame(kind::HEADERS, END_STREAM, 1, &get()),
                frame(kind::CONTINUATION, END_HEADERS, 3, &[]),
            ),
            protocol,
        ),
        (
            "PUSH_PROMISE of a client",
            alone(frame(kind::PUSH_PROMISE, END_HEADERS, 1, &[0; 4])),
            protocol,
        ),
        ("PRIORITY of 4 bytes", alone(frame(kind::PRIORITY, 0, 1, &[0; 4])), size),
        ("PRIORITY on no stream", alone(frame(kind::PRIORITY, 0, 0, &[0; 5])), protocol),
        ("GOAWAY on a stream", alone(frame(kind::GOAWAY, 0, 1, &[0; 8])), protocol),
        ("GOAWAY of 7 bytes", alone(frame(kind::GOAWAY, 0, 0, &[0; 7])), size),
        (
            "padding longer than DATA",
            after(open(1), frame(kind::DATA, PADDED, 1, &[9, 0, 0])),
            protocol,
        ),
        (
            "padding longer than HEADERS",
            alone(frame(kind::HEADERS, WHOLE | PADDED, 1, &[9, 0x82])),
            protocol,
        ),
        (
            "DATA above the largest frame",
            after(open(1), frame(kind::DATA, 0, 1, &[0; 16_385])),
            size,
        ),
        (
            "HEADERS above the largest frame",
            alone(frame(kind::HEADERS, WHOLE, 1, &[0; 16_385])),
            size,
        ),
        ("an index of 0", alone(frame(kind::HEADERS, WHOLE, 1, &[0x80])), Ended(code::COMPRESSION)),
        (
            "an index beyond the table",
            alone(frame(kind::HEADERS, WHOLE, 1, &[0xff, 0x7f])),
            Ended(code::COMPRESSION),
        ),
        (
            "an index that overflows",
            alone(frame(kind::HEADERS, WHOLE, 1, &[0xff; 20])),
            Ended(code::COMPRESSION),
        ),
        (
            "a string cut off",
            alone(frame(kind::HEADERS, WHOLE, 1, b"\x00\x05ab")),
            Ended(code::COMPRESSION),
        ),
        (
            "a string of endless length",
            alone(frame(kind::HEADERS, WHOLE, 1, &[0, 0x7f, 0xff, 0xff])),
            Ended(code::COMPRESSION),
        ),
        (
            "a string that is no Huffman code",
            alone(frame(kind::HEADERS, WHOLE, 1, b"\x00\x84\xff\xff\xff\xff\x01y")),
            Ended(code::COMPRESSION),
        ),
        (
            "a table above the limit",
            alone(frame(kind::HEADERS, WHOLE, 1, &[0x3f, 0xff, 0xff, 0x7f])),
            Ended(code::COMPRESSION),
        ),
    ]
}

async fn try_one(
    attacked: &Attacked,
    (name, bytes, then): &(&'static str, Vec<u8>, Then),
) -> Option<String> {
    let mut connection = H2::open(attacked, &[]).await;
    // The connection may end before all was sent.
    let _ = connection.send(bytes).await;
    let mut outcome = connection.outcome(1).await;
    // A stream may have been answered before its error was met.
    if matches!(outcome, Outcome::Status(_)) {
        outcome = connection.outcome(1).await;
    }
    let right = match *then {
        Then::Ended(code) => [code, code::PROTOCOL].map(Outcome::GoAway).contains(&outcome),
        Then::Reset(code) => {
            [Outcome::Reset(code), Outcome::GoAway(code), Outcome::GoAway(code::PROTOCOL)]
                .contains(&outcome)
        }
    };
    (!right).then(|| format!("{name}: expected {then:?}, came {outcome:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_out_of_place_ends_its_connection_or_stream_with_the_right_code() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let cases = cases();
    let tries = cases.iter().map(|case| try_one(&attacked, case));
    let wrong: Vec<String> =
        stream::iter(tries).buffer_unordered(8).filter_map(|wrong| async { wrong }).collect().await;
    assert!(
        wrong.is_empty(),
        "{} of {} went wrong:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    attacked.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_preface_ends_the_connection() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let http1 = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".as_slice();
    let almost = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX".as_slice();
    for bytes in [http1, almost, b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"] {
        let mut wire = attacked.tls("localhost", &[b"h2"]).await;
        wire.send(bytes).await.expect("it is sent");
        let rest = wire.rest().await.expect("the connection ends");
        assert!(!rest.starts_with(b"HTTP/"), "{bytes:?}");
    }
    attacked.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_preface_and_half_a_head_end_in_time() {
    let mut attacked = Attacked::start(
        &format!("{NO_RATE}\nheader_timeout = \"1s\"\nkeepalive_timeout = \"1s\""),
        "",
    )
    .await;
    let mut wire = attacked.tls("localhost", &[b"h2"]).await;
    wire.send(PREFACE.get(..10).unwrap_or_default()).await.expect("it is sent");
    wire.rest().await.expect("half a preface ends");
    let mut connection = H2::open(&attacked, &[]).await;
    connection
        .send(&frame(kind::HEADERS, END_STREAM, 1, &request("GET", "/api/half")))
        .await
        .expect("it is sent");
    let outcome = connection.outcome(1).await;
    assert!(
        matches!(outcome, Outcome::Closed | Outcome::GoAway(_) | Outcome::Reset(_)),
        "{outcome:?}"
    );
    assert_eq!(attacked.backend.of("/api/half").len(), 0);
    attacked.assert_well().await;
}
