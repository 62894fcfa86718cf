//! Failures of forwarded requests: whether to retry on another target, and the response to the
//! client.

use std::io;

use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType};

use super::answers;
use super::context::Work;
use crate::serving::answer::Answer;
use crate::serving::filters::BODY_TOO_LARGE;
use crate::serving::shared::Shared;
use crate::serving::upstream::{Late, Outcome, Unavailable};

/// Handles a failed connection to a target. Nothing was sent, so any request may be retried if the
/// budget allows it. Returns whether to retry.
pub(super) fn connect_failed(work: &mut Work) -> bool {
    work.attempt_failed("connect");
    work.forwarding().note(Outcome::Failed("connect"));
    work.take_retry()
}

/// Handles an attempt that failed after connecting. Returns the error for Pingora, marked for a
/// retry or not.
pub(super) fn attempt_failed(
    shared: &Shared,
    session: &Session,
    work: &mut Work,
    mut error: Box<Error>,
) -> Box<Error> {
    let late = work.forwarding().late();
    let body_is_late =
        *error.etype() == ErrorType::ReadTimedout && *error.esource() == ErrorSource::Downstream;
    // The target and the gateway both wait for the rest of the request: the client is slow, and
    // that must not eject a target.
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
    // A pooled connection that was closed while idle says nothing about the target's health.
    if late.is_some() || !work.forwarding().is_on_kept_connection() {
        work.forwarding().note(Outcome::Failed(reason));
    }
    if late.is_some() {
        error.etype = ErrorType::ReadTimedout;
    }
    // Retry only if nothing can be done twice and the client has received nothing yet.
    let repeatable = late.is_none()
        && session.req_header().method.is_idempotent()
        && !session.as_ref().retry_buffer_truncated()
        && session.response_written().is_none();
    error.set_retry(repeatable && work.take_retry());
    error
}

/// Answers a request that failed without a retry, unless its response has begun. Returns the status
/// code, or 0 if the client is gone.
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
                Answer::error(400, "The request body is not well-formed.", work.form)
            }
            503 => answers::unavailable(Unavailable::NoTarget, work.form),
            502 => Answer::error(502, detail(502), work.form).with("retry-after", "1"),
            code => Answer::error(code, detail(code), work.form),
        };
        session.set_keepalive(None);
        if let Err(error) = answers::write(session, work, answer).await {
            tracing::debug!(%error, "cannot send the response to the client");
        }
    }
    code
}

fn detail(code: u16) -> &'static str {
    match code {
        408 => "The request body took too long to arrive.",
        413 => BODY_TOO_LARGE,
        502 => "The service behind this site did not answer.",
        504 => "The service behind this site took too long to answer.",
        _ => "The request could not be served.",
    }
}

/// Whether the request body violates its framing, which `stream` detects while reading.
fn is_malformed_body(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::InvalidData)
}

/// The status code for a failure; `None` if the client is gone.
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
