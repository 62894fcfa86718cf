//! WebSocket handshakes (RFC 6455 section 4.2.1): only a valid handshake of this site's own page
//! opens a tunnel.

use Expected::{Opens, Plain, Rejected};
use e2e::attack::{Attacked, Listener, NO_RATE};

/// The fields of a normal handshake, except `Origin`.
const FIELDS: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                      Sec-WebSocket-Version: 13";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION: &str = "Sec-WebSocket-Version: 13";

/// Expected result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// A WebSocket opens.
    Opens,
    /// The gateway answers with this status and closes. Nothing reaches the backend.
    Rejected(u16),
    /// `Upgrade` is ignored: the backend receives a normal request.
    Plain,
}

fn get(path: &str, version: &str, origin: &str, fields: &str) -> String {
    format!("GET {path} HTTP/{version}\r\nHost: localhost\r\n{origin}{fields}\r\n\r\n")
}

type Case = (&'static str, String, Expected);

const BAD: Expected = Rejected(400);

/// A handshake with this additional line.
fn more(own: &str, name: &'static str, line: &str, expected: Expected) -> Case {
    (name, get("/ws", "1.1", own, &format!("{FIELDS}\r\n{line}")), expected)
}

/// A handshake with a part of its fields replaced.
fn other(own: &str, name: &'static str, from: &str, to: &str, expected: Expected) -> Case {
    (name, get("/ws", "1.1", own, &FIELDS.replace(from, to)), expected)
}

/// Handshakes with other versions and keys.
fn handshakes(own: &str) -> Vec<Case> {
    let old = Rejected(426);
    let more = |name, line, expected| more(own, name, line, expected);
    let other = |name, from, to, expected| other(own, name, from, to, expected);
    vec![
        ("a normal handshake", get("/ws", "1.1", own, FIELDS), Opens),
        other("different case", "websocket", "WebSocket", Opens),
        other(
            "several connection options",
            "Connection: Upgrade",
            "Connection: keep-alive, upgrade",
            Opens,
        ),
        more("extensions", "Sec-WebSocket-Extensions: permessage-deflate", Opens),
        more("a repeated version", VERSION, BAD),
        more("a second version", "Sec-WebSocket-Version: 8", BAD),
        other(
            "a second version before",
            VERSION,
            "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Version: 13",
            BAD,
        ),
        other("a version list", "Version: 13", "Version: 13, 8", old),
        other("version 8", "Version: 13", "Version: 8", old),
        other("version 0", "Version: 13", "Version: 0", old),
        other("version 013", "Version: 13", "Version: 013", old),
        other("an empty version", "Version: 13", "Version:", old),
        other("no version", VERSION, "X: y", BAD),
        more("a repeated key", KEY, BAD),
        more("a second key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", BAD),
        other("no key", KEY, "X: y", BAD),
        other("an empty key", KEY, "Sec-WebSocket-Key:", BAD),
        other("a short key", "dGhl", "", BAD),
        other("a long key", "dGhl", "dGhldGhl", BAD),
        other("a key that is not base64", "dGhl", "!!!!", BAD),
        other("a key without padding", "==", "", BAD),
    ]
}

/// Requests that are not handshakes.
fn other_requests(own: &str) -> Vec<Case> {
    let more = |name, line, expected| more(own, name, line, expected);
    let other = |name, from, to, expected| other(own, name, from, to, expected);
    vec![
        more("a body", "Content-Length: 5", BAD),
        more("a body in chunks", "Transfer-Encoding: chunked", BAD),
        more("two lengths", "Content-Length: 0\r\nTransfer-Encoding: chunked", BAD),
        ("POST", get("/ws", "1.1", own, FIELDS).replacen("GET", "POST", 1), BAD),
        ("HTTP/1.0", get("/ws", "1.0", own, FIELDS), Plain),
        other("no Connection", "Connection: Upgrade", "X: y", Plain),
        other("another connection option", "Connection: Upgrade", "Connection: keep-alive", Plain),
        other("no Upgrade", "Upgrade: websocket", "X: y", Plain),
        other("another protocol", "Upgrade: websocket", "Upgrade: h2c", Plain),
        other("a protocol with the same start", "Upgrade: websocket", "Upgrade: websocket2", Plain),
        ("a route without WebSockets", get("/api/live", "1.1", own, FIELDS), Plain),
        (
            "h2c",
            get(
                "/api/live",
                "1.1",
                "",
                "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk",
            ),
            Plain,
        ),
    ]
}

/// Handshakes of other sites.
fn origins(own: &str) -> Vec<Case> {
    let from = |name, origin: &str| (name, get("/ws", "1.1", origin, FIELDS), Rejected(403));
    let wrong_scheme = if own.contains("https://") {
        "Origin: http://localhost\r\n"
    } else {
        "Origin: https://localhost\r\n"
    };
    vec![
        from("no origin", ""),
        from("an empty origin", "Origin:\r\n"),
        from("a foreign origin", "Origin: https://evil.example\r\n"),
        from("the origin null", "Origin: null\r\n"),
        from("the wrong scheme", wrong_scheme),
        from("another port", &own.replace("localhost", "localhost:1")),
        from("a name with the same end", &own.replace("localhost", "evil-localhost")),
        from("a name with the same start", &own.replace("localhost", "localhost.evil.example")),
        from("a user before the name", &own.replace("localhost", "localhost@evil.example")),
        from("a path after the name", &own.replace("localhost", "localhost/")),
        from("two origins in one", &own.replace("localhost", "localhost https://evil.example")),
        from("two origins", &format!("{own}Origin: https://evil.example\r\n")),
    ]
}

async fn try_one(
    attacked: &Attacked,
    listener: Listener,
    name: &str,
    request: &str,
    expected: Expected,
) -> Result<(), String> {
    let before = attacked.backend.seen().len();
    let mut wire = attacked.connect(listener).await;
    wire.send(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let answer = wire.answer(false).await?;
    let seen = attacked.backend.seen().split_off(before);
    let handshakes = seen.iter().filter(|seen| !seen.values("upgrade").is_empty()).count();
    let found = (answer.status, seen.len(), handshakes);
    let wanted = match expected {
        Opens => (101, 1, 1),
        Rejected(status) => (status, 0, 0),
        Plain => (200, 1, 0),
    };
    if found != wanted {
        return Err(format!(
            "status, requests and handshakes at the backend: {found:?}, expected {wanted:?}"
        ));
    }
    match expected {
        Opens => {
            wire.send(b"through").await.map_err(|error| error.to_string())?;
            while wire.more().await.map_err(|error| error.to_string())? > 0 {
                if wire.ahead() == b"through" {
                    return Ok(());
                }
            }
            Err(format!("{name}: the tunnel closed instead of echoing"))
        }
        Rejected(_) => wire.rest().await.map(drop),
        Plain => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_valid_same_origin_handshake_opens_a_websocket() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let mut wrong = Vec::new();
    for (listener, own) in [
        (Listener::Plain, "Origin: http://localhost\r\n"),
        (Listener::Tls, "Origin: https://localhost\r\n"),
    ] {
        // One at a time, so that the backend receives only this case's requests.
        for (name, request, expected) in
            [handshakes(own), other_requests(own), origins(own)].concat()
        {
            if let Err(error) = try_one(&attacked, listener, name, &request, expected).await {
                wrong.push(format!("{listener:?} {name}: {error}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n"));
    attacked.assert_healthy().await;
}
