//! Lines of a head (RFC 9112 sections 2.2, 3 and 5): one spelling, one end of line, and a limit to
//! everything.

use e2e::attack::cases::{Case, Then, try_all};
use e2e::attack::{Attacked, NO_RATE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_in_any_other_spelling_is_refused() {
    let bad = Then::Refused(400);
    let large = Then::Refused(431);
    let ok = Then::Passed("");
    let field = |name, line: &str, then| {
        Case::new(name, &format!("GET {{c}} HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n"), then)
    };
    let head = |name, text: &str, then| Case::new(name, text, then);
    let mut cases = vec![
        head("bare LF everywhere", "GET {c} HTTP/1.1\nHost: localhost\n\n", bad),
        head("bare LF after the request line", "GET {c} HTTP/1.1\nHost: localhost\r\n\r\n", bad),
        head("bare LF at the end of the head", "GET {c} HTTP/1.1\r\nHost: localhost\r\n\n", bad),
        head(
            "bare CR at the end of the head",
            "GET {c} HTTP/1.1\r\nHost: localhost\r\n\r\r\n\r\n",
            bad,
        ),
        head("bare CR everywhere, then CRLF", "GET {c} HTTP/1.1\rHost: localhost\r\r\n\r\n", bad),
        head("CR CR LF", "GET {c} HTTP/1.1\r\r\nHost: localhost\r\n\r\n", bad),
        head("CR in the request line", "GET {c}\r HTTP/1.1\r\nHost: localhost\r\n\r\n", bad),
        head("NUL in the request line", "GET {c}\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", bad),
        head("an LF before the request", "\nGET {c} HTTP/1.1\r\nHost: localhost\r\n\r\n", bad),
        head(
            "two empty lines before the request",
            "\r\n\r\nGET {c} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            bad,
        ),
        head(
            "one empty line before the request",
            "\r\nGET {c} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            ok,
        ),
        head("a space before the method", " GET {c} HTTP/1.1\r\nHost: localhost\r\n\r\n", bad),
        head("two spaces after the method", "GET  {c} HTTP/1.1\r\nHost: localhost\r\n\r\n", bad),
        head("two spaces before the version", "GET {c}  HTTP/1.1\r\nHost: localhost\r\n\r\n", bad),
        head("tabs between the parts", "GET\t{c}\tHTTP/1.1\r\nHost: localhost\r\n\r\n", bad),
        head("a space after the version", "GET {c} HTTP/1.1 \r\nHost: localhost\r\n\r\n", bad),
        head("four parts", "GET {c} x HTTP/1.1\r\nHost: localhost\r\n\r\n", bad),
        head("HTTP/0.9", "GET {c}\r\n\r\n", bad),
        head("HTTP/0.9 with fields", "GET {c}\r\nHost: localhost\r\n\r\n", bad),
        head("HTTP/1.2", "GET {c} HTTP/1.2\r\nHost: localhost\r\n\r\n", Then::Refused(505)),
        head("HTTP/2.0", "GET {c} HTTP/2.0\r\nHost: localhost\r\n\r\n", Then::Refused(505)),
        head("HTTP/01.1", "GET {c} HTTP/01.1\r\nHost: localhost\r\n\r\n", Then::Refused(505)),
        head("HTTP/1.10", "GET {c} HTTP/1.10\r\nHost: localhost\r\n\r\n", Then::Refused(505)),
        head("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Then::Refused(505)),
        head("http/1.1", "GET {c} http/1.1\r\nHost: localhost\r\n\r\n", bad),
        head("HTTPS/1.1", "GET {c} HTTPS/1.1\r\nHost: localhost\r\n\r\n", bad),
        head("ICAP", "GET {c} ICAP/1.0\r\nHost: localhost\r\n\r\n", bad),
        head("no method", " {c} HTTP/1.1\r\nHost: localhost\r\n\r\n", bad),
        head(
            "a field before the first line's end",
            "GET {c} HTTP/1.1 Host: localhost\r\n\r\n",
            bad,
        ),
        head(
            "a field that begins with a space",
            "GET {c} HTTP/1.1\r\n Host: localhost\r\n\r\n",
            bad,
        ),
        head("HTTP/1.0", "GET {c} HTTP/1.0\r\nHost: localhost\r\n\r\n", Then::Last("")),
        field("NUL in a value", "X: a\0b", bad),
        field("NUL in a name", "X\0Y: a", bad),
        field("DEL in a value", "X: a\x7fb", bad),
        field("BEL in a value", "X: a\x07b", bad),
        field("ESC in a value", "X: a\x1bb", bad),
        field("CR in a value", "X: a\rb", bad),
        field("LF in a value", "X: a\nb", bad),
        field("folded by a space", "X: a\r\n b", bad),
        field("folded by a tab", "X: a\r\n\tb", bad),
        field("folded to nothing", "X: a\r\n ", bad),
        field("no colon", "X", bad),
        field("no name", ": a", bad),
        field("a space in a name", "X Y: a", bad),
        field("a space before the colon", "X : a", bad),
        field("a slash in a name", "X/Y: a", bad),
        field("a bracket in a name", "X(Y): a", bad),
        field("a quote in a name", "\"X\": a", bad),
        field("a name beyond ASCII", "X\u{e9}: a", bad),
        field("an empty value", "X:", ok),
        field("a colon in a value", "X: a:b", ok),
        field("a value beyond ASCII", "X: \u{e9}", ok),
        field("an expectation that there is not", "Expect: tea", Then::Refused(417)),
        field("two expectations", "Expect: 100-continue, tea", Then::Refused(417)),
        field("fields at the limit", &vec!["X: a"; 99].join("\r\n"), ok),
        field("fields above the limit", &vec!["X: a"; 100].join("\r\n"), large),
        field("a long value within the limit", &format!("X: {}", "a".repeat(30_000)), ok),
        field("a value above the limit", &format!("X: {}", "a".repeat(33_000)), large),
        field("a name above the limit", &format!("{}: a", "X".repeat(33_000)), large),
        field("a value of 4 MB", &format!("X: {}", "a".repeat(4_000_000)), large),
        field("100,000 fields", &vec!["X: a"; 100_000].join("\r\n"), large),
        head(
            "a method above the limit",
            &format!("{} {{c}} HTTP/1.1\r\nHost: localhost\r\n\r\n", "A".repeat(33_000)),
            large,
        ),
        head(
            "a version above the limit",
            &format!("GET {{c}} HTTP/1.1{}\r\nHost: localhost\r\n\r\n", "1".repeat(33_000)),
            large,
        ),
        head("no line at all, for 64 KiB", &"A".repeat(65_536), large),
        head("spaces for 64 KiB", &" ".repeat(65_536), large),
    ];
    let invalid = [
        b"GET {c} HTTP/1.1\r\nHost: localhost\r\nX\xff: a\r\n\r\n".to_vec(),
        b"GET {c}\xff HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
    ];
    cases.extend(invalid.map(|bytes| Case { name: "bytes that are no UTF-8", bytes, then: bad }));
    let mut attacked = Attacked::start(NO_RATE, "").await;
    try_all(&attacked, "lines", &cases).await;
    attacked.assert_well().await;
}
