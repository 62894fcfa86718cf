//! Private messages: a log for each conversation and a durable inbox for each account.

use async_trait::async_trait;
use backend_protocol::api::{Conversation, PrivateMessage};
use backend_protocol::envelope::Envelope;
use backend_protocol::id::{AccountId, ClientMessageId, ConversationId, DeviceId};
use backend_protocol::live::InboxEvent;

use crate::error::Result;

/// A private message to deliver.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The sender.
    pub sender: AccountId,
    /// The sending device.
    pub device: DeviceId,
    /// The recipient.
    pub recipient: AccountId,
    /// The sender's id for it.
    pub cid: ClientMessageId,
    /// Seconds after which the message expires; `None` when it is kept until the retention ends. A
    /// retry of the same `cid` does not change it.
    pub lifetime: Option<u32>,
    /// Encrypted for the devices of both people.
    pub envelope: Envelope,
}

/// Where a message was written; the same for every retry of the same `cid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its number in the conversation, from 1, without gaps.
    pub seq: u64,
    /// RFC 3339, UTC.
    pub at: String,
}

/// Why a message was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undelivered {
    /// The recipient does not exist.
    NoRecipient,
    /// The sender has sent another envelope with this `cid`.
    CidReused,
}

/// A page of an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxPage {
    /// Position and event, in order. Positions count from 1. A gap is a message that has expired.
    pub events: Vec<(u64, InboxEvent)>,
    /// The oldest position kept, also when its message has expired; `head + 1` when nothing is
    /// kept.
    pub first: u64,
    /// The newest position ever assigned; 0 for a new inbox.
    pub head: u64,
}

/// A page of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Oldest first. A gap in their numbers is a message that has expired.
    pub messages: Vec<PrivateMessage>,
    /// True when older messages are kept that have not expired.
    pub more: bool,
}

/// Conversations and inboxes.
///
/// A message with a lifetime expires when `at + lifetime` has passed, by the clock of the store.
/// From then on, no method returns it, and its text is erased soon after: by Redis, or by the next
/// [`sweep`](crate::Store::sweep) of the embedded store. Its number and its positions stay
/// assigned, so that receipts, marks and resume positions remain valid.
#[async_trait]
pub trait Mailboxes: Send + Sync {
    /// Writes a message to the conversation and to the inboxes of both people, idempotent by
    /// conversation, sender and `cid`, and wakes both (`Topic::Inbox`). Once this returns, the
    /// message is delivered even if a node dies.
    ///
    /// A retry gets the same answer. The same `cid` with another envelope is rejected while the
    /// first one is stored. After the message has expired there is none to compare with, and every
    /// envelope gets the answer of the first.
    async fn deliver(
        &self,
        delivery: &Delivery,
    ) -> Result<std::result::Result<Delivered, Undelivered>>;

    /// Appends an event other than a message to an inbox, wakes its subscribers and returns the
    /// event's position. A retry after an error may append it twice.
    async fn append_event(&self, account: &AccountId, event: &InboxEvent) -> Result<u64>;

    /// Events after position `after`, at most `limit`; fewer only when no more follow.
    async fn inbox(&self, account: &AccountId, after: u64, limit: usize) -> Result<InboxPage>;

    /// The account's devices have stored everything up to this inbox position: each sender
    /// concerned gets a `Receipt{state: received}`, once per advance. Never goes back.
    async fn mark_received(&self, account: &AccountId, upto: u64) -> Result<()>;

    /// The person has read up to this `seq`: the other person, and the reader's own devices, get a
    /// `Receipt{state: read}`. Never goes back, nor beyond the last message. False when the account
    /// is not a member.
    async fn mark_read(
        &self,
        account: &AccountId,
        conversation: &ConversationId,
        upto: u64,
    ) -> Result<bool>;

    /// The account's conversations, latest first. The name of a person without a username is empty.
    async fn conversations(&self, account: &AccountId) -> Result<Vec<Conversation>>;

    /// At most `limit` messages before `before` (or the latest); fewer only when no older ones are
    /// kept. `None` when the account is not a
    /// member.
    async fn conversation_page(
        &self,
        account: &AccountId,
        conversation: &ConversationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Option<Page>>;
}
