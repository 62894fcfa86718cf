//! Method, target and host (RFC 9112 section 3): one of each, and none that could mean another
//! site.

use e2e::attack::cases::{Case, Then, try_all};
use e2e::attack::{Attacked, NO_RATE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_for_two_places_is_refused() {
    let (bad, malformed) = (Then::Answered(400), Then::Refused(400));
    let ok = Then::Passed("");
    let line = |name, line: &str, then| {
        Case::new(name, &format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n"), then)
    };
    let hosts = |name, lines: &str, then| {
        Case::new(name, &format!("GET {{c}} HTTP/1.1\r\n{lines}\r\n\r\n"), then)
    };
    let long = "a".repeat(9_000);
    let cases = [
        line("absolute form", "GET http://localhost{c}", malformed),
        line("absolute form of another site", "GET http://internal.example{c}", malformed),
        line("absolute form with a user", "GET http://localhost@internal.example{c}", malformed),
        line("absolute form of another scheme", "GET file:///etc/passwd", malformed),
        line("a target without a slash", "GET api", malformed),
        line("an at sign for a target", "GET @internal.example{c}", malformed),
        line("a query for a target", "GET ?x", malformed),
        line("an asterisk", "OPTIONS *", malformed),
        line("an asterisk for GET", "GET *", malformed),
        line("a fragment", "GET {c}#fragment", malformed),
        line("a backslash", "GET {c}\\x", bad),
        line("bytes beyond ASCII", "GET {c}\u{e9}", malformed),
        line("an escape without digits", "GET {c}/%zz", bad),
        line("half an escape", "GET {c}/%4", bad),
        line("an escaped CRLF", "GET {c}/%0d%0aX:y", bad),
        line("an escaped NUL", "GET {c}/%00", bad),
        line("an escaped slash", "GET {c}/..%2f", bad),
        line("dot segments", "GET /x/..{c}", bad),
        line("CONNECT", "CONNECT internal.example:443", Then::Refused(405)),
        line("CONNECT to a path", "CONNECT {c}", Then::Refused(405)),
        line("TRACE", "TRACE {c}", Then::Answered(405)),
        line("no token for a method", "G@T {c}", malformed),
        line("a method with brackets", "(GET) {c}", malformed),
        line("a method beyond ASCII", "G\u{c9}T {c}", malformed),
        line("a method with a colon", "GET: {c}", malformed),
        line("a long target", &format!("GET {{c}}/{long}"), Then::Answered(414)),
        line("a long query", &format!("GET {{c}}?{long}"), Then::Answered(414)),
        line(
            "a target above the limit of heads",
            &format!("GET {{c}}/{}", "a".repeat(40_000)),
            Then::Refused(431),
        ),
        hosts("no Host", "X: y", malformed),
        hosts("two Hosts", "Host: localhost\r\nHost: internal.example", malformed),
        hosts("two equal Hosts", "Host: localhost\r\nHost: localhost", malformed),
        hosts("two Hosts in other letters", "Host: localhost\r\nhOST: internal.example", malformed),
        hosts("a Host list", "Host: localhost, internal.example", bad),
        hosts("an empty Host", "Host:", bad),
        hosts("a Host with a space before the colon", "Host : localhost", malformed),
        hosts("a Host with a space inside", "Host: localhost internal.example", bad),
        hosts("a Host with a path", "Host: localhost/api", bad),
        hosts("a Host with a user", "Host: user@localhost", malformed),
        hosts("a Host with a scheme", "Host: http://localhost", bad),
        hosts("a Host with a query", "Host: localhost?x", bad),
        hosts("a Host with a fragment", "Host: localhost#x", bad),
        hosts("a Host with an escape", "Host: local%68ost", bad),
        hosts("a Host with a port above 65535", "Host: localhost:65536", bad),
        hosts("a Host with a port that is none", "Host: localhost:http", bad),
        hosts("a Host with two ports", "Host: localhost:80:80", bad),
        hosts("a Host with half an address", "Host: [::1", bad),
        hosts("a Host with an address that is none", "Host: [::zz]", bad),
        hosts("a Host with NUL", "Host: localhost\0", malformed),
        hosts("a Host beyond ASCII", "Host: localhost\u{e9}", bad),
        hosts("a long Host", &format!("Host: {long}"), bad),
        hosts("a Host of the connection", "Connection: Host\r\nHost: localhost", malformed),
        hosts("a Host with a port", "Host: localhost:8443", ok),
        hosts("a Host in other letters", "hOsT: LOCALHOST", ok),
        hosts("a Host that is an address", "Host: [::1]:8443", ok),
        Case::new("HTTP/1.0 without Host", "GET {c} HTTP/1.0\r\n\r\n", malformed),
        Case::new(
            "HTTP/1.0 with two Hosts",
            "GET {c} HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
            malformed,
        ),
    ];
    let mut attacked = Attacked::start(NO_RATE, "").await;
    try_all(&attacked, "targets", &cases).await;
    attacked.assert_well().await;
}
