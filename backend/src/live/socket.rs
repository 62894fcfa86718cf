//! An axum WebSocket as the hub's transport.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use backend_hub::{Incoming, Outgoing, TransportError};
use bytes::Bytes;
use futures::{Sink, SinkExt, Stream, StreamExt};
use tungstenite::Error as WsError;
use tungstenite::error::ProtocolError;

/// One WebSocket after its handshake.
pub(super) struct Socket {
    socket: WebSocket,
}

impl Socket {
    pub(super) fn new(socket: WebSocket) -> Self {
        Self { socket }
    }
}

impl Stream for Socket {
    type Item = Result<Incoming, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.socket.poll_next_unpin(cx).map(|next| {
            next.map(|frame| match frame {
                Ok(Message::Text(text)) => Ok(Incoming::Text(text.into())),
                Ok(Message::Binary(_)) => Ok(Incoming::Binary),
                Ok(Message::Ping(_)) => Ok(Incoming::Ping),
                Ok(Message::Pong(_)) => Ok(Incoming::Pong),
                Ok(Message::Close(_)) => Ok(Incoming::Close),
                Err(error) => Err(classify(&error)),
            })
        })
    }
}

impl Sink<Outgoing> for Socket {
    type Error = TransportError;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TransportError>> {
        self.socket.poll_ready_unpin(cx).map_err(|error| classify(&error))
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Outgoing) -> Result<(), TransportError> {
        let message = match frame {
            Outgoing::Text(text) => Message::Text(text.into()),
            Outgoing::Ping => Message::Ping(Bytes::new()),
            Outgoing::Close { code, reason } => {
                Message::Close(Some(CloseFrame { code, reason: reason.as_ref().into() }))
            }
        };
        self.socket.start_send_unpin(message).map_err(|error| classify(&error))
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TransportError>> {
        self.socket.poll_flush_unpin(cx).map_err(|error| classify(&error))
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TransportError>> {
        self.socket.poll_close_unpin(cx).map_err(|error| classify(&error))
    }
}

/// Classifies an error: the peer violated the protocol, or the connection was lost.
fn classify(error: &axum::Error) -> TransportError {
    match error.source().and_then(|source| source.downcast_ref::<WsError>()) {
        Some(WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
            TransportError::Lost(error.to_string())
        }
        Some(
            WsError::Capacity(_) | WsError::Protocol(_) | WsError::Utf8(_) | WsError::AttackAttempt,
        ) => TransportError::Malformed(error.to_string()),
        _ => TransportError::Lost(error.to_string()),
    }
}
