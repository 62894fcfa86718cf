//! How a connection ends: the reason, the close frame, and the notices to others.

use std::borrow::Cow;
use std::future::{pending, poll_fn};
use std::time::Duration;

use backend_protocol::live::{Notice, ServerFrame, close};
use backend_store::broker::Topic;
use backend_store::presence::Transition;
use tokio::time::timeout;

use super::notices::{announce, leave_lobby};
use super::state::{Connection, text};
use crate::drain;
use crate::shared::Shared;
use crate::transport::{Incoming, Outgoing, Transport};
use crate::wire::{Step, Wire};

/// Deadline for leaving presence and lobby; without it the entries expire.
const LEAVE: Duration = Duration::from_secs(3);

/// The longest reason of a close frame, in bytes (RFC 6455 section 5.5).
const MAX_REASON: usize = 123;

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The peer closed.
    Peer,
    /// The transport failed.
    Lost,
    /// The transport cannot read on: the peer violated the protocol.
    Malformed(String),
    /// The drain deadline has passed.
    Aborted,
    /// This side closes.
    Close { code: u16, reason: Cow<'static, str> },
}

impl End {
    pub(super) fn because(code: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Close { code, reason: reason.into() }
    }

    pub(super) fn drained() -> Self {
        Self::because(close::DRAIN, "the server restarts; reconnect")
    }

    fn label(&self) -> String {
        match self {
            Self::Peer => "peer".to_owned(),
            Self::Lost => "lost".to_owned(),
            Self::Aborted => "aborted".to_owned(),
            Self::Malformed(_) => close::BAD_FRAME.to_string(),
            Self::Close { code, .. } => code.to_string(),
        }
    }
}

impl<T: Transport> Connection<T> {
    /// Closes the transport and leaves presence and lobby, at the same time.
    pub(super) async fn finish(mut self, end: &End) {
        let live = self.live.take();
        let account = self.slot.account();
        let hub = &self.hub;
        let leave = async {
            let Some(live) = live else { return };
            let visible = live.lobby.is_some();
            drop(live);
            let in_lobby = async {
                if visible {
                    leave_lobby(hub, account, &self.id).await?;
                }
                Ok::<_, backend_store::StoreError>(())
            };
            let present = async {
                if hub.store.depart(account, &self.id).await? == Transition::Left {
                    let notice = Notice::Presence { account: account.clone(), online: false };
                    announce(hub, &Topic::Presence(account.clone()), &notice).await;
                }
                Ok::<_, backend_store::StoreError>(())
            };
            if !matches!(
                timeout(LEAVE, async { futures::try_join!(in_lobby, present) }).await,
                Ok(Ok(_))
            ) {
                tracing::debug!(%account, "cannot leave presence; it expires");
            }
        };
        tokio::join!(leave, close(hub, &mut self.wire, end));
    }
}

/// Sends the close frame and waits for the peer's.
pub(super) async fn close<T: Transport>(hub: &Shared, wire: &mut Wire<T>, end: &End) {
    hub.metrics.closes.with_label_values(&[end.label().as_str()]).inc();
    match end {
        End::Close { code, reason } => {
            if *code == close::SLOW {
                wire.clear();
            }
            if *code < 4500 {
                wire.push(text(&ServerFrame::Bye {
                    code: *code,
                    retry_after: drain::retry_after(*code),
                }));
            }
            wire.push(Outgoing::Close { code: *code, reason: shortened(reason) });
        }
        End::Malformed(what) => {
            wire.push(Outgoing::Close { code: close::BAD_FRAME, reason: shortened(what) });
            // Unread bytes are left: closing at once would reset the connection before the peer
            // reads the reason.
            let _ = timeout(hub.settings.linger, async {
                ended(wire).await;
                pending::<()>().await
            })
            .await;
            return;
        }
        // The transport answers the close frame when polled.
        End::Peer => {}
        End::Lost | End::Aborted => return,
    }
    let _ = timeout(hub.settings.linger, ended(wire)).await;
}

/// Polls until the peer has closed its side.
async fn ended<T: Transport>(wire: &mut Wire<T>) {
    loop {
        match poll_fn(|cx| wire.poll(cx, true)).await {
            Step::Ended | Step::Failed(_) | Step::Received(Incoming::Close) => return,
            Step::Received(_) | Step::Moved => {}
        }
    }
}

/// Cut to the length of a close reason.
fn shortened(reason: &str) -> Cow<'static, str> {
    let mut short = reason.to_owned();
    short.truncate(reason.floor_char_boundary(MAX_REASON));
    Cow::Owned(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_into_a_close_frame() {
        assert_eq!(shortened("short"), "short");
        let long = shortened(&"ä".repeat(100));
        assert_eq!(long, "ä".repeat(61));
    }
}
