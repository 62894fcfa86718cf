//! Responses of the gateway itself, instead of an upstream's.

use http::Method;
use pingora::Result;
use pingora::protocols::http::ServerSession as HttpSession;
use pingora::proxy::Session;

use super::context::Work;
use crate::serving::answer::{Answer, Form};
use crate::serving::filters::{PageKind, harden};
use crate::serving::upstream::Unavailable;

/// Writes a complete response, hardened like every other.
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

/// The response when an upstream accepts no request.
pub(super) fn unavailable(why: Unavailable, form: Form) -> Answer {
    let detail = match why {
        Unavailable::Full => "The service behind this site is overloaded.",
        Unavailable::NoTarget => "The service behind this site is not available.",
    };
    Answer::error(503, detail, form).with("retry-after", "2")
}

/// Closes an h1 connection whose request was answered before its body was complete, so that a
/// client that is still sending can read the response. `over`: Pingora will not reuse the
/// connection, or cannot tell.
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
