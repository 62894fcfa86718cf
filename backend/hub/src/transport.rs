//! The transport of a connection: frames in, frames out.

use std::borrow::Cow;

use bytes::Bytes;
use futures::{Sink, Stream};

/// A frame from the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A text frame; parsed as JSON, which also checks that it is UTF-8.
    Text(Bytes),
    /// A binary frame; the protocol has none.
    Binary,
    /// A ping; the transport answers it.
    Ping,
    /// The answer to our ping.
    Pong,
    /// The peer closes. The stream ends next.
    Close,
}

/// A frame to the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// JSON.
    Text(String),
    /// Answered by a pong.
    Ping,
    /// Close frame; nothing follows.
    Close {
        /// As `backend_protocol::live::close`.
        code: u16,
        /// Human-readable, at most 123 bytes (RFC 6455 section 5.5).
        reason: Cow<'static, str>,
    },
}

impl Outgoing {
    /// Bytes counted against the queue limit.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Ping | Self::Close { .. } => 0,
        }
    }
}

/// Why a transport failed.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The peer violated the protocol: a frame too large, or text that is not UTF-8.
    #[error("the peer sent a malformed frame: {0}")]
    Malformed(String),
    /// The connection is gone.
    #[error("the connection was lost: {0}")]
    Lost(String),
}

/// A bidirectional connection of frames, polled from one task.
pub trait Transport:
    Stream<Item = Result<Incoming, TransportError>>
    + Sink<Outgoing, Error = TransportError>
    + Unpin
    + Send
{
}

impl<T> Transport for T where
    T: Stream<Item = Result<Incoming, TransportError>>
        + Sink<Outgoing, Error = TransportError>
        + Unpin
        + Send
{
}
