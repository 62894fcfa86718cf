//! Answers that the gateway gives instead of an upstream.

use http::Method;
use pingora::Result;
use pingora::protocols::http::ServerSession as HttpSession;
use pingora::proxy::Session;

use super::context::Work;
use crate::serving::answer::{Answer, Form};
use crate::serving::filters::{PageKind, harden};
use crate::serving::upstream::Unavailable;

/// Writes a whole answer, hardened as all are.
pub(super) async fn write(session: &mut Session, work: &Work, answer: Answer) -> Result<()> {
    let mut head = answer.to_parts();
    let hsts = work.record.snapshot.hsts.as_ref();
    harden(&mut head.headers, &work.record.about, hsts, PageKind::Data);
    let body =
        if session.req_header().method == Method::HEAD { bytes::Bytes::new() } else { answer.body };
    let empty = body.is_empty();
    session.write_response_header(Box::new(head.into()), empty).await?;
    if empty {
        return Ok(());
    }
    session.write_response_body(Some(body), true).await
}

/// The answer when an upstream takes no request.
pub(super) fn unavailable(why: Unavailable, form: Form) -> Answer {
    let detail = match why {
        Unavailable::Full => "The service behind this site has too much to do.",
        Unavailable::NoTarget => "The service behind this site is not available.",
    };
    Answer::error(503, detail, form).with("retry-after", "2")
}

/// Ends an h1 connection whose request was answered before it had come to its end, so that the
/// client, still sending, gets to read the answer. `over`: Pingora will not use the connection
/// again, or does not report it.
pub(super) async fn part_early(session: &mut Session, over: bool) {
    let HttpSession::H1(h1) = session.as_downstream_mut() else { return };
    if h1.response_written().is_some_and(|answer| !answer.status.is_success())
        && !h1.is_body_done()
        && (over || !h1.will_keepalive())
    {
        h1.set_server_keepalive(None);
        h1.shutdown().await;
    }
}
