//! The log under attack: its size and the length of its lines are bounded, and every line is one
//! JSON object.

use e2e::attack::{Attacked, LINE_MAX, Listener, NO_RATE};
use e2e::frames::{self, END_STREAM, Frame, H2, WHOLE, frame, head, kind};

/// Maximum number of bytes that a flood of rejected requests may add to the log.
const LOG_MAX: usize = 1 << 20;
/// Requests in the flood, and how many of them are concurrent.
const REQUESTS: u32 = 8_000;
const AT_ONCE: u32 = 64;

/// Headers of a rejected request that add its path of 4,000 bytes to the peer's dynamic table (RFC
/// 7541 section 6.2.1).
fn first() -> Vec<u8> {
    let path = format!("/{}", "a".repeat(3_999));
    let fields = head(&[(":method", "PUT"), (":scheme", "https"), (":authority", "localhost")]);
    let length = [
        127,
        0x80 | u8::try_from((4_000 - 127) % 128).expect("small"),
        u8::try_from((4_000 - 127) / 128).expect("small"),
    ];
    [fields.as_slice(), &[0x44], &length, path.as_bytes()].concat()
}

/// The same request in a few bytes: its path is the newest entry of the table.
fn again() -> Vec<u8> {
    [
        head(&[(":method", "PUT"), (":scheme", "https"), (":authority", "localhost")]).as_slice(),
        &[0xbe],
    ]
    .concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_rejected_requests_writes_little_log() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let before = attacked.gateway.log().len();
    let mut connection = H2::open(&attacked, &[]).await;
    // A window for the bodies of all answers.
    connection
        .send(&frame(kind::WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes()))
        .await
        .expect("send the request");
    let (mut sent, mut answered, mut sent_requests) = (0, 0, 0);
    while answered < REQUESTS {
        let mut bytes = Vec::new();
        while sent_requests < REQUESTS && sent_requests < answered + AT_ONCE {
            let fields = if sent_requests == 0 { first() } else { again() };
            bytes.extend(frame(kind::HEADERS, WHOLE, 2 * sent_requests + 1, &fields));
            sent_requests += 1;
        }
        sent += bytes.len();
        connection.send(&bytes).await.expect("send requests");
        let Some(Frame { kind, flags, payload, .. }) = connection.next().await else { break };
        assert!(kind != kind::GOAWAY, "the connection ends after {answered} answers: {payload:?}");
        if kind == kind::HEADERS {
            let status = frames::status(&payload);
            assert!(matches!(status, 405 | 429), "{status}");
        }
        // The stream is closed only then. Too many concurrent streams would end the connection.
        let over = matches!(kind, kind::HEADERS | kind::DATA) && flags & END_STREAM != 0;
        answered += u32::from(over);
        if over && answered % 1_000 == 0 {
            let written = attacked.gateway.log().len() - before;
            assert!(written < LOG_MAX, "{written} bytes of log for {sent} bytes sent");
        }
    }
    assert_eq!(answered, REQUESTS, "every request is answered");
    drop(connection);
    attacked.assert_healthy().await;
    let written = attacked.gateway.log().len() - before;
    assert!(written < LOG_MAX, "{written} bytes of log for {sent} bytes sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_lines_stay_short_and_valid_json() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let long = "a".repeat(8_000);
    let method = "M".repeat(20_000);
    let name = ["a".repeat(63).as_str(); 3].join(".");
    for (request, statuses) in [
        (format!("GET /api/{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"), [200, 200]),
        (format!("PUT /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"), [405, 405]),
        (format!("{method} /api/long HTTP/1.1\r\nHost: localhost\r\n\r\n"), [200, 400]),
        (format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n"), [405, 400]),
        (format!("GET /api/x HTTP/1.1\r\nHost: {name}\r\n\r\n"), [200, 400]),
        (
            format!(
                "GET /api/x?{long} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {long}\r\nReferer: {long}\r\n\r\n"
            ),
            [200, 200],
        ),
        (
            "GET /api/%22%2c%22level%22:%22ERROR%22 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            [200, 200],
        ),
        ("GET /api/%e2%80%a8%1b[2J HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), [400, 400]),
        ("GET /api/%e2%80%a8 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), [200, 200]),
        ("\"} {\" / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), [400, 400]),
        ("GET /api/x HTTP/1.1\r\nHost: \"},{\"\r\n\r\n".to_owned(), [400, 400]),
    ] {
        for listener in [Listener::Plain, Listener::Tls] {
            let answer =
                attacked.exchange(listener, request.as_bytes()).await.expect("receive an answer");
            let shown: String = request.chars().take(60).collect();
            assert!(statuses.contains(&answer.status), "{shown}: {}", answer.status);
        }
    }
    attacked.assert_healthy().await;
    let log = attacked.gateway.log();
    let broken: Vec<&str> = log
        .lines()
        .filter(|line| serde_json::from_str::<serde_json::Value>(line).is_err())
        .collect();
    assert!(broken.is_empty(), "lines that are not JSON: {broken:#?}");
    let longest = log.lines().map(str::len).max().unwrap_or_default();
    assert!(longest <= LINE_MAX, "{longest}");
}
