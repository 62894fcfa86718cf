//! The log of one conversation in Redis: appending a message, which assigns its number, and
//! reading.

use backend_protocol::api::PrivateMessage;
use backend_protocol::envelope::Envelope;
use backend_protocol::id::{AccountId, ClientMessageId, ConversationId, DeviceId};
use serde::{Deserialize, Serialize};

use super::events::Entry;
use super::{RedisStore, keys, ttl};
use crate::codec::{corrupt, decode, encode, rfc3339};
use crate::error::Result;
use crate::mailboxes::Delivery;

/// A message as stored in its conversation, without number and time.
#[derive(Serialize, Deserialize)]
struct Kept {
    cid: ClientMessageId,
    sender: AccountId,
    device: DeviceId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lifetime: Option<u32>,
    envelope: Envelope,
}

/// A message with the fields that inboxes order it by.
pub(super) struct Numbered {
    pub(super) epoch: String,
    pub(super) at: i64,
    pub(super) message: PrivateMessage,
}

/// The outcome of an append.
#[expect(clippy::large_enum_variant, reason = "the large variant is the common one")]
pub(super) enum Appended {
    /// The message is stored under this number.
    Message(Numbered),
    /// The conversation would be new and may not be.
    NewConversation,
    /// The sender has appended another envelope with this `cid`.
    CidReused,
}

impl RedisStore {
    /// Appends a message unless it was appended before.
    pub(super) async fn append_to_conversation(
        &self,
        delivery: &Delivery,
        may_be_new: bool,
    ) -> Result<Appended> {
        let Delivery { sender, device, recipient, cid, lifetime, envelope } = delivery.clone();
        let conversation = ConversationId::between(&sender, &recipient);
        let prefix = keys::conversation(&conversation);
        let kept = Kept { cid, sender, device, lifetime, envelope };
        let mut append = self.scripts.append_conversation.key(prefix.clone() + "counter");
        append
            .key(prefix.clone() + "log")
            .key(prefix + "cids")
            .arg(format!("{} {}", kept.sender, kept.cid))
            .arg(encode("conversation", &kept)?)
            .arg(format!("{:032x}", rand::random::<u128>()))
            .arg(self.retention.conversation_messages)
            .arg(ttl(self.retention.mailbox_ttl))
            .arg(self.counter_ttl())
            .arg(i32::from(may_be_new))
            .arg(lifetime.unwrap_or(0));
        let found: Option<(u64, i64, String, u32, String)> =
            self.connection.script("conversation", &append).await?;
        let Some((seq, at, epoch, lifetime, earlier)) = found else {
            return Ok(Appended::NewConversation);
        };
        // A retry changes nothing: the inboxes get what the conversation has.
        let kept = if earlier.is_empty() {
            Kept { lifetime: Some(lifetime).filter(|seconds| *seconds > 0), ..kept }
        } else {
            let earlier: Kept = decode("conversation", &earlier)?;
            if earlier.envelope != kept.envelope {
                return Ok(Appended::CidReused);
            }
            earlier
        };
        Ok(Appended::Message(Numbered { epoch, at, message: kept.numbered(conversation, seq, at) }))
    }

    /// At most `limit` messages that have not expired, each with its time, newest first. `newest`
    /// and `oldest` are the bounds of a stream's range.
    pub(super) async fn read_conversation(
        &self,
        conversation: &ConversationId,
        newest: &str,
        oldest: &str,
        limit: usize,
    ) -> Result<Vec<(i64, PrivateMessage)>> {
        let mut read = self.scripts.read_conversation.key(keys::conversation(conversation) + "log");
        read.arg(newest).arg(oldest).arg(limit);
        let entries: Vec<Entry> = self.connection.script("conversation", &read).await?;
        entries.iter().map(|entry| message_from(conversation, entry)).collect()
    }

    /// Counters outlive what they count, so that no number is reused while a client may have it.
    pub(super) fn counter_ttl(&self) -> i64 {
        ttl(self.retention.mailbox_ttl.saturating_add(self.retention.account_ttl))
    }
}

impl Kept {
    fn numbered(self, conversation: ConversationId, seq: u64, at: i64) -> PrivateMessage {
        let Self { cid, sender, device, lifetime, envelope } = self;
        let at = rfc3339(at);
        PrivateMessage { conversation, seq, cid, sender, device, at, lifetime, envelope }
    }
}

fn message_from(conversation: &ConversationId, entry: &Entry) -> Result<(i64, PrivateMessage)> {
    let kept: Kept = decode("conversation", entry.field("conversation", "m")?)?;
    let at = entry
        .field("conversation", "at")?
        .parse()
        .map_err(|error| corrupt("conversation", &error))?;
    Ok((at, kept.numbered(conversation.clone(), entry.position, at)))
}
