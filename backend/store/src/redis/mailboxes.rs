//! Private messages and inboxes in Redis.
//!
//! A message touches the slot of its conversation and the slots of two inboxes, so on a cluster a
//! delivery cannot be one script. A message is delivered once `deliver` has returned `Ok`, because:
//!
//! 1. Appending to the conversation is the commit point. It assigns the number, and is idempotent
//!    by sender and `cid`; another envelope with the same `cid` is rejected.
//! 2. An inbox takes a conversation's messages strictly in the order of their numbers: a message
//!    that it has is skipped, and missing ones before it are fetched from the conversation. So the
//!    append is idempotent, and an inbox keeps the conversation's order under concurrent
//!    deliveries.
//! 3. `Ok` is returned after both inboxes have the message. After a crash in between, the sender
//!    has no reply and sends the same `cid` again: step 1 returns the same number and step 2
//!    appends where the message is missing. If the sender does not retry, the next message of the
//!    conversation brings the missing one along.
//!
//! A conversation that was lost and starts over at number 1 has another epoch; the inboxes then
//! restart their count as well. A receipt advances a mark in the same script that appends it, so it
//! is appended once.
//!
//! A message with a lifetime has its body in its own key, once in the conversation's slot and once
//! in each inbox's, because an entry of a stream cannot expire. Redis deletes the key on time, also
//! when no node runs. The entry stays, so that numbers and positions remain assigned: readers skip
//! an entry whose body is gone.

use async_trait::async_trait;
use backend_protocol::api::{Conversation, PrivateMessage, User};
use backend_protocol::id::{AccountId, ConversationId};
use backend_protocol::live::{InboxEvent, ReceiptState};
use futures::future::{try_join, try_join_all};

use super::conversation_log::{Appended, Numbered};
use super::events::{Entry, events, position};
use super::{RedisStore, keys, ttl};
use crate::broker::Topic;
use crate::codec::{corrupt, encode, expiry, parsed, rfc3339};
use crate::error::Result;
use crate::mailboxes::{Delivered, Delivery, InboxPage, Mailboxes, Page, Undelivered};

/// The most missing messages brought along; older ones are in the conversation's pages.
const BROUGHT_ALONG: usize = 200;

/// Lost races to one inbox before an error. In each, another delivery succeeded.
const ROUNDS: usize = 32;

/// From `read_conversations.lua`: id, last, updated, read, and the peer's two marks.
type Shown = (String, u64, i64, u64, u64, u64);

#[async_trait]
impl Mailboxes for RedisStore {
    async fn deliver(
        &self,
        delivery: &Delivery,
    ) -> Result<std::result::Result<Delivered, Undelivered>> {
        if let Some(replicas) = &self.replicas {
            return replicas.acknowledged(|store| store.deliver(delivery)).await;
        }
        // One round trip for an existing conversation. If the account is gone, nothing is appended
        // to an inbox.
        let (exists, mut appended) = try_join(
            self.account_exists(&delivery.recipient),
            self.append_to_conversation(delivery, false),
        )
        .await?;
        if !exists {
            return Ok(Err(Undelivered::NoRecipient));
        }
        if matches!(appended, Appended::NewConversation) {
            appended = self.append_to_conversation(delivery, true).await?;
        }
        let numbered = match appended {
            Appended::Message(numbered) => numbered,
            Appended::CidReused => return Ok(Err(Undelivered::CidReused)),
            Appended::NewConversation => {
                return Err(corrupt("conversation", &"a new conversation was not created"));
            }
        };
        let mut members = numbered.message.conversation.members().to_vec();
        members.dedup();
        try_join_all(members.iter().map(|member| self.append_to_inbox(member, &numbered))).await?;
        let PrivateMessage { conversation, seq, at, .. } = numbered.message;
        Ok(Ok(Delivered { conversation, seq, at }))
    }

    async fn append_event(&self, account: &AccountId, event: &InboxEvent) -> Result<u64> {
        let mut append = self.scripts.append_event.key(inbox(account));
        append.key(counters(account)).arg(channel(account));
        append
            .arg(self.retention.inbox_events)
            .arg(ttl(self.retention.mailbox_ttl))
            .arg(self.counter_ttl())
            .arg(encode("inbox", event)?);
        self.connection.script("inbox", &append).await
    }

    async fn inbox(&self, account: &AccountId, after: u64, limit: usize) -> Result<InboxPage> {
        let mut read = self.scripts.read_inbox.key(inbox(account));
        read.key(counters(account)).arg(position(after)).arg(limit);
        let (first, head, entries): (u64, u64, Vec<Entry>) =
            self.connection.script("inbox", &read).await?;
        let first = if first == 0 { head + 1 } else { first };
        Ok(InboxPage { events: events("inbox", &entries)?, first, head })
    }

    async fn mark_received(&self, account: &AccountId, upto: u64) -> Result<()> {
        let mut read = self.scripts.read_received.key(inbox(account));
        read.key(counters(account)).arg(position(upto)).arg(account.as_str());
        let mut news = self.connection.script::<Vec<String>>("inbox", &read).await?.into_iter();
        let upto = news.next().unwrap_or_default();
        let mut receipts = Vec::new();
        while let (Some(conversation), Some(sender), Some(seq)) =
            (news.next(), news.next(), news.next())
        {
            let seq = seq.parse::<u64>().map_err(|error| corrupt("inbox", &error))?;
            receipts.push((
                parsed::<ConversationId>("inbox", conversation)?,
                parsed::<AccountId>("inbox", sender)?,
                seq,
            ));
        }
        let sending = receipts.iter().map(|(conversation, sender, seq)| {
            self.append_receipt(sender, account, conversation, ReceiptState::Received, *seq)
        });
        try_join_all(sending).await?;
        // Last, so that a crash before it repeats the receipts, which are idempotent, and does not
        // lose them.
        let mut advance = self.scripts.advance_received.key(counters(account));
        self.connection.script::<i64>("inbox", advance.arg(upto)).await?;
        Ok(())
    }

    async fn mark_read(
        &self,
        account: &AccountId,
        conversation: &ConversationId,
        upto: u64,
    ) -> Result<bool> {
        let Some(peer) = conversation.peer_of(account) else { return Ok(false) };
        let get = redis::cmd("HGET")
            .arg(keys::conversation(conversation) + "counter")
            .arg("last")
            .clone();
        let last = self.connection.command::<Option<u64>>("conversation", &get).await?.unwrap_or(0);
        let upto = upto.min(last);
        if upto == 0 {
            return Ok(true);
        }
        let state = ReceiptState::Read;
        self.append_receipt(account, account, conversation, state, upto).await?;
        if peer != *account {
            self.append_receipt(&peer, account, conversation, state, upto).await?;
        }
        Ok(true)
    }

    async fn conversations(&self, account: &AccountId) -> Result<Vec<Conversation>> {
        let prefix = keys::of(account);
        let mut read = self.scripts.read_conversations.key(prefix.clone() + "conversations");
        read.arg(prefix).arg(ttl(self.retention.mailbox_ttl));
        let shown: Vec<Shown> = self.connection.script("conversations", &read).await?;
        let reading = shown.into_iter().map(|shown| self.conversation_from(account, shown));
        let mut found = try_join_all(reading).await?;
        found.sort_by(|a, b| b.updated_at.cmp(&a.updated_at).then_with(|| a.id.cmp(&b.id)));
        Ok(found)
    }

    async fn conversation_page(
        &self,
        account: &AccountId,
        conversation: &ConversationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Option<Page>> {
        if conversation.peer_of(account).is_none() {
            return Ok(None);
        }
        let newest =
            before.map_or_else(|| "+".to_owned(), |before| format!("({}-0", position(before)));
        let wanted = limit.saturating_add(1);
        let mut messages = self.read_conversation(conversation, &newest, "-", wanted).await?;
        let more = messages.len() > limit;
        messages.truncate(limit);
        messages.reverse();
        let messages = messages.into_iter().map(|(_, message)| message).collect();
        Ok(Some(Page { messages, more }))
    }
}

impl RedisStore {
    /// Step 2.
    async fn append_to_inbox(&self, account: &AccountId, numbered: &Numbered) -> Result<()> {
        let conversation = &numbered.message.conversation;
        let mut missing = self
            .append_messages(account, conversation, &numbered.epoch, false, &[numbered])
            .await?;
        for _ in 0..ROUNDS {
            let Some(after) = missing else { return Ok(()) };
            let newest = format!("{}-0", numbered.message.seq);
            let oldest = format!("({}-0", position(after));
            let found =
                self.read_conversation(conversation, &newest, &oldest, BROUGHT_ALONG).await?;
            let mut brought = Vec::with_capacity(found.len());
            for (at, message) in found.into_iter().rev() {
                brought.push(Numbered { epoch: numbered.epoch.clone(), at, message });
            }
            let mut all: Vec<&Numbered> = brought.iter().collect();
            if all.last().is_none_or(|last| last.message.seq < numbered.message.seq) {
                // Trimmed by a burst of later messages: its delivery was acknowledged, so append
                // it. Or it has expired: then the script only counts it.
                all.push(numbered);
            }
            missing =
                self.append_messages(account, conversation, &numbered.epoch, true, &all).await?;
        }
        Err(corrupt("inbox", &"its count of the conversation's messages keeps changing"))
    }

    /// Appends the new messages. When older ones are missing, returns the number after which.
    async fn append_messages(
        &self,
        account: &AccountId,
        conversation: &ConversationId,
        epoch: &str,
        complete: bool,
        messages: &[&Numbered],
    ) -> Result<Option<u64>> {
        let prefix = keys::of(account);
        let mut append = self.scripts.append_messages.key(inbox(account));
        append
            .key(counters(account))
            .key(format!("{prefix}conversation:{conversation}"))
            .key(prefix + "conversations");
        append
            .arg(channel(account))
            .arg(self.retention.inbox_events)
            .arg(ttl(self.retention.mailbox_ttl))
            .arg(self.counter_ttl())
            .arg(conversation.as_str())
            .arg(epoch)
            .arg(i32::from(complete));
        for Numbered { at, message, .. } in messages {
            let event = encode("inbox", &InboxEvent::Message(message.clone()))?;
            append.arg(message.seq).arg(at).arg(message.sender.as_str()).arg(event);
            append.arg(expiry(*at, message.lifetime).unwrap_or(0));
        }
        let missing: String = self.connection.script("inbox", &append).await?;
        if missing.is_empty() {
            return Ok(None);
        }
        missing.parse().map(Some).map_err(|error| corrupt("inbox", &error))
    }

    async fn conversation_from(&self, account: &AccountId, shown: Shown) -> Result<Conversation> {
        let (id, last_seq, updated, read_upto, peer_received_upto, peer_read_upto) = shown;
        let id: ConversationId = parsed("conversations", id)?;
        let peer =
            id.peer_of(account).ok_or_else(|| corrupt("conversations", &"it has other members"))?;
        let get = redis::cmd("HGET").arg(keys::of(&peer) + "account").arg("username").clone();
        let username =
            self.connection.command::<Option<String>>("account", &get).await?.unwrap_or_default();
        let peer_read_upto = if peer == *account { read_upto } else { peer_read_upto };
        let (peer, updated_at) = (User { account_id: peer, username }, rfc3339(updated));
        Ok(Conversation {
            id,
            peer,
            last_seq,
            updated_at,
            read_upto,
            peer_received_upto,
            peer_read_upto,
        })
    }

    /// Appends a receipt of `who` to the inbox of `to`, once.
    async fn append_receipt(
        &self,
        to: &AccountId,
        who: &AccountId,
        conversation: &ConversationId,
        state: ReceiptState,
        upto: u64,
    ) -> Result<()> {
        let mark = match state {
            ReceiptState::Read if to == who => "read",
            ReceiptState::Read => "peer_read",
            ReceiptState::Received => "peer_received",
        };
        let event = InboxEvent::Receipt {
            conversation: conversation.clone(),
            account: who.clone(),
            state,
            upto,
        };
        let mut append = self.scripts.append_receipt.key(inbox(to));
        append
            .key(counters(to))
            .key(format!("{}conversation:{conversation}", keys::of(to)))
            .arg(channel(to));
        append
            .arg(self.retention.inbox_events)
            .arg(ttl(self.retention.mailbox_ttl))
            .arg(self.counter_ttl())
            .arg(encode("inbox", &event)?)
            .arg(mark)
            .arg(upto);
        self.connection.script::<i64>("inbox", &append).await?;
        Ok(())
    }
}

fn inbox(account: &AccountId) -> String {
    keys::of(account) + "inbox"
}

fn counters(account: &AccountId) -> String {
    keys::of(account) + "counters"
}

fn channel(account: &AccountId) -> String {
    keys::channel(&Topic::Inbox(account.clone()))
}
