//! Durable events, pulled from the inbox in order while the queue has room. None is left out: a
//! gap between positions is a message that has expired.

use backend_protocol::live::{InboxEvent, ServerFrame, close};
use backend_store::mailboxes::InboxPage;
use tokio::time::Instant;

use super::closing::End;
use super::notices::SOON;
use super::state::{AFTER_HELLO, Connection};
use crate::timers::jittered;
use crate::transport::Transport;

/// Events per read: few enough that a queue with room does not grow far beyond its limit.
const PAGE: usize = 16;

/// The account's own set of devices changed, so this device may be gone.
type DevicesChanged = bool;

impl<T: Transport> Connection<T> {
    /// Queues events while there are any and the queue has room.
    pub(super) async fn fill_events(&mut self) -> Result<(), End> {
        loop {
            let Some(live) = self.live.as_deref_mut() else { return Ok(()) };
            if !live.behind {
                live.lagging = None;
                return Ok(());
            }
            if !self.wire.has_room() {
                live.lagging.get_or_insert_with(Instant::now);
                return Ok(());
            }
            live.lagging = None;
            if let Some(subscriptions) = &mut live.subscriptions {
                subscriptions.discard_wakes();
            }
            match self.hub.store.inbox(self.slot.account(), live.sent, PAGE).await {
                Ok(page) => {
                    self.timers.poll = Some(Instant::now() + jittered(self.hub.settings.poll));
                    if self.queue(page)? {
                        self.check_device().await?;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot read an inbox, retrying");
                    live.behind = false;
                    self.poll_inbox_soon();
                }
            }
        }
    }

    fn queue(&mut self, page: InboxPage) -> Result<DevicesChanged, End> {
        let InboxPage { events, first, head } = page;
        let sent = self.live.as_deref().expect(AFTER_HELLO).sent;
        if head < sent || (head > sent && first > sent + 1) {
            return Err(End::because(close::POSITION_LOST, "events were missed: sync by pages"));
        }
        let full = events.len() >= PAGE;
        let mut devices_changed = false;
        for (position, event) in events {
            let live = self.live.as_deref_mut().expect(AFTER_HELLO);
            if position <= live.sent {
                continue;
            }
            live.sent = position;
            devices_changed |= matches!(&event, InboxEvent::KeyChange { account } if account == self.slot.account());
            self.hub.metrics.events.inc();
            self.push(&ServerFrame::Event { position, event });
        }
        let live = self.live.as_deref_mut().expect(AFTER_HELLO);
        if !full {
            // What follows the last event has expired.
            live.sent = head;
        }
        live.behind = live.sent < head;
        live.caught_up |= !live.behind;
        Ok(devices_changed)
    }

    /// Closes the connection when its device was removed.
    async fn check_device(&mut self) -> Result<(), End> {
        // A credential may have been revoked with another device: check it next.
        self.timers.credential = Some(Instant::now());
        match self.device_is_registered().await {
            Ok(false) => Err(End::because(close::REVOKED, "this device was removed")),
            // When the store is unavailable, the next hello of this device is rejected.
            Ok(true) | Err(_) => Ok(()),
        }
    }

    /// Polls the inbox, and subscribes again if the broker closed the subscription.
    pub(super) async fn poll_inbox(&mut self) {
        self.timers.poll = Some(Instant::now() + jittered(self.hub.settings.poll));
        let Some(live) = self.live.as_deref_mut() else { return };
        if live.subscriptions.is_none() {
            live.subscriptions = self.slot.subscribe(&*self.hub.store).await.ok();
        }
        live.behind = true;
    }

    /// Polls again shortly, after a failure.
    pub(super) fn poll_inbox_soon(&mut self) {
        let soon = self.hub.settings.poll.min(SOON);
        self.timers.poll = Some(Instant::now() + jittered(soon));
    }
}
