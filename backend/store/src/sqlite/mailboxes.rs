//! Private messages and inboxes in SQLite. Each method is one transaction, so a message is written
//! everywhere or nowhere.

use async_trait::async_trait;
use backend_protocol::api::{Conversation, PrivateMessage};
use backend_protocol::id::{AccountId, ConversationId};
use backend_protocol::live::{InboxEvent, ReceiptState};
use rusqlite::{Transaction, params};

use super::account_rows::exists;
use super::inbox::{self, append_event};
use super::statement::{all, bind, count, execute, one};
use super::{SqliteStore, conversations};
use crate::Retention;
use crate::broker::Topic;
use crate::codec::{decode, encode, expiry, millis, now, parsed, rfc3339};
use crate::error::Result;
use crate::mailboxes::{Delivered, Delivery, InboxPage, Mailboxes, Page, Undelivered};

#[async_trait]
impl Mailboxes for SqliteStore {
    async fn deliver(
        &self,
        delivery: &Delivery,
    ) -> Result<std::result::Result<Delivered, Undelivered>> {
        let topics =
            [Topic::Inbox(delivery.recipient.clone()), Topic::Inbox(delivery.sender.clone())];
        let (delivery, retention) = (delivery.clone(), self.retention.clone());
        let delivered = self.write(move |tx| deliver(tx, delivery, &retention)).await?;
        if delivered.is_ok() {
            topics.iter().for_each(|topic| self.wake(topic));
        }
        Ok(delivered)
    }

    async fn append_event(&self, account: &AccountId, event: &InboxEvent) -> Result<u64> {
        let topic = Topic::Inbox(account.clone());
        let (account, event, retention) = (account.clone(), event.clone(), self.retention.clone());
        let position = self.write(move |tx| append_event(tx, &account, &event, &retention)).await?;
        self.wake(&topic);
        Ok(position)
    }

    async fn inbox(&self, account: &AccountId, after: u64, limit: usize) -> Result<InboxPage> {
        let account = account.clone();
        self.read(move |tx| inbox::page(tx, &account, after, limit)).await
    }

    async fn mark_received(&self, account: &AccountId, upto: u64) -> Result<()> {
        let (account, retention) = (account.clone(), self.retention.clone());
        let senders = self.write(move |tx| mark_received(tx, &account, upto, &retention)).await?;
        senders.into_iter().for_each(|sender| self.wake(&Topic::Inbox(sender)));
        Ok(())
    }

    async fn mark_read(
        &self,
        account: &AccountId,
        conversation: &ConversationId,
        upto: u64,
    ) -> Result<bool> {
        let Some(peer) = conversation.peer_of(account) else { return Ok(false) };
        let topics = [Topic::Inbox(peer.clone()), Topic::Inbox(account.clone())];
        let (account, conversation, retention) =
            (account.clone(), conversation.clone(), self.retention.clone());
        let advanced = self
            .write(move |tx| mark_read(tx, &account, &peer, &conversation, upto, &retention))
            .await?;
        if advanced {
            topics.iter().for_each(|topic| self.wake(topic));
        }
        Ok(true)
    }

    async fn conversations(&self, account: &AccountId) -> Result<Vec<Conversation>> {
        let account = account.clone();
        self.read(move |tx| conversations::list(tx, &account)).await
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
        let conversation = conversation.clone();
        self.read(move |tx| conversations::page(tx, &conversation, before, limit).map(Some)).await
    }
}

/// Writes a message unless it was written before.
fn deliver(
    tx: &Transaction<'_>,
    delivery: Delivery,
    retention: &Retention,
) -> Result<std::result::Result<Delivered, Undelivered>> {
    let Delivery { sender, device, recipient, cid, lifetime, envelope } = delivery;
    if !exists(tx, &recipient)? {
        return Ok(Err(Undelivered::NoRecipient));
    }
    let conversation = ConversationId::between(&sender, &recipient);
    let (id, now) = (conversation.as_str(), now());
    execute(
        tx,
        "DELETE FROM private_messages WHERE conversation = (SELECT id FROM conversations WHERE id = ?1 AND expires <= ?2)",
        params![id, now],
    )?;
    let earlier = one(
        tx,
        "SELECT seq, at, CASE WHEN expires <= ?4 THEN '' ELSE body END FROM private_messages
         WHERE conversation = ?1 AND sender = ?2 AND cid = ?3",
        params![id, sender.as_str(), cid.as_str(), now],
        |row| Ok((count(row, 0)?, rfc3339(row.get(1)?), row.get::<_, String>(2)?)),
    )?;
    if let Some((seq, at, body)) = earlier {
        if !body.is_empty() {
            let kept: PrivateMessage = decode("private_messages.body", &body)?;
            if kept.envelope != envelope {
                return Ok(Err(Undelivered::CidReused));
            }
        }
        return Ok(Ok(Delivered { conversation, seq, at }));
    }
    let seq = one(
        tx,
        "INSERT INTO conversations (id, last_seq, updated, expires) VALUES (?1, 1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET last_seq = last_seq + 1, updated = ?2, expires = ?3 RETURNING last_seq",
        params![id, now, now + millis(retention.mailbox_ttl)],
        |row| count(row, 0),
    )?
    .expect("an upsert returns its row");
    let at = rfc3339(now);
    let message = PrivateMessage { conversation, seq, cid, sender, device, at, lifetime, envelope };
    write(tx, message, now, retention).map(Ok)
}

/// Appends a new message to its conversation and to the inboxes of its members.
fn write(
    tx: &Transaction<'_>,
    message: PrivateMessage,
    now: i64,
    retention: &Retention,
) -> Result<Delivered> {
    let (conversation, seq) = (message.conversation.clone(), message.seq);
    let expires = expiry(now, message.lifetime);
    execute(
        tx,
        "INSERT INTO private_messages (conversation, seq, sender, cid, at, body, expires)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            conversation.as_str(),
            bind(seq),
            message.sender.as_str(),
            message.cid.as_str(),
            now,
            encode("private_messages.body", &message)?,
            expires
        ],
    )?;
    execute(
        tx,
        "DELETE FROM private_messages WHERE conversation = ?1 AND seq <= ?2",
        params![conversation.as_str(), bind(seq) - i64::from(retention.conversation_messages)],
    )?;
    let delivered = Delivered { conversation, seq, at: message.at.clone() };
    let mut members = delivered.conversation.members().to_vec();
    members.dedup();
    let event = InboxEvent::Message(message);
    for member in &members {
        execute(
            tx,
            "INSERT INTO members (account, conversation) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![member.as_str(), delivered.conversation.as_str()],
        )?;
        inbox::append(tx, member, &event, expires, retention)?;
    }
    Ok(delivered)
}

/// Advances the inbox mark, appends receipts for the senders concerned and returns these senders.
fn mark_received(
    tx: &Transaction<'_>,
    me: &AccountId,
    upto: u64,
    retention: &Retention,
) -> Result<Vec<AccountId>> {
    let marks = one(
        tx,
        "SELECT received, head FROM inboxes WHERE account = ?1",
        params![me.as_str()],
        |row| Ok((count(row, 0)?, count(row, 1)?)),
    )?;
    let Some((received, head)) = marks else { return Ok(Vec::new()) };
    let upto = upto.min(head);
    if upto <= received {
        return Ok(Vec::new());
    }
    execute(
        tx,
        "UPDATE inboxes SET received = ?2 WHERE account = ?1",
        params![me.as_str(), bind(upto)],
    )?;
    let news = all(
        tx,
        "SELECT conversation, sender, max(seq) FROM inbox_events
         WHERE account = ?1 AND position > ?2 AND position <= ?3 AND seq IS NOT NULL AND sender <> ?1
         GROUP BY conversation, sender",
        params![me.as_str(), bind(received), bind(upto)],
        |row| {
            let conversation: ConversationId = parsed("inbox_events.conversation", row.get(0)?)?;
            let sender: AccountId = parsed("inbox_events.sender", row.get(1)?)?;
            Ok((conversation, sender, count(row, 2)?))
        },
    )?;
    let mut senders = Vec::new();
    for (conversation, sender, seq) in news {
        let advanced = execute(
            tx,
            "UPDATE members SET received_upto = ?3 WHERE account = ?1 AND conversation = ?2 AND received_upto < ?3",
            params![me.as_str(), conversation.as_str(), bind(seq)],
        )?;
        if advanced > 0 {
            let state = ReceiptState::Received;
            let receipt =
                InboxEvent::Receipt { conversation, account: me.clone(), state, upto: seq };
            append_event(tx, &sender, &receipt, retention)?;
            senders.push(sender);
        }
    }
    Ok(senders)
}

fn mark_read(
    tx: &Transaction<'_>,
    me: &AccountId,
    peer: &AccountId,
    conversation: &ConversationId,
    upto: u64,
    retention: &Retention,
) -> Result<bool> {
    let sql = "SELECT last_seq FROM conversations WHERE id = ?1";
    let last = one(tx, sql, params![conversation.as_str()], |row| count(row, 0))?.unwrap_or(0);
    let upto = upto.min(last);
    let advanced = execute(
        tx,
        "UPDATE members SET read_upto = ?3 WHERE account = ?1 AND conversation = ?2 AND read_upto < ?3",
        params![me.as_str(), conversation.as_str(), bind(upto)],
    )?;
    if advanced == 0 {
        return Ok(false);
    }
    let receipt = InboxEvent::Receipt {
        conversation: conversation.clone(),
        account: me.clone(),
        state: ReceiptState::Read,
        upto,
    };
    append_event(tx, me, &receipt, retention)?;
    if peer != me {
        append_event(tx, peer, &receipt, retention)?;
    }
    Ok(true)
}
