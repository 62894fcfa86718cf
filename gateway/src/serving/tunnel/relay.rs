//! Copies both directions of a WebSocket. Between two messages nothing is held but the two
//! connections themselves: what is read lands in a buffer of the thread's, and only what the other
//! side does not take at once is kept.

// Numbers here come from peers: arithmetic on them is checked or saturates.
#![warn(clippy::arithmetic_side_effects)]

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use prometheus::IntCounter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::Session;
use crate::metrics::RouteMetrics;
use crate::serving::snapshot::Route;
use crate::serving::stream::{ClientStream, Transport};
use crate::serving::upstream::{Admission, Attempt, UpstreamStream};

/// Most bytes that move at once: one TLS record.
const SCRATCH: usize = 16 * 1024;
/// Once one side has ended, the other has this long to end.
const FAREWELL: Duration = Duration::from_secs(10);

thread_local! {
    /// Lives while bytes move in one direction of one WebSocket, never longer than one poll.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// An open WebSocket.
pub(crate) struct Relay {
    client: Transport,
    upstream: UpstreamStream,
    to_upstream: Direction,
    to_client: Direction,
    idle: Duration,
    last_moved: Instant,
    metrics: Arc<RouteMetrics>,
    session: Session,
    _held: (Admission, Attempt),
}

/// One direction.
#[derive(Debug, Default)]
struct Direction {
    /// Read, and not yet taken by the other side.
    held: Bytes,
    moved: u64,
    flushed: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The reader has ended; the writer is to be closed.
    Ending,
    Ended,
}

impl Relay {
    /// A tunnel whose first bytes to the client are the `answer` to its handshake and what followed
    /// it. `held` is held for as long as the tunnel is open.
    pub(super) fn new(
        client: ClientStream,
        upstream: UpstreamStream,
        mut answer: Vec<u8>,
        rest: &[u8],
        route: &Arc<Route>,
        held: (Admission, Attempt),
        session: Session,
    ) -> Box<Self> {
        let (client, ahead) = client.into_parts();
        answer.extend_from_slice(rest);
        let metrics = Arc::clone(&route.metrics);
        metrics.websockets_open.inc();
        metrics.websockets.inc();
        Box::new(Self {
            client,
            upstream,
            to_upstream: Direction { held: Bytes::copy_from_slice(&ahead), ..Direction::default() },
            to_client: Direction { held: answer.into(), ..Direction::default() },
            idle: route.config.timeouts.websocket_idle,
            last_moved: Instant::now(),
            metrics,
            session,
            _held: held,
        })
    }

    /// Relays until both sides have ended, one of them failed, or both were silent for too long.
    pub(crate) async fn run(mut self: Box<Self>) {
        let mut timer = Box::pin(tokio::time::sleep(self.idle));
        let ended = poll_fn(|cx| self.poll(cx, timer.as_mut())).await;
        if let Err(error) = ended {
            tracing::debug!(%error, "WebSocket ended");
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, timer: Pin<&mut Sleep>) -> Poll<io::Result<()>> {
        let before = self.progress();
        match BUFFER.with_borrow_mut(|buffer| self.poll_both(cx, buffer)) {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(())) => return Poll::Ready(Ok(())),
            Err(error) => return Poll::Ready(Err(error)),
        }
        if before != self.progress() {
            self.last_moved = Instant::now();
        }
        self.poll_idle(cx, timer)
    }

    fn poll_both(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> io::Result<Poll<()>> {
        let (client, upstream) = (&mut self.client, &mut self.upstream);
        let (bytes_in, bytes_out) =
            (&self.metrics.websocket_bytes_in, &self.metrics.websocket_bytes_out);
        let up = self.to_upstream.poll(cx, client, upstream, buffer, bytes_in)?;
        let down = self.to_client.poll(cx, upstream, client, buffer, bytes_out)?;
        let ended = up.is_ready() && down.is_ready();
        Ok(if ended { Poll::Ready(()) } else { Poll::Pending })
    }

    /// What changes when bytes move or a side ends.
    fn progress(&self) -> (u64, u64, State, State) {
        let (up, down) = (&self.to_upstream, &self.to_client);
        (up.moved, down.moved, up.state, down.state)
    }

    /// Fails when nothing has moved for too long.
    fn poll_idle(
        &mut self,
        cx: &mut Context<'_>,
        mut timer: Pin<&mut Sleep>,
    ) -> Poll<io::Result<()>> {
        let ending = self.to_upstream.state != State::Open || self.to_client.state != State::Open;
        if ending && self.idle > FAREWELL {
            self.idle = FAREWELL;
            timer.as_mut().reset(later(self.last_moved, FAREWELL));
        }
        // The timer is reset when it fires, not on each message: most messages never touch it.
        while timer.as_mut().poll(cx).is_ready() {
            let until = later(self.last_moved, self.idle);
            if until <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            timer.as_mut().reset(until);
        }
        Poll::Pending
    }
}

/// Durations come from the configuration; one that no clock can count has passed.
fn later(since: Instant, duration: Duration) -> Instant {
    since.checked_add(duration).unwrap_or(since)
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.metrics.websockets_open.dec();
        self.session.finish(101, self.to_client.moved);
    }
}

impl Direction {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        buffer: &mut [u8],
        counter: &IntCounter,
    ) -> io::Result<Poll<()>> {
        match self.poll_move(cx, reader, writer, buffer, counter) {
            Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => {
                // TLS may have taken bytes that the socket did not: they need another push, and
                // its wake-up.
                if !self.flushed
                    && let Poll::Ready(flushed) = Pin::new(writer).poll_flush(cx)
                {
                    flushed?;
                    self.flushed = true;
                }
                Ok(Poll::Pending)
            }
        }
    }

    fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        buffer: &mut [u8],
        counter: &IntCounter,
    ) -> Poll<io::Result<()>> {
        loop {
            while !self.held.is_empty() {
                self.flushed = false;
                let written = ready!(Pin::new(&mut *writer).poll_write(cx, &self.held))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.held.advance(written);
                if self.held.is_empty() {
                    self.held = Bytes::new();
                }
            }
            match self.state {
                State::Ended => return Poll::Ready(Ok(())),
                State::Ending => {
                    ready!(Pin::new(&mut *writer).poll_shutdown(cx))?;
                    self.state = State::Ended;
                    self.flushed = true;
                    return Poll::Ready(Ok(()));
                }
                State::Open => {}
            }
            let mut read = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *reader).poll_read(cx, &mut read))?;
            let mut rest = read.filled();
            if rest.is_empty() {
                self.state = State::Ending;
                continue;
            }
            self.moved = self.moved.saturating_add(rest.len() as u64);
            counter.inc_by(rest.len() as u64);
            self.flushed = false;
            while !rest.is_empty() {
                match Pin::new(&mut *writer).poll_write(cx, rest) {
                    Poll::Ready(written) => match written? {
                        0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                        written => rest.advance(written),
                    },
                    Poll::Pending => {
                        self.held = Bytes::copy_from_slice(rest);
                        rest = &[];
                    }
                }
            }
        }
    }
}
