//! The send queue of one peer, bounded in bytes, and the polling of both directions from one task.

use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::time::Instant;

use crate::transport::{Incoming, Outgoing, Transport, TransportError};

/// A transport and its send queue.
pub(crate) struct Wire<T> {
    transport: T,
    queue: VecDeque<Outgoing>,
    bytes: usize,
    limit: usize,
    /// Data was handed to the transport and is not flushed.
    unflushed: bool,
    /// Since when the peer has accepted no data while some is pending.
    stalled: Option<Instant>,
    /// When the latest ping left the queue, until `take_ping`.
    pinged: Option<Instant>,
}

/// An event of the transport.
pub(crate) enum Step {
    /// A frame arrived.
    Received(Incoming),
    /// The peer closed its side.
    Ended,
    /// The transport failed.
    Failed(TransportError),
    /// Frames left the queue, or the peer stalled: recompute deadlines.
    Moved,
}

impl<T: Transport> Wire<T> {
    pub(crate) fn new(transport: T, limit: usize) -> Self {
        let queue = VecDeque::new();
        Self { transport, queue, bytes: 0, limit, unflushed: false, stalled: None, pinged: None }
    }

    /// Queues a frame. Producers check for room first; responses may exceed the limit slightly.
    pub(crate) fn push(&mut self, frame: Outgoing) {
        self.bytes += frame.weight();
        self.queue.push_back(frame);
    }

    /// True while producers may queue more.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < self.limit
    }

    /// True while notices may be queued: they get a quarter of the queue, so that they never
    /// displace events.
    pub(crate) fn has_room_for_notices(&self) -> bool {
        self.bytes < self.limit / 4
    }

    /// When the peer must have accepted data.
    pub(crate) fn deadline(&self, patience: Duration) -> Option<Instant> {
        self.stalled.map(|since| since + patience)
    }

    /// Extends the deadline, because this side did not write.
    pub(crate) fn extend(&mut self, by: Duration) {
        if let Some(since) = &mut self.stalled {
            *since += by;
        }
    }

    /// When the latest ping was written; returned once.
    pub(crate) fn take_ping(&mut self) -> Option<Instant> {
        self.pinged.take()
    }

    /// Drops all queued frames.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }

    /// Writes what the peer accepts; reads one frame when `reading`.
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

    /// True when deadlines or producers have to be updated.
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
