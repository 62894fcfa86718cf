//! Requests that fail on their way: whether another target is tried, and what the client gets.

use std::io;

use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType};

use super::answers;
use super::context::Work;
use crate::serving::answer::Answer;
use crate::serving::filters::BODY_TOO_LARGE;
use crate::serving::shared::Shared;
use crate::serving::upstream::{Late, Outcome, Unavailable};

/// A target cannot be reached. Nothing was sent: any request may be tried elsewhere, if the budget
/// allows it.
pub(super) fn connect_failed(work: &mut Work) -> bool {
    work.attempt_failed("connect");
    work.forwarding().note(Outcome::Failed("connect"));
    work.take_retry()
}

/// An attempt failed after its connection was open. Returns the error to go on with, which has
/// whether another target is tried.
pub(super) fn attempt_failed(
    shared: &Shared,
    session: &Session,
    work: &mut Work,
    mut error: Box<Error>,
) -> Box<Error> {
    let late = work.forwarding().late();
    let body_is_late =
        *error.etype() == ErrorType::ReadTimedout && *error.esource() == ErrorSource::Downstream;
    // The target waits for the rest of the request, as the gateway does: that is the client's
    // doing, and must not get a target ejected.
    if late == Some(Late::Body) || body_is_late {
        shared.metrics.request_refused("body_timeout");
        error = Error::new_down(ErrorType::HTTPStatus(408));
        error.set_retry(false);
        return error;
    }
    if *error.esource() != ErrorSource::Upstream {
        error.set_retry(false);
        return error;
    }
    let reason = late.map_or("reset", Late::as_str);
    work.attempt_failed(reason);
    // A kept connection may have been closed while idle: that is no failure of the target.
    if late.is_some() || !work.forwarding().is_on_kept_connection() {
        work.forwarding().note(Outcome::Failed(reason));
    }
    if late.is_some() {
        error.etype = ErrorType::ReadTimedout;
    }
    // Only when it cannot have done anything twice, and the client has not seen anything yet.
    let repeatable = late.is_none()
        && session.req_header().method.is_idempotent()
        && !session.as_ref().retry_buffer_truncated()
        && session.response_written().is_none();
    error.set_retry(repeatable && work.take_retry());
    error
}

/// Answers a request that failed for good, if nothing was answered before. Returns the status code;
/// 0 when there is no client to answer.
pub(super) async fn answer(
    shared: &Shared,
    session: &mut Session,
    work: &mut Work,
    error: &Error,
) -> u16 {
    let Some(code) = status(error) else { return 0 };
    if let Some(stream) = &mut work.event_stream
        && *error.esource() == ErrorSource::Upstream
    {
        stream.broke_off();
    }
    if session.response_written().is_none() {
        let answer = match code {
            400 if is_malformed_body(error) => {
                shared.metrics.request_refused("body");
                Answer::error(400, "The body of the request is not well-formed.", work.form)
            }
            503 => answers::unavailable(Unavailable::NoTarget, work.form),
            502 => Answer::error(502, detail(502), work.form).with("retry-after", "1"),
            code => Answer::error(code, detail(code), work.form),
        };
        session.set_keepalive(None);
        if let Err(error) = answers::write(session, work, answer).await {
            tracing::debug!(%error, "the client did not take the answer");
        }
    }
    code
}

fn detail(code: u16) -> &'static str {
    match code {
        408 => "The body of the request took too long to arrive.",
        413 => BODY_TOO_LARGE,
        502 => "The service behind this site did not answer.",
        504 => "The service behind this site took too long to answer.",
        _ => "The request could not be served.",
    }
}

/// Whether the body of a request does not match its framing, which `stream` detects while it is
/// read.
fn is_malformed_body(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::InvalidData)
}

/// The status code for a failure; `None` when the client is gone.
fn status(error: &Error) -> Option<u16> {
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
