//! The reusable part of a connection to a target: it outlives the request and waits among the
//! target's idle connections.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::AsyncWrite as _;
use tokio::time::{Instant, Sleep, sleep_until};

use super::stream::UpstreamStream;

/// The stream, its write buffer and its timer.
#[derive(Debug)]
pub(super) struct TargetConnection {
    pub(super) stream: UpstreamStream,
    /// Write buffer, sent when it is flushed or full: a chunk's size, data and end go out together.
    pub(super) unsent: BytesMut,
    pub(super) timer: Option<Pin<Box<Sleep>>>,
}

impl TargetConnection {
    pub(super) fn new(stream: UpstreamStream) -> Self {
        Self { stream, unsent: BytesMut::new(), timer: None }
    }

    /// Whether it can be reused; tries to read one byte.
    pub(super) fn probe_quiet(&self) -> bool {
        self.unsent.is_empty() && self.stream.probe_quiet()
    }

    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unsent))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Wakes the task at `at` or earlier; ready once the timer has fired.
    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        // Resetting a timer is expensive, an extra wake-up is not: a timer that fires earlier is
        // left alone.
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx)
    }
}
