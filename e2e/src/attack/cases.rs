//! Test cases of raw HTTP/1.1 requests: the bytes to send, the expected answer, and what the
//! backend may receive.

use futures::{StreamExt as _, stream};

use super::recorder::Seen;
use super::wire::{Answer, Wire};
use super::{Attacked, Listener};

/// Expected result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Answered with this status, then closed. Nothing reaches the backend.
    Rejected(u16),
    /// Answered with this status. Nothing reaches the backend. The connection stays usable, because
    /// the end of the request is unambiguous.
    Answered(u16),
    /// Like `Rejected`, but detected while the body is forwarded: the backend receives an
    /// incomplete request.
    Cut(u16),
    /// Answered 200 by the backend, which received exactly this request with this body. The
    /// connection stays usable.
    Passed(&'static str),
    /// Like `Passed`, then the connection is closed.
    Last(&'static str),
}

/// A raw request. In its text, `{c}` stands for the case's own path and `{s}` for a smuggled
/// request.
#[derive(Clone, Debug)]
pub struct Case {
    /// What the case tries.
    pub name: &'static str,
    /// The bytes to send.
    pub bytes: Vec<u8>,
    /// The expected result.
    pub expected: Expected,
}

/// A request that must never reach the backend.
const SMUGGLED: &str = "GET /api/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// Concurrent connections.
const AT_ONCE: usize = 8;

impl Case {
    /// A case with this text.
    pub fn new(name: &'static str, text: &str, expected: Expected) -> Self {
        Self { name, bytes: text.as_bytes().to_vec(), expected }
    }

    /// A `POST` with these field lines and this body.
    pub fn post(name: &'static str, fields: &str, body: &str, expected: Expected) -> Self {
        Self::new(
            name,
            &format!("POST {{c}} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n{body}"),
            expected,
        )
    }
}

/// Tries every case on both listeners.
///
/// # Panics
/// With a list of all failures.
pub async fn try_all(attacked: &Attacked, topic: &str, cases: &[Case]) {
    let all =
        cases.iter().enumerate().flat_map(|case| [(case, Listener::Plain), (case, Listener::Tls)]);
    let tries = all.map(|((index, case), listener)| async move {
        let path = format!("/api/{topic}/{index}/{listener:?}");
        let tried = try_one(attacked, listener, &path, case).await;
        tried.err().map(|error| {
            format!("{listener:?} {}: expected {:?}, {error}", case.name, case.expected)
        })
    });
    let wrong: Vec<String> = stream::iter(tries)
        .buffer_unordered(AT_ONCE)
        .filter_map(|wrong| async { wrong })
        .collect()
        .await;
    assert!(
        wrong.is_empty(),
        "{} of {} failed:\n{}",
        wrong.len(),
        2 * cases.len(),
        wrong.join("\n")
    );
}

async fn try_one(
    attacked: &Attacked,
    listener: Listener,
    path: &str,
    case: &Case,
) -> Result<(), String> {
    let bytes =
        replace(&replace(&case.bytes, b"{c}", path.as_bytes()), b"{s}", SMUGGLED.as_bytes());
    let mut wire = attacked.connect(listener).await;
    // The gateway may answer and close the connection before everything is sent.
    let _ = wire.send(&bytes).await;
    let bodiless = bytes.starts_with(b"HEAD ");
    let answer = loop {
        let answer = wire.answer(bodiless).await?;
        if answer.status >= 200 {
            break answer;
        }
    };
    let seen = attacked.backend.of(&format!(" {path} "));
    match case.expected {
        Expected::Rejected(status) => {
            status_is(&answer, status)?;
            nothing_follows(&mut wire).await?;
            nothing_received(&seen)
        }
        Expected::Cut(status) => {
            status_is(&answer, status)?;
            nothing_follows(&mut wire).await?;
            nothing_received(&complete(seen))
        }
        Expected::Answered(status) => {
            status_is(&answer, status)?;
            nothing_received(&seen)?;
            probe(&mut wire, path).await
        }
        Expected::Passed(body) => {
            status_is(&answer, 200)?;
            only_received(&complete(seen), body)?;
            probe(&mut wire, path).await
        }
        Expected::Last(body) => {
            status_is(&answer, 200)?;
            only_received(&complete(seen), body)?;
            nothing_follows(&mut wire).await
        }
    }
}

fn complete(seen: Vec<Seen>) -> Vec<Seen> {
    seen.into_iter().filter(|seen| seen.complete).collect()
}

fn status_is(answer: &Answer, expected: u16) -> Result<(), String> {
    if answer.status == expected {
        return Ok(());
    }
    Err(format!("answered {} {}", answer.status, answer.text()))
}

async fn nothing_follows(wire: &mut Wire) -> Result<(), String> {
    let rest = wire.rest().await?;
    if rest.is_empty() {
        return Ok(());
    }
    Err(format!("{:?} followed the answer", String::from_utf8_lossy(&rest)))
}

fn nothing_received(seen: &[Seen]) -> Result<(), String> {
    if seen.is_empty() {
        return Ok(());
    }
    Err(format!("the backend received {seen:?}"))
}

/// Checks that the backend received exactly one request with this body.
fn only_received(seen: &[Seen], body: &str) -> Result<(), String> {
    let [only] = seen else {
        return Err(format!("the backend received {seen:?}"));
    };
    if only.body == replace(body.as_bytes(), b"{s}", SMUGGLED.as_bytes()) {
        return Ok(());
    }
    Err(format!("the backend received the body {:?}", String::from_utf8_lossy(&only.body)))
}

/// Checks that the next answer on the connection belongs to the next request.
async fn probe(wire: &mut Wire, path: &str) -> Result<(), String> {
    let probe = format!("{path}/probe");
    let request = format!("GET {probe} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    wire.send(request.as_bytes())
        .await
        .map_err(|error| format!("cannot send the probe: {error}"))?;
    let after =
        wire.answer(false).await.map_err(|error| format!("the probe was answered by {error}"))?;
    let right = after.status == 200 && after.text() == probe;
    right.then_some(()).ok_or(format!("the probe was answered {} {}", after.status, after.text()))
}

fn replace(text: &[u8], wanted: &[u8], by: &[u8]) -> Vec<u8> {
    let (mut replaced, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some(at) = super::wire::position(rest, wanted) {
        replaced.extend_from_slice(rest.get(..at).unwrap_or_default());
        replaced.extend_from_slice(by);
        rest = rest.get(at + wanted.len()..).unwrap_or_default();
    }
    replaced.extend_from_slice(rest);
    replaced
}
