//! HTTP/2 requests that no library sends (RFC 9113 sections 8.1 to 8.3): a request that is
//! forwarded as HTTP/1.1 must be unambiguous there.

use Expected::{Empty, Malformed, Passed, Rejected};
use e2e::attack::{Attacked, NO_RATE};
use e2e::frames::{
    END_HEADERS, END_STREAM, H2, Outcome, WHOLE, code, field, frame, head, headers, kind, request,
};
use futures::{StreamExt as _, stream};

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "https");
const AUTHORITY: (&str, &str) = (":authority", "localhost");
const PATH: (&str, &str) = (":path", "/api/h2");

/// Expected result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expected {
    /// A protocol error of its stream or connection, or 400 (RFC 9113 section 8.1.1). Nothing
    /// reaches the backend.
    Malformed,
    /// Answered with this status. Nothing reaches the backend.
    Rejected(u16),
    /// Reset as a protocol error. The backend may have received the request without its body, as
    /// its length of 0 says.
    Empty,
    /// Answered 200 by the backend.
    Passed,
}

struct Case {
    name: &'static str,
    frames: Vec<u8>,
    expected: Expected,
}

impl Case {
    /// A complete request with exactly these fields.
    fn exactly(name: &'static str, fields: &[(&str, &str)], expected: Expected) -> Self {
        Self { name, frames: frame(kind::HEADERS, WHOLE, 1, &head(fields)), expected }
    }

    /// A complete normal request with this additional field.
    fn with(
        name: &'static str,
        field_name: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        expected: Expected,
    ) -> Self {
        let fields = [request("GET", "/api/h2"), field(field_name, value)].concat();
        Self { name, frames: headers(1, &fields), expected }
    }

    /// A request with these lengths and this body.
    fn sized(name: &'static str, lengths: &[&str], body: &[u8], expected: Expected) -> Self {
        let lengths = lengths.iter().flat_map(|length| field("content-length", length));
        let head: Vec<u8> = request("POST", "/api/h2").into_iter().chain(lengths).collect();
        let data = frame(kind::DATA, END_STREAM, 1, body);
        Self {
            name,
            frames: [frame(kind::HEADERS, END_HEADERS, 1, &head), data].concat(),
            expected,
        }
    }

    /// A request with a body and these trailers.
    fn trailed(name: &'static str, fields: &[(&str, &str)], expected: Expected) -> Self {
        let open = frame(kind::HEADERS, END_HEADERS, 1, &request("POST", "/api/h2"));
        let (data, trailers) =
            (frame(kind::DATA, 0, 1, b"hello"), frame(kind::HEADERS, WHOLE, 1, &head(fields)));
        Self { name, frames: [open, data, trailers].concat(), expected }
    }
}

const ALL: [(&str, &str); 4] = [METHOD, SCHEME, AUTHORITY, PATH];

/// The pseudo-fields of a normal request without this one.
fn without(name: &str) -> Vec<(&'static str, &'static str)> {
    ALL.into_iter().filter(|(other, _)| *other != name).collect()
}

/// The pseudo-fields of a normal request and this field.
fn with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    [ALL.as_slice(), &[(name, value)]].concat()
}

/// The pseudo-fields of a normal request with another value for this one.
fn replaced(name: &str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let replaced = |(known, old)| (known, if known == name { value } else { old });
    ALL.into_iter().map(replaced).collect()
}

/// Missing, repeated and unknown pseudo-fields.
fn pseudo_fields() -> Vec<Case> {
    vec![
        Case::exactly("a normal request", &ALL, Passed),
        Case::exactly("no fields", &[], Malformed),
        Case::exactly("no method", &without(":method"), Malformed),
        Case::exactly("no scheme", &without(":scheme"), Malformed),
        Case::exactly("no path", &without(":path"), Malformed),
        Case::exactly("neither authority nor Host", &without(":authority"), Malformed),
        Case::exactly("two methods", &with(":method", "GET"), Malformed),
        Case::exactly("two schemes", &with(":scheme", "https"), Malformed),
        Case::exactly("two paths", &with(":path", "/api/smuggled"), Malformed),
        Case::exactly("two authorities", &with(":authority", "localhost"), Malformed),
        Case::exactly("an unknown pseudo-field", &with(":x", "y"), Malformed),
        Case::exactly("a pseudo-field of responses", &with(":status", "200"), Malformed),
        Case::exactly("a protocol without CONNECT", &with(":protocol", "websocket"), Malformed),
        Case::exactly(
            "a pseudo-field after a field",
            &[METHOD, SCHEME, AUTHORITY, ("x", "y"), PATH],
            Malformed,
        ),
    ]
}

/// Methods and paths.
fn targets() -> Vec<Case> {
    vec![
        Case::exactly("an empty method", &replaced(":method", ""), Malformed),
        Case::exactly("an empty path", &replaced(":path", ""), Malformed),
        Case::exactly("a path without a slash", &replaced(":path", "api"), Malformed),
        Case::exactly("an asterisk with GET", &replaced(":path", "*"), Malformed),
        Case::exactly("a path with a space", &replaced(":path", "/api/a b"), Malformed),
        Case::exactly("a path with a line", &replaced(":path", "/api HTTP/1.1\r\nX: y"), Malformed),
        Case::exactly(
            "a path with a request",
            &replaced(":path", "/ HTTP/1.1\r\nHost: a\r\n\r\nGET /api/smuggled"),
            Malformed,
        ),
        Case::exactly("a path with NUL", &replaced(":path", "/api/\0"), Malformed),
        // The h2 library removes the fragment before routing.
        Case::exactly("a path with a fragment", &replaced(":path", "/api/h2#x"), Passed),
        Case::exactly(
            "a path that is a URL",
            &replaced(":path", "http://internal.example/"),
            Malformed,
        ),
        Case::exactly("a path beyond ASCII", &replaced(":path", "/api/\u{e9}"), Malformed),
        Case::exactly(
            "a method with a space",
            &replaced(":method", "GET /api/smuggled HTTP/1.1"),
            Malformed,
        ),
        Case::exactly(
            "a method with a line",
            &replaced(":method", "GET / HTTP/1.1\r\nX: y\r\n\r\nGET"),
            Malformed,
        ),
        Case::exactly("CONNECT with a path", &replaced(":method", "CONNECT"), Malformed),
        Case::exactly("TRACE", &replaced(":method", "TRACE"), Rejected(405)),
        Case::exactly(
            "CONNECT",
            &[(":method", "CONNECT"), (":authority", "internal.example:443")],
            Rejected(405),
        ),
    ]
}

/// Authorities and `Host` fields.
fn authorities() -> Vec<Case> {
    vec![
        Case::exactly("an empty authority", &replaced(":authority", ""), Malformed),
        Case::exactly(
            "an authority with a user",
            &replaced(":authority", "user@localhost"),
            Malformed,
        ),
        Case::exactly(
            "an authority with a path",
            &replaced(":authority", "localhost/api"),
            Malformed,
        ),
        Case::exactly(
            "an authority with a line",
            &replaced(":authority", "localhost\r\nX: y"),
            Malformed,
        ),
        Case::exactly(
            "an authority with a space",
            &replaced(":authority", "localhost internal.example"),
            Malformed,
        ),
        Case::exactly(
            "an authority list",
            &replaced(":authority", "localhost,internal.example"),
            Malformed,
        ),
        Case::exactly("a Host that differs", &with("host", "internal.example"), Malformed),
        Case::exactly(
            "two Hosts",
            &[with("host", "localhost"), vec![("host", "localhost")]].concat(),
            Malformed,
        ),
        Case::exactly("a Host that agrees", &with("host", "localhost"), Passed),
        Case::exactly(
            "a long path",
            &[METHOD, SCHEME, AUTHORITY, (":path", &format!("/{}", "a".repeat(9000)))],
            Rejected(414),
        ),
    ]
}

/// Names and values of fields.
fn fields() -> Vec<Case> {
    vec![
        Case::with("a name in upper case", "X-Upper", "y", Malformed),
        Case::with("an empty name", "", "y", Malformed),
        Case::with("a name with a space", "x y", "z", Malformed),
        Case::with("a name with a colon", "x:y", "z", Malformed),
        Case::with("a name with a line", "x: y\r\nz", "a", Malformed),
        Case::with("a name with NUL", "x\0", "y", Malformed),
        Case::with("a name beyond ASCII", "x\u{e9}", "y", Malformed),
        Case::with("a value with CR", "x", "y\rz", Malformed),
        Case::with("a value with LF", "x", "y\nz", Malformed),
        Case::with("a value with a field", "x", "y\r\ntransfer-encoding: chunked", Malformed),
        Case::with(
            "a value with a request",
            "x",
            "y\r\n\r\nGET /api/smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            Malformed,
        ),
        Case::with("a value with NUL", "x", "y\0z", Malformed),
        Case::with("a value with a space before", "x", " y", Malformed),
        Case::with("a value with a space after", "x", "y ", Malformed),
        Case::with("a value with a tab before", "x", "\ty", Malformed),
        Case::with("a value with a tab after", "x", "y\t", Malformed),
        Case::with("a value of a space", "x", " ", Malformed),
        Case::with("connection", "connection", "keep-alive", Malformed),
        Case::with("keep-alive", "keep-alive", "timeout=5", Malformed),
        Case::with("proxy-connection", "proxy-connection", "keep-alive", Malformed),
        Case::with("transfer-encoding", "transfer-encoding", "chunked", Malformed),
        Case::with("upgrade", "upgrade", "websocket", Malformed),
        Case::with("te: gzip", "te", "gzip", Malformed),
        Case::with("te: trailers", "te", "trailers", Passed),
        Case::with("an empty value", "x", "", Passed),
        Case::with("a value with a space inside", "x", "y z", Passed),
        Case::with("a value beyond ASCII", "x", "\u{e9}", Passed),
        Case::with("an unknown expectation", "expect", "tea", Rejected(417)),
        Case::with("a value of 33 KB", "x", "y".repeat(33_000), Rejected(431)),
    ]
}

/// Lengths and trailers.
fn bodies() -> Vec<Case> {
    let length = [request("GET", "/api/h2"), field("content-length", "5")].concat();
    vec![
        Case::sized("a length that fits", &["5"], b"hello", Passed),
        Case::sized("a body shorter than its length", &["6"], b"hello", Malformed),
        Case::sized("a body longer than its length", &["4"], b"hello", Malformed),
        Case::sized("a length without a body", &["5"], b"", Malformed),
        Case::sized("a body with length 0", &["0"], b"hello", Empty),
        Case::sized("two lengths", &["5", "6"], b"hello", Malformed),
        Case::sized("two equal lengths", &["5", "5"], b"hello", Malformed),
        Case::sized("a length list", &["5, 5"], b"hello", Malformed),
        Case::sized("a length with a sign", &["+5"], b"hello", Malformed),
        Case::sized("a length that is empty", &[""], b"hello", Malformed),
        Case::sized("a length of 2^64 - 1", &["18446744073709551615"], b"hello", Malformed),
        Case::sized("a length of 2^64", &["18446744073709551616"], b"hello", Malformed),
        Case::trailed("trailers", &[("x", "y")], Passed),
        // Trailers are not forwarded to the backend.
        Case::trailed("a pseudo-field in trailers", &[(":path", "/api/smuggled")], Passed),
        Case::trailed("a connection in trailers", &[("transfer-encoding", "chunked")], Malformed),
        Case::trailed(
            "a line in trailers",
            &[("x", "y\r\n\r\nGET /api/smuggled HTTP/1.1")],
            Malformed,
        ),
        Case {
            name: "a length on a request without a body",
            frames: frame(kind::HEADERS, WHOLE, 1, &length),
            expected: Malformed,
        },
    ]
}

async fn try_one(attacked: &Attacked, case: &Case) -> Option<String> {
    let mut connection = H2::open(attacked, &[]).await;
    // The gateway may close the connection before everything is sent.
    let _ = connection.send(&case.frames).await;
    let outcome = connection.outcome(1).await;
    let right = match case.expected {
        Malformed => {
            matches!(
                outcome,
                Outcome::Reset(code::PROTOCOL)
                    | Outcome::GoAway(code::PROTOCOL)
                    | Outcome::Status(400)
            )
        }
        Empty => outcome == Outcome::Reset(code::PROTOCOL),
        Rejected(status) => outcome == Outcome::Status(status),
        Passed => outcome == Outcome::Status(200),
    };
    (!right).then(|| format!("{}: expected {:?}, found {outcome:?}", case.name, case.expected))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_h2_requests_do_not_reach_the_backend() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let cases: Vec<Case> = [pseudo_fields(), targets(), authorities(), fields(), bodies()]
        .into_iter()
        .flatten()
        .collect();
    let of = |wanted: fn(&Expected) -> bool| {
        cases.iter().filter(|case| wanted(&case.expected)).collect::<Vec<_>>()
    };
    let refused = of(|expected| !matches!(expected, Passed | Empty));
    let (passing, empty) = (of(|expected| *expected == Passed), of(|expected| *expected == Empty));
    let before = attacked.backend.seen().len();
    let mut wrong = Vec::new();
    for (group, reach) in [
        (&refused, 0..=0),
        (&passing, passing.len()..=passing.len()),
        (&empty, passing.len()..=cases.len()),
    ] {
        let tries = group.iter().map(|case| try_one(&attacked, case));
        let tried: Vec<Option<String>> = stream::iter(tries).buffer_unordered(8).collect().await;
        wrong.extend(tried.into_iter().flatten());
        let complete =
            attacked.backend.seen().into_iter().skip(before).filter(|seen| seen.complete);
        let reached: Vec<String> =
            complete.map(|seen| String::from_utf8_lossy(&seen.head).into_owned()).collect();
        if !reach.contains(&reached.len()) {
            wrong.push(format!("expected {reach:?} requests at the backend, found {reached:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} failed:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    attacked.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn field_limit_applies_to_h2() {
    let mut attacked = Attacked::start(&format!("{NO_RATE}\nheader_fields = 40"), "").await;
    for (count, status) in [(20, 200), (41, 431), (400, 431)] {
        let fields = field("x", "y").repeat(count);
        let mut connection = H2::open(&attacked, &[]).await;
        let head = [request("GET", "/api/many"), fields].concat();
        connection.send(&frame(kind::HEADERS, WHOLE, 1, &head)).await.expect("send the request");
        assert_eq!(connection.outcome(1).await, Outcome::Status(status), "{count} fields");
    }
    assert_eq!(attacked.backend.of("/api/many").len(), 1);
    attacked.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookie_crumbs_are_joined() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let mut connection = H2::open(&attacked, &[]).await;
    let crumbs = ["a=1", "b=2", "__Host-gatehouse=3"].map(|crumb| field("cookie", crumb)).concat();
    let head = [request("GET", "/api/crumbs"), crumbs].concat();
    connection.send(&frame(kind::HEADERS, WHOLE, 1, &head)).await.expect("send the request");
    assert_eq!(connection.outcome(1).await, Outcome::Status(200));
    let seen = attacked.backend.of("/api/crumbs");
    // RFC 9113 section 8.2.3.
    assert_eq!(
        seen.iter().map(|seen| seen.values("cookie")).collect::<Vec<_>>(),
        [["a=1; b=2; __Host-gatehouse=3"]]
    );
    attacked.assert_healthy().await;
}
