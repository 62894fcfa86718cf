//! Requests of HTTP/2 that no library sends (RFC 9113 sections 8.1 to 8.3): what becomes HTTP/1.1
//! on its way must be as unambiguous there.

use e2e::attack::{Attacked, NO_RATE};
use e2e::frames::{
    END_HEADERS, END_STREAM, H2, Outcome, WHOLE, code, field, frame, head, headers, kind, request,
};
use futures::{StreamExt as _, stream};

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "https");
const AUTHORITY: (&str, &str) = (":authority", "localhost");
const PATH: (&str, &str) = (":path", "/api/h2");

/// What must become of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Then {
    /// A protocol error of its stream or connection, or 400 (RFC 9113 section 8.1.1); nothing
    /// reaches the backend.
    Malformed,
    /// Answered with this status; nothing reaches the backend.
    Refused(u16),
    /// Reset as a protocol error; the backend may have got the request without its body, which its
    /// length allows.
    Empty,
    /// Answered 200 by the backend.
    Passed,
}

struct Case {
    name: &'static str,
    frames: Vec<u8>,
    then: Then,
}

impl Case {
    /// A whole request with exactly these fields.
    fn exactly(name: &'static str, fields: &[(&str, &str)], then: Then) -> Self {
        Self { name, frames: frame(kind::HEADERS, WHOLE, 1, &head(fields)), then }
    }

    /// A whole ordinary request with this field more.
    fn with(
        name: &'static str,
        field_name: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        then: Then,
    ) -> Self {
        let fields = [request("GET", "/api/h2"), field(field_name, value)].concat();
        Self { name, frames: headers(1, &fields), then }
    }

    /// A request with these lengths in its head and these bytes of a body.
    fn sized(name: &'static str, lengths: &[&str], body: &[u8], then: Then) -> Self {
        let lengths = lengths.iter().flat_map(|length| field("content-length", length));
        let head: Vec<u8> = request("POST", "/api/h2").into_iter().chain(lengths).collect();
        let data = frame(kind::DATA, END_STREAM, 1, body);
        Self { name, frames: [frame(kind::HEADERS, END_HEADERS, 1, &head), data].concat(), then }
    }

    /// A request with a body and these fields behind it.
    fn trailed(name: &'static str, fields: &[(&str, &str)], then: Then) -> Self {
        let open = frame(kind::HEADERS, END_HEADERS, 1, &request("POST", "/api/h2"));
        let (data, trailers) =
            (frame(kind::DATA, 0, 1, b"hello"), frame(kind::HEADERS, WHOLE, 1, &head(fields)));
        Self { name, frames: [open, data, trailers].concat(), then }
    }
}

fn pseudo() -> Vec<Case> {
    use Then::{Malformed, Passed, Refused};
    let all = [METHOD, SCHEME, AUTHORITY, PATH];
    let without =
        |name: &str| all.iter().filter(|(other, _)| *other != name).copied().collect::<Vec<_>>();
    let more =
        |name: &'static str, value: &'static str| [all.as_slice(), &[(name, value)]].concat();
    let other = |name: &'static str, value: &'static str| {
        all.iter()
            .map(|(known, old)| (*known, if *known == name { value } else { *old }))
            .collect::<Vec<_>>()
    };
    vec![
        Case::exactly("an ordinary request", &all, Passed),
        Case::exactly("no fields", &[], Malformed),
        Case::exactly("no method", &without(":method"), Malformed),
        Case::exactly("no scheme", &without(":scheme"), Malformed),
        Case::exactly("no path", &without(":path"), Malformed),
        Case::exactly("neither authority nor Host", &without(":authority"), Malformed),
        Case::exactly("two methods", &more(":method", "GET"), Malformed),
        Case::exactly("two schemes", &more(":scheme", "https"), Malformed),
        Case::exactly("two paths", &more(":path", "/api/smuggled"), Malformed),
        Case::exactly("two authorities", &more(":authority", "localhost"), Malformed),
        Case::exactly("an unknown pseudo-field", &more(":x", "y"), Malformed),
        Case::exactly("a pseudo-field of answers", &more(":status", "200"), Malformed),
        Case::exactly("a protocol without CONNECT", &more(":protocol", "websocket"), Malformed),
        Case::exactly(
            "a pseudo-field after a field",
            &[METHOD, SCHEME, AUTHORITY, ("x", "y"), PATH],
            Malformed,
        ),
        Case::exactly("an empty method", &other(":method", ""), Malformed),
        Case::exactly("an empty path", &other(":path", ""), Malformed),
        Case::exactly("a path without a slash", &other(":path", "api"), Malformed),
        Case::exactly("an asterisk for GET", &other(":path", "*"), Malformed),
        Case::exactly("a path with a space", &other(":path", "/api/a b"), Malformed),
        Case::exactly("a path with a line", &other(":path", "/api HTTP/1.1\r\nX: y"), Malformed),
        Case::exactly(
            "a path with a request",
            &other(":path", "/ HTTP/1.1\r\nHost: a\r\n\r\nGET /api/smuggled"),
            Malformed,
        ),
        Case::exactly("a path with NUL", &other(":path", "/api/\0"), Malformed),
        // The library cuts it off before anything is routed.
        Case::exactly("a path with a fragment", &other(":path", "/api/h2#x"), Passed),
        Case::exactly(
            "a path that is a URL",
            &other(":path", "http://internal.example/"),
            Malformed,
        ),
        Case::exactly("a path beyond ASCII", &other(":path", "/api/\u{e9}"), Malformed),
        Case::exactly(
            "a method with a space",
            &other(":method", "GET /api/smuggled HTTP/1.1"),
            Malformed,
        ),
        Case::exactly(
            "a method with a line",
            &other(":method", "GET / HTTP/1.1\r\nX: y\r\n\r\nGET"),
            Malformed,
        ),
        Case::exactly("CONNECT with a path", &other(":method", "CONNECT"), Malformed),
        Case::exactly("TRACE", &other(":method", "TRACE"), Refused(405)),
        Case::exactly(
            "CONNECT",
            &[(":method", "CONNECT"), (":authority", "internal.example:443")],
            Refused(405),
        ),
        Case::exactly("an empty authority", &other(":authority", ""), Malformed),
        Case::exactly(
            "an authority with a user",
            &other(":authority", "user@localhost"),
            Malformed,
        ),
        Case::exactly("an authority with a path", &other(":authority", "localhost/api"), Malformed),
        Case::exactly(
            "an authority with a line",
            &other(":authority", "localhost\r\nX: y"),
            Malformed,
        ),
        Case::exactly(
            "an authority with a space",
            &other(":authority", "localhost internal.example"),
            Malformed,
        ),
        Case::exactly(
            "an authority list",
            &other(":authority", "localhost,internal.example"),
            Malformed,
        ),
        Case::exactly("a Host that differs", &more("host", "internal.example"), Malformed),
        Case::exactly(
            "two Hosts",
            &[more("host", "localhost"), vec![("host", "localhost")]].concat(),
            Malformed,
        ),
        Case::exactly("a Host that agrees", &more("host", "localhost"), Passed),
        Case::exactly(
            "a long path",
            &[METHOD, SCHEME, AUTHORITY, (":path", &format!("/{}", "a".repeat(9000)))],
            Refused(414),
        ),
    ]
}

fn fields() -> Vec<Case> {
    use Then::{Empty, Malformed, Passed, Refused};
    let mut cases = vec![
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
        Case::with("an expectation that there is not", "expect", "tea", Refused(417)),
        Case::with("a value of 33 KB", "x", "y".repeat(33_000), Refused(431)),
        Case::sized("a length that fits", &["5"], b"hello", Passed),
        Case::sized("less than its length", &["6"], b"hello", Malformed),
        Case::sized("more than its length", &["4"], b"hello", Malformed),
        Case::sized("a length and nothing", &["5"], b"", Malformed),
        Case::sized("something with length 0", &["0"], b"hello", Empty),
        Case::sized("two lengths", &["5", "6"], b"hello", Malformed),
        Case::sized("two equal lengths", &["5", "5"], b"hello", Malformed),
        Case::sized("a length list", &["5, 5"], b"hello", Malformed),
        Case::sized("a length with a sign", &["+5"], b"hello", Malformed),
        Case::sized("a length that is empty", &[""], b"hello", Malformed),
        Case::sized("a length of 2^64 - 1", &["18446744073709551615"], b"hello", Malformed),
        Case::sized("a length of 2^64", &["18446744073709551616"], b"hello", Malformed),
        Case::trailed("trailers", &[("x", "y")], Passed),
        // No trailers reach the backend.
        Case::trailed("a pseudo-field in trailers", &[(":path", "/api/smuggled")], Passed),
        Case::trailed("a connection in trailers", &[("transfer-encoding", "chunked")], Malformed),
        Case::trailed(
            "a line in trailers",
            &[("x", "y\r\n\r\nGET /api/smuggled HTTP/1.1")],
            Malformed,
        ),
    ];
    let length = [request("GET", "/api/h2"), field("content-length", "5")].concat();
    cases.push(Case {
        name: "a length in a request that has ended",
        frames: frame(kind::HEADERS, WHOLE, 1, &length),
        then: Malformed,
    });
    cases
}

async fn try_one(attacked: &Attacked, case: &Case) -> Option<String> {
    let mut connection = H2::open(attacked, &[]).await;
    // The connection may end before all was sent.
    let _ = connection.send(&case.frames).await;
    let outcome = connection.outcome(1).await;
    let right = match case.then {
        Then::Malformed => {
            matches!(
                outcome,
                Outcome::Reset(code::PROTOCOL)
                    | Outcome::GoAway(code::PROTOCOL)
                    | Outcome::Status(400)
            )
        }
        Then::Empty => outcome == Outcome::Reset(code::PROTOCOL),
        Then::Refused(status) => outcome == Outcome::Status(status),
        Then::Passed => outcome == Outcome::Status(200),
    };
    (!right).then(|| format!("{}: expected {:?}, came {outcome:?}", case.name, case.then))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_request_of_http_2_reaches_nothing() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let cases: Vec<Case> = pseudo().into_iter().chain(fields()).collect();
    let of = |wanted: fn(&Then) -> bool| {
        cases.iter().filter(|case| wanted(&case.then)).collect::<Vec<_>>()
    };
    let refused = of(|then| !matches!(then, Then::Passed | Then::Empty));
    let (passing, empty) = (of(|then| *then == Then::Passed), of(|then| *then == Then::Empty));
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
            wrong.push(format!(
                "{reach:?} requests should have reached the backend, not {reached:#?}"
            ));
        }
    }
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
async fn fields_are_counted_on_http_2_as_on_http_1() {
    let mut attacked = Attacked::start(&format!("{NO_RATE}\nheader_fields = 40"), "").await;
    for (count, status) in [(20, 200), (41, 431), (400, 431)] {
        let fields = field("x", "y").repeat(count);
        let mut connection = H2::open(&attacked, &[]).await;
        let head = [request("GET", "/api/many"), fields].concat();
        connection.send(&frame(kind::HEADERS, WHOLE, 1, &head)).await.expect("it is sent");
        assert_eq!(connection.outcome(1).await, Outcome::Status(status), "{count} fields");
    }
    assert_eq!(attacked.backend.of("/api/many").len(), 1);
    attacked.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crumbs_of_cookies_reach_the_backend_as_one_field() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let mut connection = H2::open(&attacked, &[]).await;
    let crumbs = ["a=1", "b=2", "__Host-gatehouse=3"].map(|crumb| field("cookie", crumb)).concat();
    let head = [request("GET", "/api/crumbs"), crumbs].concat();
    connection.send(&frame(kind::HEADERS, WHOLE, 1, &head)).await.expect("it is sent");
    assert_eq!(connection.outcome(1).await, Outcome::Status(200));
    let seen = attacked.backend.of("/api/crumbs");
    // RFC 9113 section 8.2.3.
    assert_eq!(
        seen.iter().map(|seen| seen.values("cookie")).collect::<Vec<_>>(),
        [["a=1; b=2; __Host-gatehouse=3"]]
    );
    attacked.assert_well().await;
}
