//! A connection to a target as Pingora uses it for one request: it enforces the timeouts, and
//! returns to the target's idle connections after the response.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::call::{Call, Stage};
use super::target_connection::TargetConnection;

/// A connection while it serves a request.
#[derive(Debug)]
pub(super) struct Connection {
    inner: Option<TargetConnection>,
    call: Arc<Call>,
    /// What it is waiting for, and since when.
    waits: (Stage, Instant),
}

/// Maximum size of the write buffer, in bytes.
const UNSENT_MAX: usize = 16 * 1024;

impl Connection {
    pub(super) fn new(inner: TargetConnection, call: Arc<Call>) -> Self {
        Self { inner: Some(inner), call, waits: (Stage::Nothing, Instant::now()) }
    }

    /// Called when no byte could be read or written: returns an error after the stage's timeout.
    fn poll_patience(&mut self, cx: &mut Context<'_>, stage: Stage) -> Poll<io::Error> {
        let Some(inner) = &mut self.inner else { return Poll::Pending };
        let now = Instant::now();
        if self.waits.0 != stage {
            self.waits = (stage, now);
        }
        let until = later(self.waits.1, self.call.limit(stage));
        if now >= until {
            return Poll::Ready(self.call.give_up(stage));
        }
        // The stage can change without another poll, so the timer is set for the shortest timeout
        // that may follow.
        let mut at = until.min(later(now, self.call.shortest()));
        while inner.poll_timer(cx, at).is_ready() {
            let now = Instant::now();
            if now >= until {
                return Poll::Ready(self.call.give_up(stage));
            }
            at = until.min(later(now, self.call.shortest()));
            if let Some(timer) = &mut inner.timer {
                timer.as_mut().reset(at);
            }
        }
        Poll::Pending
    }

    fn progressed(&mut self) {
        self.waits.0 = Stage::Nothing;
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(Ok(())) };
        match inner.poll_send(cx) {
            Poll::Pending => self.poll_patience(cx, Stage::Room).map(Err),
            Poll::Ready(sent) => {
                self.progressed();
                Poll::Ready(sent)
            }
        }
    }
}

/// Limits durations from the configuration, so that the addition cannot overflow.
fn later(since: Instant, duration: Duration) -> Instant {
    const FOREVER: Duration = Duration::from_secs(30 * 365 * 86400);
    since + duration.min(FOREVER)
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // After the response, Pingora reads to find out whether it can keep the connection. It
        // gets the end of the stream.
        if this.call.is_over() {
            if let Some(inner) = this.inner.take() {
                this.call.hand_back(inner);
            }
            return Poll::Ready(Ok(()));
        }
        let Some(inner) = &mut this.inner else { return Poll::Ready(Ok(())) };
        let before = buffer.filled().len();
        let mut limited = (&mut inner.stream).take(this.call.holding().piece_max() as u64);
        match Pin::new(&mut limited).poll_read(cx, buffer) {
            Poll::Pending => {
                let stage = this.call.stage();
                this.poll_patience(cx, stage).map(Err)
            }
            Poll::Ready(read) => {
                this.call.holding().read(buffer.filled().len().saturating_sub(before));
                // Parts of the head do not extend the timeout for the head.
                if this.waits.0 == Stage::Answer {
                    this.progressed();
                }
                Poll::Ready(read)
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        if inner.unsent.len() + bytes.len() <= UNSENT_MAX {
            inner.unsent.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(this.poll_send(cx))?;
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        match Pin::new(&mut inner.stream).poll_write(cx, bytes) {
            Poll::Pending => this.poll_patience(cx, Stage::Room).map(Err),
            Poll::Ready(written) => {
                this.progressed();
                Poll::Ready(written)
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        match this.inner.take() {
            Some(mut inner) => Pin::new(&mut inner.stream).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl VirtualSocket for Connection {
    /// No effect: the options were set on connect.
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}
