//! Reads the head of an HTTP/1.1 request into the read-ahead buffer, within deadline and limits.

// Numbers here come from peers: arithmetic on them is checked or saturates.
#![warn(clippy::arithmetic_side_effects)]

use std::time::Duration;

use gateway_config::Limits;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::serving::drain::DrainSignal;
use crate::serving::head::{Head, HeadError, HeadLimits, HeadScanner};
use crate::serving::stream::ClientStream;

/// Why no head was read.
pub(super) enum NoHead {
    /// The client left or was idle too long, or the gateway drains: no response is sent.
    Ended,
    /// The head is incomplete at its deadline.
    Late,
    /// The head is invalid.
    Bad(HeadError),
}

/// Reads a head. `wait` is the timeout for its first byte. The deadline for the whole head starts
/// with that byte.
pub(super) async fn read_head(
    drain: &DrainSignal,
    stream: &mut ClientStream,
    limits: &Limits,
    wait: Duration,
    draining: &mut watch::Receiver<bool>,
) -> Result<Head, NoHead> {
    if stream.ahead().is_empty() {
        stream.rest();
        tokio::select! {
            biased;
            read = tokio::time::timeout(wait, stream.read_ahead()) => match read {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) | Err(_) => return Err(NoHead::Ended),
            },
            // A drain ends connections without a request.
            () = drain.idle_ends(draining) => return Err(NoHead::Ended),
        }
    }
    let now = Instant::now();
    let until = now.checked_add(limits.header_timeout).unwrap_or(now);
    let head_limits =
        HeadLimits { bytes: limits.header_bytes as usize, fields: limits.header_fields as usize };
    // RFC 9112 section 2.2: an empty line before a request line is ignored.
    let mut scanner = HeadScanner::default();
    let mut skipped = false;
    loop {
        if !skipped && stream.ahead().starts_with(b"\r\n") {
            stream.take_ahead(2);
            skipped = true;
        }
        if skipped || stream.ahead() != b"\r" {
            skipped = true;
            if let Some(len) =
                scanner.find_end(stream.ahead(), head_limits.bytes).map_err(NoHead::Bad)?
            {
                let text = stream.ahead().get(..len).unwrap_or_default();
                return Head::parse(text, head_limits).map_err(NoHead::Bad);
            }
        }
        match tokio::time::timeout_at(until, stream.read_ahead()).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => return Err(NoHead::Ended),
            Err(_) => return Err(NoHead::Late),
        }
    }
}
