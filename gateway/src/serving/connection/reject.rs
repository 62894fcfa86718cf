//! Rejects requests before the filters: counts and logs them, sends a response and closes the
//! connection.

use std::time::Instant;

use crate::serving::answer::Answer;
use crate::serving::head::HeadError;
use crate::serving::rate_limits::TooMany;
use crate::serving::shared::Shared;
use crate::serving::stream::ClientStream;

/// Rejects a request after at most its head was read. `reason` is the metric label.
pub(super) async fn reject_head(
    shared: &Shared,
    stream: &mut ClientStream,
    reason: &'static str,
    answer: Answer,
) {
    let (reason, answer) = match count(shared, stream) {
        Ok(()) => (reason, answer),
        Err(too_many) => ("rate_limit", too_many.answer()),
    };
    shared.metrics.request_refused(reason);
    let (client, status) = (stream.facts().client.ip(), answer.status.as_u16());
    shared.snapshot.load().access_log.refused(client, status, reason, answer.line());
    stream.refuse(answer).await;
}

/// Rejects a request whose head did not arrive in time.
pub(super) async fn reject_late(shared: &Shared, stream: &mut ClientStream) {
    let answer = Answer::plain(408, "The request took too long to arrive.");
    reject_head(shared, stream, "head_timeout", answer).await;
}

/// Rejects a request with an invalid head.
pub(super) async fn reject_malformed(shared: &Shared, stream: &mut ClientStream, error: HeadError) {
    let answer = Answer::plain(error.status(), &error.to_string());
    reject_head(shared, stream, "head", answer).await;
}

/// Counts a request for the rate limit of the client's address.
pub(super) fn count(shared: &Shared, stream: &ClientStream) -> Result<(), TooMany> {
    let snapshot = shared.snapshot.load();
    let (client, limits) = (stream.facts().client.ip(), &snapshot.config().limits);
    shared.rate_limits.count(client, limits, Instant::now())
}
