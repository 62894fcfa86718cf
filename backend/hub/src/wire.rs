//! The queue towards one peer, bounded in bytes, and the polling of both directions from one task.

use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::time::Instant;

use crate::transport::{Incoming, Outgoing, Transport, TransportError};

/// A transport and what waits to be written to it.
pub(crate) struct Wire<T> {
    transport: T,
    queue: VecDeque<Outgoing>,
    bytes: usize,
    limit: usize,
    /// Something was handed to the transport and is not flushed yet.
    unflushed: bool,
    /// Since when the peer has taken nothing, while something waits.
    stalled: Option<Instant>,
    /// When the latest ping left the queue, until somebody asks.
    pinged: Option<Instant>,
}

/// What happened on the wire.
pub(crate) enum Step {
    /// A frame came.
    Received(Incoming),
    /// The peer's side ended.
    Ended,
    /// The transport failed.
    Failed(TransportError),
    /// Frames left the queue, or the peer began to stall: deadlines have to be computed again.
    Moved,
}

impl<T: Transport> Wire<T> {
    pub(crate) fn new(transport: T, limit: usize) -> Self {
        let queue = VecDeque::new();
        Self { transport, queue, bytes: 0, limit, unflushed: false, stalled: None, pinged: None }
    }

    /// Queues a frame. Callers that produce by themselves look for room first; answers may go a
    /// little beyond it.
    pub(crate) fn push(&mut self, frame: Outgoing) {
        self.bytes += frame.weight();
        self.queue.push_back(frame);
    }

    /// True while more may be produced for this peer.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < self.limit
    }

    /// True while what may be dropped or merged has a place: a quarter of the queue, so that it
    /// never displaces events.
    pub(crate) fn has_room_for_notices(&self) -> bool {
        self.bytes < self.limit / 4
    }

    /// When the peer must have taken something at the latest.
    pub(crate) fn deadline(&self, patience: Duration) -> Option<Instant> {
        self.stalled.map(|since| since + patience)
    }

    /// When the latest ping was written, once.
    pub(crate) fn take_ping(&mut self) -> Option<Instant> {
        self.pinged.take()
    }

    /// Forgets what waits: it would come too late.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }

    /// Writes what the peer takes; reads one frame when `reading`.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<Step> {
        match self.poll_write(cx) {
            Ok(true) => return Poll::Ready(Step::Moved),
            Ok(false) => {}
            Err(error) => return Poll::Ready(Step::Failed(error)),
        }
        if !reading {
            return Poll::Pending;
        }
        match self.transport.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Step::Received(frame)),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Step::Failed(error)),
            Poll::Ready(None) => Poll::Ready(Step::Ended),
            Poll::Pending => Poll::Pending,
        }
    }

    /// True when anything changed that deadlines or producers depend on.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<bool, TransportError> {
        let mut moved = false;
        while !self.queue.is_empty() {
            match self.transport.poll_ready_unpin(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => break,
            }
            let Some(frame) = self.queue.pop_front() else { break };
            self.bytes -= frame.weight();
            if frame == Outgoing::Ping {
                self.pinged = Some(Instant::now());
            }
            self.transport.start_send_unpin(frame)?;
            (moved, self.unflushed) = (true, true);
        }
        if self.unflushed
            && let Poll::Ready(flushed) = self.transport.poll_flush_unpin(cx)
        {
            flushed?;
            (moved, self.unflushed) = (true, false);
        }
        let waiting = self.unflushed || !self.queue.is_empty();
        if !waiting {
            self.stalled = None;
            // An idle connection keeps no buffer.
            self.queue.shrink_to(4);
        } else if moved || self.stalled.is_none() {
            self.stalled = Some(Instant::now());
            moved = true;
        }
        Ok(moved)
    }
}
