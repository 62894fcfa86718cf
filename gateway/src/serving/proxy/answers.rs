//! Answers that the gateway gives instead of an upstream.

use std::io;

use http::Method;
use pingora::protocols::http::ServerSession as HttpSession;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType, Result};

use super::context::Work;
use crate::serving::answer::{Answer, Form};
use crate::serving::filters::{PageKind, harden};
use crate::serving::upstream::Unavailable;

/// Writes a whole answer, hardened as all are.
pub(super) async fn write(session: &mut Session, work: &Work, answer: Answer) -> Result<()> {
    let mut head = answer.to_parts();
    harden(&mut head.headers, &work.about, work.snapshot.hsts.as_ref(), PageKind::Data);
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
/// again, or cannot say so.
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

/// Whether the body of a request is not what its framing says: `stream` has found out while it was
/// read.
pub(super) fn is_malformed_body(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::InvalidData)
}

/// The status code for a failure; `None` when nobody is there to be told.
pub(super) fn status(error: &Error) -> Option<u16> {
    match (error.etype(), error.esource()) {
        (ErrorType::HTTPStatus(code), _) => Some(*code),
        (ErrorType::ReadError, ErrorSource::Downstream) if is_malformed_body(error) => Some(400),
        (
            ErrorType::ReadTimedout | ErrorType::WriteTimedout | ErrorType::ConnectTimedout,
            ErrorSource::Upstream,
        ) => Some(504),
        (_, ErrorSource::Upstream) => Some(502),
        (ErrorType::ReadTimedout, ErrorSource::Downstream) => Some(408),
        (
            ErrorType::WriteError
            | ErrorType::ReadError
            | ErrorType::ConnectionClosed
            | ErrorType::H2Error,
            ErrorSource::Downstream,
        ) => None,
        (_, ErrorSource::Downstream) => Some(400),
        (_, ErrorSource::Internal | ErrorSource::Unset) => Some(500),
    }
}
