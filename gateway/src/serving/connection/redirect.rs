//! The plain HTTP port: serves ACME challenges and redirects other requests to https.

use std::sync::Arc;

use gateway_config::Limits;

use super::Service;
use super::reject::{count, reject_head, reject_late, reject_malformed};
use super::request_head::{NoHead, read_head};
use crate::serving::answer::Answer;
use crate::serving::head::Head;
use crate::serving::router::Host;
use crate::serving::shared::Shared;
use crate::serving::stream::ClientStream;

/// The path prefix of HTTP-01 challenges (RFC 8555 section 8.3).
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// Serves one request and closes: a redirected client does not reuse this connection.
pub(super) async fn serve(service: Arc<Service>, mut stream: Box<ClientStream>, port: Option<u16>) {
    let shared = service.shared();
    let snapshot = shared.snapshot.load_full();
    let limits = &snapshot.config().limits;
    let mut draining = shared.drain.subscribe();
    let wait = limits.header_timeout;
    let read = read_head(&shared.drain, &mut stream, limits, wait, &mut draining).await;
    let head = match read {
        Ok(head) => head,
        Err(NoHead::Ended) => return,
        Err(NoHead::Late) => return reject_late(shared, &mut stream).await,
        Err(NoHead::Bad(error)) => return reject_malformed(shared, &mut stream, error).await,
    };
    if let Err(too_many) = count(shared, &stream) {
        return reject_head(shared, &mut stream, "rate_limit", too_many.answer()).await;
    }
    let answer = match reply(&stream, &head, port.unwrap_or_else(|| shared.https_port())) {
        Reply::Answer(answer) => answer,
        Reply::Proof(token) => prove(shared, limits, &token).await,
    };
    stream.refuse(answer).await;
}

/// The response with the key authorization of a token.
async fn prove(shared: &Shared, limits: &Limits, token: &str) -> Answer {
    match tokio::time::timeout(limits.header_timeout, shared.challenges.http01(token)).await {
        Ok(Some(authorization)) => Answer::text(200, &authorization),
        Ok(None) => Answer::plain(404, "There is no such challenge."),
        Err(_) => Answer::plain(503, "The challenge cannot be looked up now."),
    }
}

/// The kind of response to a request.
enum Reply {
    Answer(Answer),
    /// The key authorization of this token, for an ACME authority.
    Proof(String),
}

fn reply(stream: &ClientStream, head: &Head, port: u16) -> Reply {
    let refused = |detail: &str| Reply::Answer(Answer::plain(400, detail));
    let text = stream.ahead().get(..head.len).expect("the buffer contains the parsed head");
    let Some(request) = head.to_request(text) else { return refused("The request is malformed.") };
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    if let Some(token) = target.strip_prefix(CHALLENGES) {
        return Reply::Proof(token.to_owned());
    }
    let host =
        request.headers.get(http::header::HOST).and_then(|host| Host::parse(host.to_str().ok()?));
    let Some(host) = host else { return refused("A valid Host header is required.") };
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let location = format!("https://{}{port}{target}", host.as_str());
    Reply::Answer(Answer::plain(308, "This site is served over https.").with("location", &location))
}
