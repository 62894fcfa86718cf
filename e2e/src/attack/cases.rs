//! Tables of raw requests of HTTP/1.1: what is sent, what must be answered, and what the backend
//! may have seen.

use futures::{StreamExt as _, stream};

use super::wire::Wire;
use super::{Attacked, Door};

/// What must become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Answered with this status and closed; nothing reaches the backend.
    Refused(u16),
    /// Answered with this status, nothing reaching the backend, and the connection serves on: where
    /// the request ends is certain.
    Answered(u16),
    /// As refused, but found out while the body passes: what reaches the backend breaks off.
    Cut(u16),
    /// Answered 200 by the backend, which saw this one request with this body; the connection
    /// serves on.
    Passed(&'static str),
    /// The same, and the connection is closed.
    Last(&'static str),
}

/// A raw request. `{c}` in its text is the path that it is known by, `{s}` a request that must stay
/// unseen.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it tries.
    pub name: &'static str,
    /// What is sent.
    pub bytes: Vec<u8>,
    /// What must become of it.
    pub then: Then,
}

/// What an attacker hopes will be taken for a request.
const SMUGGLED: &str = "GET /api/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// Connections at the same moment.
const AT_ONCE: usize = 8;

impl Case {
    /// A case of text.
    pub fn new(name: &'static str, text: &str, then: Then) -> Self {
        Self { name, bytes: text.as_bytes().to_vec(), then }
    }

    /// `POST` with these field lines and this body, behind which the unseen request stands if `{s}`
    /// is in it.
    pub fn post(name: &'static str, fields: &str, body: &str, then: Then) -> Self {
        Self::new(
            name,
            &format!("POST {{c}} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n{body}"),
            then,
        )
    }
}

/// Tries every case by both doors.
///
/// # Panics
/// With all that went wrong.
pub async fn try_all(attacked: &Attacked, topic: &str, cases: &[Case]) {
    let all = cases.iter().enumerate().flat_map(|case| [(case, Door::Plain), (case, Door::Tls)]);
    let tries = all.map(|((index, case), door)| async move {
        let path = format!("/api/{topic}/{index}/{door:?}");
        let tried = one(attacked, door, &path, case).await;
        tried
            .err()
            .map(|error| format!("{door:?} {}: expected {:?}, {error}", case.name, case.then))
    });
    let wrong: Vec<String> = stream::iter(tries)
        .buffer_unordered(AT_ONCE)
        .filter_map(|wrong| async { wrong })
        .collect()
        .await;
    assert!(
        wrong.is_empty(),
        "{} of {} went wrong:\n{}",
        wrong.len(),
        2 * cases.len(),
        wrong.join("\n")
    );
}

async fn one(attacked: &Attacked, door: Door, path: &str, case: &Case) -> Result<(), String> {
    let bytes =
        replace(&replace(&case.bytes, b"{c}", path.as_bytes()), b"{s}", SMUGGLED.as_bytes());
    let mut wire = attacked.connect(door).await;
    // An answer may come, and the connection end, before all was sent.
    let _ = wire.send(&bytes).await;
    let bodiless = bytes.starts_with(b"HEAD ");
    let answer = loop {
        let answer = wire.answer(bodiless).await?;
        if answer.status >= 200 {
            break answer;
        }
    };
    let seen = |complete: bool| {
        let all = attacked.backend.of(&format!(" {path} "));
        all.into_iter().filter(|seen| seen.complete || !complete).collect::<Vec<_>>()
    };
    let is = |wanted: u16| {
        (answer.status == wanted).then_some(()).ok_or(format!(
            "answered {} {}",
            answer.status,
            answer.text()
        ))
    };
    match case.then {
        Then::Refused(status) | Then::Cut(status) => {
            is(status)?;
            let rest = wire.rest().await?;
            if !rest.is_empty() {
                return Err(format!("and then came {:?}", String::from_utf8_lossy(&rest)));
            }
            let reached = seen(matches!(case.then, Then::Cut(_)));
            reached.is_empty().then_some(()).ok_or(format!("the backend saw {reached:?}"))
        }
        Then::Answered(status) => {
            is(status)?;
            let reached = seen(false);
            if !reached.is_empty() {
                return Err(format!("the backend saw {reached:?}"));
            }
            probe(&mut wire, path).await
        }
        Then::Passed(body) | Then::Last(body) => {
            is(200)?;
            let reached = seen(true);
            let [only] = reached.as_slice() else {
                return Err(format!("the backend saw {reached:?}"));
            };
            if only.body != replace(body.as_bytes(), b"{s}", SMUGGLED.as_bytes()) {
                return Err(format!(
                    "the backend got the body {:?}",
                    String::from_utf8_lossy(&only.body)
                ));
            }
            if matches!(case.then, Then::Last(_)) {
                let rest = wire.rest().await?;
                return rest
                    .is_empty()
                    .then_some(())
                    .ok_or(format!("and then came {:?}", String::from_utf8_lossy(&rest)));
            }
            probe(&mut wire, path).await
        }
    }
}

/// What comes next on the connection must be the answer to the next request, and to no other.
async fn probe(wire: &mut Wire, path: &str) -> Result<(), String> {
    let probe = format!("{path}/probe");
    let request = format!("GET {probe} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    wire.send(request.as_bytes())
        .await
        .map_err(|error| format!("the probe cannot be sent: {error}"))?;
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
