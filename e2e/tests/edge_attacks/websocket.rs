//! Upgrades (RFC 6455 section 4.2.1): only a whole, single handshake of this site's own page opens
//! a WebSocket, and nothing else opens anything.

use e2e::attack::{Attacked, Door, NO_RATE};

/// The fields of an ordinary handshake, but for `Origin`.
const FIELDS: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                      Sec-WebSocket-Version: 13";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION: &str = "Sec-WebSocket-Version: 13";

/// What must become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// A WebSocket.
    Opens,
    /// Answered with this status by the gateway and closed, nothing reaching the backend.
    Refused(u16),
    /// Answered as if there was no `Upgrade` in it: the backend gets an ordinary request.
    Plain,
}

fn get(path: &str, version: &str, origin: &str, fields: &str) -> String {
    format!("GET {path} HTTP/{version}\r\nHost: localhost\r\n{origin}{fields}\r\n\r\n")
}

fn cases(own: &str) -> Vec<(&'static str, String, Then)> {
    use Then::{Opens, Plain, Refused};
    let with = |name, fields: &str, then| (name, get("/ws", "1.1", own, fields), then);
    let more = |name, line: &str, then| {
        (name, get("/ws", "1.1", own, &format!("{FIELDS}\r\n{line}")), then)
    };
    let other = |name, from: &str, to: &str, then| {
        (name, get("/ws", "1.1", own, &FIELDS.replace(from, to)), then)
    };
    let from = |name, origin: &str, then| (name, get("/ws", "1.1", origin, FIELDS), then);
    let (bad, old, foreign) = (Refused(400), Refused(426), Refused(403));
    let (scheme, _) =
        own.trim_start_matches("Origin: ").split_once("://").expect("an origin has a scheme");
    let wrong_scheme = if scheme == "https" {
        "Origin: http://localhost\r\n"
    } else {
        "Origin: https://localhost\r\n"
    };
    vec![
        with("an ordinary handshake", FIELDS, Opens),
        other("other letters", "websocket", "WebSocket", Opens),
        other(
            "several connection options",
            "Connection: Upgrade",
            "Connection: keep-alive, upgrade",
            Opens,
        ),
        more("extensions", "Sec-WebSocket-Extensions: permessage-deflate", Opens),
        more("a repeated version", VERSION, bad),
        more("a second version", "Sec-WebSocket-Version: 8", bad),
        other(
            "a second version before",
            VERSION,
            "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Version: 13",
            bad,
        ),
        other("a version list", "Version: 13", "Version: 13, 8", old),
        other("version 8", "Version: 13", "Version: 8", old),
        other("version 0", "Version: 13", "Version: 0", old),
        other("version 013", "Version: 13", "Version: 013", old),
        other("an empty version", "Version: 13", "Version:", old),
        other("no version", VERSION, "X: y", bad),
        more("a repeated key", KEY, bad),
        more("a second key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", bad),
        other("no key", KEY, "X: y", bad),
        other("an empty key", KEY, "Sec-WebSocket-Key:", bad),
        other("a short key", "dGhl", "", bad),
        other("a long key", "dGhl", "dGhldGhl", bad),
        other("a key that is no base64", "dGhl", "!!!!", bad),
        other("a key without padding", "==", "", bad),
        more("a body", "Content-Length: 5", bad),
        more("a body in chunks", "Transfer-Encoding: chunked", bad),
        more("two lengths", "Content-Length: 0\r\nTransfer-Encoding: chunked", bad),
        ("POST", get("/ws", "1.1", own, FIELDS).replacen("GET", "POST", 1), bad),
        ("HTTP/1.0", get("/ws", "1.0", own, FIELDS), Plain),
        other("no Connection", "Connection: Upgrade", "X: y", Plain),
        other("another connection option", "Connection: Upgrade", "Connection: keep-alive", Plain),
        other("no Upgrade", "Upgrade: websocket", "X: y", Plain),
        other("another protocol", "Upgrade: websocket", "Upgrade: h2c", Plain),
        other("a protocol that begins alike", "Upgrade: websocket", "Upgrade: websocket2", Plain),
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
        from("no origin", "", foreign),
        from("an empty origin", "Origin:\r\n", foreign),
        from("a foreign origin", "Origin: https://evil.example\r\n", foreign),
        from("the origin null", "Origin: null\r\n", foreign),
        from("the wrong scheme", wrong_scheme, foreign),
        from("a port of its own", &own.replace("localhost", "localhost:1"), foreign),
        from("a name that ends alike", &own.replace("localhost", "evil-localhost"), foreign),
        from(
            "a name that begins alike",
            &own.replace("localhost", "localhost.evil.example"),
            foreign,
        ),
        from(
            "a user before the name",
            &own.replace("localhost", "localhost@evil.example"),
            foreign,
        ),
        from("a path behind the name", &own.replace("localhost", "localhost/"), foreign),
        from(
            "two origins in one",
            &own.replace("localhost", "localhost https://evil.example"),
            foreign,
        ),
        from("two origins", &format!("{own}Origin: https://evil.example\r\n"), foreign),
    ]
}

async fn try_one(
    attacked: &Attacked,
    door: Door,
    name: &str,
    request: &str,
    then: Then,
) -> Result<(), String> {
    let before = attacked.backend.seen().len();
    let mut wire = attacked.connect(door).await;
    wire.send(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let answer = wire.answer(false).await?;
    let seen = attacked.backend.seen().split_off(before);
    let upgrades = seen.iter().filter(|seen| !seen.values("upgrade").is_empty()).count();
    let found = (answer.status, seen.len(), upgrades);
    let expected = match then {
        Then::Opens => (101, 1, 1),
        Then::Refused(status) => (status, 0, 0),
        Then::Plain => (200, 1, 0),
    };
    if found != expected {
        return Err(format!(
            "status, requests and upgrades at the backend: {found:?}, expected {expected:?}"
        ));
    }
    match then {
        Then::Opens => {
            wire.send(b"through").await.map_err(|error| error.to_string())?;
            while wire.more().await.map_err(|error| error.to_string())? > 0 {
                if wire.ahead() == b"through" {
                    return Ok(());
                }
            }
            Err(format!("{name}: it ended instead of sending back"))
        }
        Then::Refused(_) => wire.rest().await.map(drop),
        Then::Plain => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_whole_handshake_of_the_sites_own_page_opens_a_websocket() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let mut wrong = Vec::new();
    for (door, own) in [
        (Door::Plain, "Origin: http://localhost\r\n"),
        (Door::Tls, "Origin: https://localhost\r\n"),
    ] {
        // One after another: what reaches the backend must be the case's own.
        for (name, request, then) in cases(own) {
            if let Err(error) = try_one(&attacked, door, name, &request, then).await {
                wrong.push(format!("{door:?} {name}: {error}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n"));
    attacked.assert_well().await;
}
