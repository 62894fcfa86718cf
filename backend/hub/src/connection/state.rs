//! The state of one connection.

use std::sync::Arc;

use backend_protocol::id::{ConnectionId, ConversationId, DeviceId};
use backend_protocol::live::ServerFrame;
use backend_store::accounts::CredentialHash;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::drain::Stage;
use crate::lobby::LobbyView;
use crate::presence::Watching;
use crate::roster::{Slot, Subscriptions};
use crate::shared::Shared;
use crate::timers::Timers;
use crate::transport::{Outgoing, Transport};
use crate::wire::Wire;

/// Proof for request handlers: [`Connection::live`] is set.
pub(super) const AFTER_HELLO: &str = "requests before hello are rejected";

/// One connection.
pub(super) struct Connection<T> {
    pub(super) hub: Arc<Shared>,
    pub(super) slot: Slot,
    /// The credential that opened the account.
    pub(super) credential: CredentialHash,
    pub(super) id: ConnectionId,
    pub(super) wire: Wire<T>,
    pub(super) timers: Timers,
    pub(super) stage: watch::Receiver<Stage>,
    /// Set by `hello`; boxed to keep connections without `hello` small.
    pub(super) live: Option<Box<Live>>,
}

/// State of a connection after `hello`.
pub(super) struct Live {
    pub(super) device: DeviceId,
    /// `None` while the broker is unavailable; polling continues.
    pub(super) subscriptions: Option<Subscriptions>,
    /// The last inbox position queued for this peer.
    pub(super) sent: u64,
    /// The inbox may hold more.
    pub(super) behind: bool,
    /// The inbox was read to its end once; only then can the peer be too slow.
    pub(super) caught_up: bool,
    /// Since when events wait because the queue is full.
    pub(super) lagging: Option<Instant>,
    /// The people whose presence this connection watches.
    pub(super) watching: Option<Watching>,
    pub(super) lobby: Option<LobbyView>,
    /// Last conversation with a typing notice, and when it was sent; more within a moment are
    /// dropped.
    pub(super) typing: Option<(ConversationId, Instant)>,
}

impl Live {
    /// Since when the peer lags, if it had caught up before.
    pub(super) fn lagging_since(&self) -> Option<Instant> {
        self.lagging.filter(|_| self.caught_up)
    }
}

impl<T: Transport> Connection<T> {
    /// Queues a frame.
    pub(super) fn push(&mut self, frame: &ServerFrame) {
        let kind = match frame {
            ServerFrame::Welcome { .. } => "welcome",
            ServerFrame::Ok { .. } => "ok",
            ServerFrame::Err { .. } => "err",
            ServerFrame::Event { .. } => "event",
            ServerFrame::Notice { .. } => "notice",
            ServerFrame::Bye { .. } => "bye",
        };
        self.hub.metrics.frames_out.with_label_values(&[kind]).inc();
        self.wire.push(text(frame));
    }
}

/// A frame as sent over the wire.
pub(super) fn text(frame: &ServerFrame) -> Outgoing {
    Outgoing::Text(serde_json::to_string(frame).expect("frames are structs of strings and numbers"))
}
