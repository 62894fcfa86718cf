//! Method, target and host (RFC 9112 section 3): exactly one of each, and none that could mean
//! another site.

use e2e::attack::cases::{Case, Expected, try_all};
use e2e::attack::{Attacked, NO_RATE};

const BAD: Expected = Expected::Answered(400);
const MALFORMED: Expected = Expected::Rejected(400);
const OK: Expected = Expected::Passed("");

/// Methods and targets.
fn request_lines() -> Vec<Case> {
    let line = |name, line: &str, expected| {
        Case::new(name, &format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n"), expected)
    };
    let long = "a".repeat(9_000);
    vec![
        line("absolute form", "GET http://localhost{c}", MALFORMED),
        line("absolute form of another site", "GET http://internal.example{c}", MALFORMED),
        line("absolute form with a user", "GET http://localhost@internal.example{c}", MALFORMED),
        line("absolute form of another scheme", "GET file:///etc/passwd", MALFORMED),
        line("a target without a slash", "GET api", MALFORMED),
        line("a target that starts with @", "GET @internal.example{c}", MALFORMED),
        line("a query as a target", "GET ?x", MALFORMED),
        line("an asterisk", "OPTIONS *", MALFORMED),
        line("an asterisk for GET", "GET *", MALFORMED),
        line("a fragment", "GET {c}#fragment", MALFORMED),
        line("a backslash", "GET {c}\\x", BAD),
        line("bytes beyond ASCII", "GET {c}\u{e9}", MALFORMED),
        line("an escape without digits", "GET {c}/%zz", BAD),
        line("half an escape", "GET {c}/%4", BAD),
        line("an escaped CRLF", "GET {c}/%0d%0aX:y", BAD),
        line("an escaped NUL", "GET {c}/%00", BAD),
        line("an escaped slash", "GET {c}/..%2f", BAD),
        line("dot segments", "GET /x/..{c}", BAD),
        line("CONNECT", "CONNECT internal.example:443", Expected::Rejected(405)),
        line("CONNECT to a path", "CONNECT {c}", Expected::Rejected(405)),
        line("TRACE", "TRACE {c}", Expected::Answered(405)),
        line("a method that is not a token", "G@T {c}", MALFORMED),
        line("a method with brackets", "(GET) {c}", MALFORMED),
        line("a method beyond ASCII", "G\u{c9}T {c}", MALFORMED),
        line("a method with a colon", "GET: {c}", MALFORMED),
        line("a long target", &format!("GET {{c}}/{long}"), Expected::Answered(414)),
        line("a long query", &format!("GET {{c}}?{long}"), Expected::Answered(414)),
        line(
            "a target above the limit of request heads",
            &format!("GET {{c}}/{}", "a".repeat(40_000)),
            Expected::Rejected(431),
        ),
    ]
}

/// `Host` fields.
fn hosts() -> Vec<Case> {
    let hosts = |name, lines: &str, expected| {
        Case::new(name, &format!("GET {{c}} HTTP/1.1\r\n{lines}\r\n\r\n"), expected)
    };
    let long = "a".repeat(9_000);
    vec![
        hosts("no Host", "X: y", MALFORMED),
        hosts("two Hosts", "Host: localhost\r\nHost: internal.example", MALFORMED),
        hosts("two equal Hosts", "Host: localhost\r\nHost: localhost", MALFORMED),
        hosts(
            "two Hosts in different case",
            "Host: localhost\r\nhOST: internal.example",
            MALFORMED,
        ),
        hosts("a Host list", "Host: localhost, internal.example", BAD),
        hosts("an empty Host", "Host:", BAD),
        hosts("a Host with a space before the colon", "Host : localhost", MALFORMED),
        hosts("a Host with a space inside", "Host: localhost internal.example", BAD),
        hosts("a Host with a path", "Host: localhost/api", BAD),
        hosts("a Host with a user", "Host: user@localhost", MALFORMED),
        hosts("a Host with a scheme", "Host: http://localhost", BAD),
        hosts("a Host with a query", "Host: localhost?x", BAD),
        hosts("a Host with a fragment", "Host: localhost#x", BAD),
        hosts("a Host with an escape", "Host: local%68ost", BAD),
        hosts("a Host with a port above 65535", "Host: localhost:65536", BAD),
        hosts("a Host with a port that is not a number", "Host: localhost:http", BAD),
        hosts("a Host with two ports", "Host: localhost:80:80", BAD),
        hosts("a Host with half an address", "Host: [::1", BAD),
        hosts("a Host with an invalid address", "Host: [::zz]", BAD),
        hosts("a Host with NUL", "Host: localhost\0", MALFORMED),
        hosts("a Host beyond ASCII", "Host: localhost\u{e9}", BAD),
        hosts("a long Host", &format!("Host: {long}"), BAD),
        hosts("Host as a connection option", "Connection: Host\r\nHost: localhost", MALFORMED),
        hosts("a Host with a port", "Host: localhost:8443", OK),
        hosts("a Host in different case", "hOsT: LOCALHOST", OK),
        hosts("a Host that is an address", "Host: [::1]:8443", OK),
        Case::new("HTTP/1.0 without Host", "GET {c} HTTP/1.0\r\n\r\n", MALFORMED),
        Case::new(
            "HTTP/1.0 with two Hosts",
            "GET {c} HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
            MALFORMED,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ambiguous_targets_and_hosts_are_rejected() {
    let cases = [request_lines(), hosts()].concat();
    let mut attacked = Attacked::start(NO_RATE, "").await;
    try_all(&attacked, "targets", &cases).await;
    attacked.assert_healthy().await;
}
