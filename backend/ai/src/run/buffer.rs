//! Model output that is not written yet; bounded by the output limit.

use std::sync::{Mutex, MutexGuard, PoisonError};

use backend_protocol::api::Usage;
use backend_protocol::run::{Delta, RunEvent};
use tokio_util::sync::CancellationToken;

use crate::provider::Piece;

/// The buffer between the reader and the writer of one run.
pub(super) struct Buffer {
    content: Mutex<Content>,
    changed: tokio::sync::Notify,
    closed: CancellationToken,
    max_bytes: usize,
}

struct Content {
    /// Events to write; adjacent deltas are merged.
    events: Vec<RunEvent>,
    /// The whole answer so far.
    text: String,
    /// Bytes of text and reasoning.
    bytes: usize,
    usage: Usage,
}

impl Buffer {
    pub(super) fn new(events: Vec<RunEvent>, max_bytes: usize) -> Self {
        let content = Content { events, text: String::new(), bytes: 0, usage: Usage::default() };
        Self {
            content: Mutex::new(content),
            changed: tokio::sync::Notify::new(),
            closed: CancellationToken::new(),
            max_bytes,
        }
    }

    /// Adds a piece; false once the answer has reached its limit.
    pub(super) fn push(&self, piece: Piece) -> bool {
        let mut content = self.content();
        match piece {
            Piece::Text(text) => {
                let text = beginning(text, self.max_bytes.saturating_sub(content.bytes));
                content.bytes += text.len();
                content.text.push_str(&text);
                match content.events.last_mut() {
                    Some(RunEvent::Text(delta)) => delta.text.push_str(&text),
                    _ => content.events.push(RunEvent::Text(Delta { text })),
                }
            }
            Piece::Reasoning(text) => {
                let text = beginning(text, self.max_bytes.saturating_sub(content.bytes));
                content.bytes += text.len();
                match content.events.last_mut() {
                    Some(RunEvent::Reasoning(delta)) => delta.text.push_str(&text),
                    _ => content.events.push(RunEvent::Reasoning(Delta { text })),
                }
            }
            Piece::Usage(usage) => {
                content.usage = usage;
                // Some servers send usage after every token: only the latest counts.
                content.events.retain(|event| !matches!(event, RunEvent::Usage(_)));
                content.events.push(RunEvent::Usage(usage));
            }
        }
        let more = content.bytes < self.max_bytes;
        drop(content);
        self.changed.notify_one();
        more
    }

    /// The events to write, and whether the buffer was closed.
    pub(super) fn take(&self) -> (Vec<RunEvent>, bool) {
        // Read before taking the events: everything pushed before the close is included.
        let closed = self.closed.is_cancelled();
        (std::mem::take(&mut self.content().events), closed)
    }

    /// Closes the buffer: nothing more is pushed.
    pub(super) fn close(&self) {
        self.closed.cancel();
        self.changed.notify_one();
    }

    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    pub(super) fn text(&self) -> String {
        self.content().text.clone()
    }

    pub(super) fn usage(&self) -> Usage {
        self.content().usage
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first `max_bytes` bytes, cut between two characters.
fn beginning(mut text: String, max_bytes: usize) -> String {
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.into())
    }

    #[test]
    fn adjacent_deltas_are_merged() {
        let buffer = Buffer::new(Vec::new(), 100);
        for word in ["one ", "two ", "three"] {
            assert!(buffer.push(text(word)));
        }
        let (events, closed) = buffer.take();
        assert_eq!(events, [RunEvent::Text(Delta { text: "one two three".into() })]);
        assert!(!closed);
        assert_eq!(buffer.take().0, []);
    }

    #[test]
    fn the_answer_is_cut_at_the_limit_between_two_characters() {
        let buffer = Buffer::new(Vec::new(), 4);
        assert!(buffer.push(text("äx")));
        assert!(buffer.push(text("äö")), "one byte is left");
        assert_eq!(buffer.text(), "äx");
        assert!(!buffer.push(text("yz")));
        assert_eq!(buffer.text(), "äxy");
    }

    #[test]
    fn everything_pushed_before_the_close_is_taken() {
        let buffer = Buffer::new(Vec::new(), 100);
        buffer.push(text("last"));
        buffer.close();
        let (events, closed) = buffer.take();
        assert!(closed && events.len() == 1);
    }
}
