//! The plain port: ACME challenges, and everything else to https.

use std::sync::Arc;

use super::h1::{ReadHead, count, read_head, refuse, refuse_head};
use crate::serving::answer::Answer;
use crate::serving::head::Head;
use crate::serving::plane::Plane;
use crate::serving::router::Host;
use crate::serving::stream::ClientStream;

/// RFC 8555 section 8.3.
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// Answers one request and closes: a client that was redirected does not come back on this
/// connection.
pub(super) async fn serve(plane: Arc<Plane>, mut stream: Box<ClientStream>, port: Option<u16>) {
    let snapshot = plane.shared.snapshot.load_full();
    let limits = &snapshot.config().limits;
    let mut draining = plane.drain_signal();
    let answer =
        match read_head(&plane, &mut stream, limits, limits.header_timeout, &mut draining).await {
            Ok(head) => match count(&plane, &stream)
                .map(|()| reply(&stream, &head, port.unwrap_or_else(|| plane.https_port())))
            {
                Err(too_many) => {
                    return refuse_head(&plane, &mut stream, "rate_limit", too_many.answer()).await;
                }
                Ok(Reply::Answer(answer)) => answer,
                Ok(Reply::Proof(token)) => {
                    match tokio::time::timeout(limits.header_timeout, plane.http01(&token)).await {
                        Ok(Some(authorization)) => Answer::text(200, &authorization),
                        Ok(None) => Answer::plain(404, "There is no such challenge."),
                        Err(_) => Answer::plain(503, "The challenge cannot be looked up now."),
                    }
                }
            },
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

/// What a request here is for.
enum Reply {
    Answer(Answer),
    /// An ACME authority asks for the proof of this token.
    Proof(String),
}

fn reply(stream: &ClientStream, head: &Head, port: u16) -> Reply {
    let refused = |detail: &str| Reply::Answer(Answer::plain(400, detail));
    let text = stream.ahead().get(..head.len).unwrap_or_default();
    let Some(request) = head.to_request(text) else { return refused("The request is malformed.") };
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    if let Some(token) = target.strip_prefix(CHALLENGES) {
        return Reply::Proof(token.to_owned());
    }
    let host =
        request.headers.get(http::header::HOST).and_then(|host| Host::parse(host.to_str().ok()?));
    let Some(host) = host else { return refused("A valid Host is needed.") };
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let location = format!("https://{}{port}{target}", host.as_str());
    Reply::Answer(Answer::plain(308, "This site is served over https.").with("location", &location))
}
