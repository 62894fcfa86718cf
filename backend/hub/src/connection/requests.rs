//! Requests of a client, one function each. A response is queued before the next frame is read.

use std::time::Duration;

use backend_protocol::envelope::Envelope;
use backend_protocol::id::{AccountId, ClientMessageId, ConversationId};
use backend_protocol::limits::{LIFETIMES, MAX_FRAME, MAX_WATCHED};
use backend_protocol::live::{ErrorCode, Notice, Request, Sent, ServerFrame};
use backend_store::broker::Topic;
use backend_store::mailboxes::{Delivered, Delivery, Undelivered};
use tokio::time::Instant;

use super::notices::payload;
use super::refusal::Refusal;
use super::state::{AFTER_HELLO, Connection};
use crate::transport::Transport;

/// Bytes that the server adds around a message; the recipient's copy must still fit into one frame.
const ROOM_AROUND: usize = 1024;

/// Minimum time between two typing notices in one conversation.
const TYPING: Duration = Duration::from_secs(2);

/// The metric label.
pub(super) fn kind(request: &Request) -> &'static str {
    match request {
        Request::Hello { .. } => "hello",
        Request::Send { .. } => "send",
        Request::Received { .. } => "received",
        Request::Read { .. } => "read",
        Request::Typing { .. } => "typing",
        Request::Watch { .. } => "watch",
        Request::Lobby { .. } => "lobby",
    }
}

impl<T: Transport> Connection<T> {
    /// Handles one request of `size` bytes and queues its response.
    pub(super) async fn answer(&mut self, id: u64, request: Request, size: usize) {
        let outcome = match request {
            Request::Hello { device, resume } => {
                // The response is the welcome.
                if let Err(refusal) = self.hello(id, device, resume).await {
                    if self.live.is_none()
                        && let Some(retry) = refusal.retry()
                    {
                        // The client has sent its hello: it may retry.
                        self.timers.hello = Some(Instant::now() + retry + self.hub.settings.hello);
                    }
                    self.refuse(id, refusal);
                }
                return;
            }
            _ if self.live.is_none() => {
                Err(Refusal::of(ErrorCode::OutOfOrder, "hello must come first"))
            }
            Request::Send { .. } if size > MAX_FRAME - ROOM_AROUND => {
                Err(Refusal::invalid("a message must fit into a frame of 63 KiB"))
            }
            Request::Send { to, cid, lifetime, envelope } => {
                self.send(to, cid, lifetime, envelope).await.map(Some)
            }
            Request::Received { upto } => self.received(upto).await.map(|()| None),
            Request::Read { conversation, upto } => {
                self.read(&conversation, upto).await.map(|()| None)
            }
            Request::Typing { conversation } => self.typing(conversation).await.map(|()| None),
            Request::Watch { users } => self.watch(users).await.map(|()| None),
            Request::Lobby { on } => self.lobby(on).await.map(|()| None),
        };
        match outcome {
            Ok(sent) => self.push(&ServerFrame::Ok { id, sent }),
            Err(refusal) => self.refuse(id, refusal),
        }
    }

    pub(super) fn refuse(&mut self, id: u64, refusal: Refusal) {
        self.hub.metrics.refusals.with_label_values(&[refusal.label()]).inc();
        self.push(&refusal.frame(id));
    }

    async fn send(
        &mut self,
        to: AccountId,
        cid: ClientMessageId,
        lifetime: Option<u32>,
        envelope: Envelope,
    ) -> Result<Sent, Refusal> {
        envelope.check().map_err(Refusal::invalid)?;
        let lifetime = checked_lifetime(lifetime)?;
        let live = self.live.as_deref().expect(AFTER_HELLO);
        let (sender, device) = (self.slot.account().clone(), live.device.clone());
        let delivery = Delivery { sender, device, recipient: to, cid, lifetime, envelope };
        let timer = self.hub.metrics.send_seconds.start_timer();
        let delivered = self.hub.store.deliver(&delivery).await?;
        timer.observe_duration();
        let Delivered { conversation, seq, at } = delivered.map_err(undelivered)?;
        Ok(Sent { conversation, seq, at })
    }

    async fn received(&mut self, upto: u64) -> Result<(), Refusal> {
        if upto > self.live.as_deref().expect(AFTER_HELLO).sent {
            return Err(Refusal::invalid("upto must be the position of an event that was sent"));
        }
        Ok(self.hub.store.mark_received(self.slot.account(), upto).await?)
    }

    async fn read(&mut self, conversation: &ConversationId, upto: u64) -> Result<(), Refusal> {
        let account = self.slot.account();
        let upto = upto.min(i64::MAX as u64);
        let member = self.hub.store.mark_read(account, conversation, upto).await?;
        if member { Ok(()) } else { Err(not_found()) }
    }

    async fn typing(&mut self, conversation: ConversationId) -> Result<(), Refusal> {
        let account = self.slot.account();
        let peer = conversation.peer_of(account).ok_or_else(not_found)?;
        let now = Instant::now();
        let live = self.live.as_deref_mut().expect(AFTER_HELLO);
        if live
            .typing
            .as_ref()
            .is_some_and(|(last, at)| *last == conversation && now < *at + TYPING)
        {
            return Ok(());
        }
        live.typing = Some((conversation.clone(), now));
        let notice = Notice::Typing { conversation, account: account.clone() };
        Ok(self.hub.store.publish(&Topic::Notice(peer), payload(&notice)).await?)
    }

    async fn watch(&mut self, mut users: Vec<AccountId>) -> Result<(), Refusal> {
        if users.len() > MAX_WATCHED {
            return Err(Refusal::invalid("users must hold at most 500 accounts"));
        }
        users.sort_unstable();
        users.dedup();
        let live = self.live.as_deref_mut().expect(AFTER_HELLO);
        live.watching = None;
        if !users.is_empty() {
            live.watching =
                Some(self.hub.presence.watch(users, &self.hub.maintenance, &self.stage).await?);
        }
        Ok(())
    }
}

/// The lifetime of a message in seconds; `None` when it does not expire.
fn checked_lifetime(asked: Option<u32>) -> Result<Option<u32>, Refusal> {
    match asked {
        None | Some(0) => Ok(None),
        Some(seconds) if LIFETIMES.contains(&seconds) => Ok(Some(seconds)),
        Some(seconds) => {
            let [day, week, month] = LIFETIMES;
            Err(Refusal::invalid(format!(
                "lifetime must be 0, {day}, {week} or {month} seconds, not {seconds}"
            )))
        }
    }
}

fn undelivered(reason: Undelivered) -> Refusal {
    match reason {
        Undelivered::NoRecipient => not_found(),
        Undelivered::CidReused => {
            let message = "another envelope was sent with this cid: send this one with a new cid";
            Refusal::of(ErrorCode::CidReused, message)
        }
    }
}

fn not_found() -> Refusal {
    Refusal::of(ErrorCode::NotFound, "there is no such account or conversation")
}
