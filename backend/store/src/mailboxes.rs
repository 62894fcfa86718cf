//! Private messages: a log for each conversation and a durable inbox for each account.

use async_trait::async_trait;
use backend_protocol::api::{Conversation, PrivateMessage};
use backend_protocol::envelope::Envelope;
use backend_protocol::id::{AccountId, ClientMessageId, ConversationId, DeviceId};
use backend_protocol::live::InboxEvent;

use crate::error::Result;

/// A private message to be written.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Who sends.
    pub sender: AccountId,
    /// From which device.
    pub device: DeviceId,
    /// To whom.
    pub recipient: AccountId,
    /// The sender's name for it.
    pub cid: ClientMessageId,
    /// What only the two people can read.
    pub envelope: Envelope,
}

/// Where a message was written: the same for every retry of the same `cid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its number there, from 1, without gaps.
    pub seq: u64,
    /// RFC 3339, UTC.
    pub at: String,
}

/// Part of an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxPage {
    /// Position (from 1, without gaps) and event, in order.
    pub events: Vec<(u64, InboxEvent)>,
    /// The oldest position kept; `head + 1` when nothing is kept.
    pub first: u64,
    /// The newest position ever given; 0 for a new inbox.
    pub head: u64,
}

/// A page of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Oldest first.
    pub messages: Vec<PrivateMessage>,
    /// True when older ones are kept.
    pub more: bool,
}

/// Conversations and inboxes.
#[async_trait]
pub trait Mailboxes: Send + Sync {
    /// Writes a message to the conversation and to the inboxes of both people, idempotent by
    /// conversation, sender and `cid`, and wakes both (`Topic::Inbox`). Once this returns, any node
    /// may die and the message is still delivered. `None` when the recipient does not exist.
    async fn deliver(&self, delivery: &Delivery) -> Result<Option<Delivered>>;

    /// Appends one event to one inbox and wakes it; its position. A retry after an error may append
    /// it twice.
    async fn append_event(&self, account: &AccountId, event: &InboxEvent) -> Result<u64>;

    /// Events after position `after`, at most `limit`.
    async fn inbox(&self, account: &AccountId, after: u64, limit: usize) -> Result<InboxPage>;

    /// The account's devices hold everything up to this inbox position: each sender concerned gets
    /// a `Receipt{state: received}`, once per advance. Never goes back.
    async fn mark_received(&self, account: &AccountId, upto: u64) -> Result<()>;

    /// The person has read up to this `seq`: the other one and the person's own other devices get a
    /// `Receipt{state: read}`. Never goes back; not beyond the last message. False when the account
    /// is not a member.
    async fn mark_read(
        &self,
        account: &AccountId,
        conversation: &ConversationId,
        upto: u64,
    ) -> Result<bool>;

    /// The account's conversations, latest first. A person without a username has an empty one.
    async fn conversations(&self, account: &AccountId) -> Result<Vec<Conversation>>;

    /// At most `limit` messages before `before` (or the latest); `None` when the account is not a
    /// member.
    async fn conversation_page(
        &self,
        account: &AccountId,
        conversation: &ConversationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Option<Page>>;
}
