//! Lines of a request head (RFC 9112 sections 2.2, 3 and 5): one spelling, one line end, and a
//! limit on every size.

use e2e::attack::cases::{Case, Expected, try_all};
use e2e::attack::{Attacked, NO_RATE};

const BAD: Expected = Expected::Rejected(400);
const LARGE: Expected = Expected::Rejected(431);
const OK: Expected = Expected::Passed("");

/// A request with this field line.
fn field(name: &'static str, line: &str, expected: Expected) -> Case {
    let text = format!("GET {{c}} HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n");
    Case::new(name, &text, expected)
}

/// Line ends, and white space in the request line.
fn line_ends() -> Vec<Case> {
    vec![
        Case::new("bare LF everywhere", "GET {c} HTTP/1.1\nHost: localhost\n\n", BAD),
        Case::new(
            "bare LF after the request line",
            "GET {c} HTTP/1.1\nHost: localhost\r\n\r\n",
            BAD,
        ),
        Case::new(
            "bare LF at the end of the head",
            "GET {c} HTTP/1.1\r\nHost: localhost\r\n\n",
            BAD,
        ),
        Case::new(
            "bare CR at the end of the head",
            "GET {c} HTTP/1.1\r\nHost: localhost\r\n\r\r\n\r\n",
            BAD,
        ),
        Case::new(
            "bare CR everywhere, then CRLF",
            "GET {c} HTTP/1.1\rHost: localhost\r\r\n\r\n",
            BAD,
        ),
        Case::new("CR CR LF", "GET {c} HTTP/1.1\r\r\nHost: localhost\r\n\r\n", BAD),
        Case::new("CR in the request line", "GET {c}\r HTTP/1.1\r\nHost: localhost\r\n\r\n", BAD),
        Case::new("NUL in the request line", "GET {c}\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", BAD),
        Case::new("an LF before the request", "\nGET {c} HTTP/1.1\r\nHost: localhost\r\n\r\n", BAD),
        Case::new(
            "two empty lines before the request",
            "\r\n\r\nGET {c} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            BAD,
        ),
        Case::new(
            "one empty line before the request",
            "\r\nGET {c} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            OK,
        ),
        Case::new("a space before the method", " GET {c} HTTP/1.1\r\nHost: localhost\r\n\r\n", BAD),
        Case::new(
            "two spaces after the method",
            "GET  {c} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            BAD,
        ),
        Case::new(
            "two spaces before the version",
            "GET {c}  HTTP/1.1\r\nHost: localhost\r\n\r\n",
            BAD,
        ),
        Case::new("tabs between the parts", "GET\t{c}\tHTTP/1.1\r\nHost: localhost\r\n\r\n", BAD),
        Case::new("a space after the version", "GET {c} HTTP/1.1 \r\nHost: localhost\r\n\r\n", BAD),
        Case::new("four parts", "GET {c} x HTTP/1.1\r\nHost: localhost\r\n\r\n", BAD),
    ]
}

/// Versions, and request lines without all three parts.
fn versions() -> Vec<Case> {
    vec![
        Case::new("HTTP/0.9", "GET {c}\r\n\r\n", BAD),
        Case::new("HTTP/0.9 with fields", "GET {c}\r\nHost: localhost\r\n\r\n", BAD),
        Case::new(
            "HTTP/1.2",
            "GET {c} HTTP/1.2\r\nHost: localhost\r\n\r\n",
            Expected::Rejected(505),
        ),
        Case::new(
            "HTTP/2.0",
            "GET {c} HTTP/2.0\r\nHost: localhost\r\n\r\n",
            Expected::Rejected(505),
        ),
        Case::new(
            "HTTP/01.1",
            "GET {c} HTTP/01.1\r\nHost: localhost\r\n\r\n",
            Expected::Rejected(505),
        ),
        Case::new(
            "HTTP/1.10",
            "GET {c} HTTP/1.10\r\nHost: localhost\r\n\r\n",
            Expected::Rejected(505),
        ),
        Case::new(
            "the preface of HTTP/2",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            Expected::Rejected(505),
        ),
        Case::new("http/1.1", "GET {c} http/1.1\r\nHost: localhost\r\n\r\n", BAD),
        Case::new("HTTPS/1.1", "GET {c} HTTPS/1.1\r\nHost: localhost\r\n\r\n", BAD),
        Case::new("ICAP", "GET {c} ICAP/1.0\r\nHost: localhost\r\n\r\n", BAD),
        Case::new("no method", " {c} HTTP/1.1\r\nHost: localhost\r\n\r\n", BAD),
        Case::new(
            "a field before the first line's end",
            "GET {c} HTTP/1.1 Host: localhost\r\n\r\n",
            BAD,
        ),
        Case::new(
            "a field that begins with a space",
            "GET {c} HTTP/1.1\r\n Host: localhost\r\n\r\n",
            BAD,
        ),
        Case::new("HTTP/1.0", "GET {c} HTTP/1.0\r\nHost: localhost\r\n\r\n", Expected::Last("")),
    ]
}

/// Names and values of fields.
fn fields() -> Vec<Case> {
    vec![
        field("NUL in a value", "X: a\0b", BAD),
        field("NUL in a name", "X\0Y: a", BAD),
        field("DEL in a value", "X: a\x7fb", BAD),
        field("BEL in a value", "X: a\x07b", BAD),
        field("ESC in a value", "X: a\x1bb", BAD),
        field("CR in a value", "X: a\rb", BAD),
        field("LF in a value", "X: a\nb", BAD),
        field("folded by a space", "X: a\r\n b", BAD),
        field("folded by a tab", "X: a\r\n\tb", BAD),
        field("folded to nothing", "X: a\r\n ", BAD),
        field("no colon", "X", BAD),
        field("no name", ": a", BAD),
        field("a space in a name", "X Y: a", BAD),
        field("a space before the colon", "X : a", BAD),
        field("a slash in a name", "X/Y: a", BAD),
        field("a bracket in a name", "X(Y): a", BAD),
        field("a quote in a name", "\"X\": a", BAD),
        field("a name beyond ASCII", "X\u{e9}: a", BAD),
        field("an empty value", "X:", OK),
        field("a colon in a value", "X: a:b", OK),
        field("a value beyond ASCII", "X: \u{e9}", OK),
        field("an unknown expectation", "Expect: tea", Expected::Rejected(417)),
        field("two expectations", "Expect: 100-continue, tea", Expected::Rejected(417)),
    ]
}

/// Number and size of fields and request lines.
fn sizes() -> Vec<Case> {
    vec![
        field("fields at the limit", &vec!["X: a"; 99].join("\r\n"), OK),
        field("fields above the limit", &vec!["X: a"; 100].join("\r\n"), LARGE),
        field("a long value within the limit", &format!("X: {}", "a".repeat(30_000)), OK),
        field("a value above the limit", &format!("X: {}", "a".repeat(33_000)), LARGE),
        field("a name above the limit", &format!("{}: a", "X".repeat(33_000)), LARGE),
        field("a value of 4 MB", &format!("X: {}", "a".repeat(4_000_000)), LARGE),
        field("100,000 fields", &vec!["X: a"; 100_000].join("\r\n"), LARGE),
        Case::new(
            "a method above the limit",
            &format!("{} {{c}} HTTP/1.1\r\nHost: localhost\r\n\r\n", "A".repeat(33_000)),
            LARGE,
        ),
        Case::new(
            "a version above the limit",
            &format!("GET {{c}} HTTP/1.1{}\r\nHost: localhost\r\n\r\n", "1".repeat(33_000)),
            LARGE,
        ),
        Case::new("no line at all, for 64 KiB", &"A".repeat(65_536), LARGE),
        Case::new("spaces for 64 KiB", &" ".repeat(65_536), LARGE),
    ]
}

/// Bytes that are not UTF-8.
fn invalid() -> Vec<Case> {
    [
        b"GET {c} HTTP/1.1\r\nHost: localhost\r\nX\xff: a\r\n\r\n".to_vec(),
        b"GET {c}\xff HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
    ]
    .map(|bytes| Case { name: "bytes that are not UTF-8", bytes, expected: BAD })
    .to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_request_heads_are_rejected() {
    let cases = [line_ends(), versions(), fields(), sizes(), invalid()].concat();
    let mut attacked = Attacked::start(NO_RATE, "").await;
    try_all(&attacked, "lines", &cases).await;
    attacked.assert_healthy().await;
}
