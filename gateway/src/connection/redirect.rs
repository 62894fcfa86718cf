//! The plain port: ACME challenges, and everything else to https.

use super::h1::{ReadHead, read_head, refuse, refuse_head};
use crate::{answer::Answer, head::Head, plane::Plane, router::Host, stream::ClientStream};
use std::sync::Arc;

/// RFC 8555 section 8.3.
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// Answers one request and closes: a client that was redirected does not come back on this connection.
pub(super) async fn serve(plane: Arc<Plane>, mut stream: Box<ClientStream>, port: Option<u16>) {
    let snapshot = plane.shared.snapshot.load_full();
    let limits = &snapshot.config().limits;
    let mut draining = plane.drain_signal();
    let answer = match read_head(&mut stream, limits, limits.header_timeout, &mut draining).await {
        Ok(head) => answer(&plane, &stream, &head, port.unwrap_or_else(|| plane.https_port())),
        Err(ReadHead::Ended) => return,
        Err(ReadHead::Late) => {
            let answer = Answer::plain(408, "The request took too long to arrive.");
            return refuse_head(&plane, &mut stream, "head_timeout", answer).await;
        }
        Err(ReadHead::Bad(error)) => {
            let answer = Answer::plain(error.status(), &error.to_string());
            return refuse_head(&plane, &mut stream, "head", answer).await;
        }
    };
    refuse(&mut stream, answer).await;
}

fn answer(plane: &Plane, stream: &ClientStream, head: &Head, port: u16) -> Answer {
    let text = stream.ahead().get(..head.len).unwrap_or_default();
    let Some(request) = head.to_request(text) else { return Answer::plain(400, "The request is malformed.") };
    let Ok(target) = std::str::from_utf8(request.raw_path()) else {
        return Answer::plain(400, "The path is malformed.");
    };
    if let Some(token) = target.strip_prefix(CHALLENGES) {
        return match (plane.http01)(token) {
            Some(authorization) => Answer::text(200, &authorization),
            None => Answer::plain(404, "There is no such challenge."),
        };
    }
    let host = request.headers.get(http::header::HOST).and_then(|host| Host::parse(host.to_str().ok()?));
    let Some(host) = host else { return Answer::plain(400, "A valid Host is needed.") };
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    Answer::plain(308, "This site is served over https.")
        .with("location", &format!("https://{}{port}{target}", host.as_str()))
}
