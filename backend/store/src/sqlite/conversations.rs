//! Reading conversations in SQLite: the list, its members, and pages of messages.

use backend_protocol::api::{Conversation, PrivateMessage, User};
use backend_protocol::id::{AccountId, ConversationId};
use rusqlite::{Transaction, params};

use super::statement::{all, bind, count, one};
use crate::codec::{decode, now, parsed, rfc3339};
use crate::error::Result;
use crate::mailboxes::Page;

/// The account's conversations, latest first.
pub(super) fn list(tx: &Transaction<'_>, me: &AccountId) -> Result<Vec<Conversation>> {
    let mut found = all(
        tx,
        "SELECT c.id, c.last_seq, c.updated, m.read_upto FROM members m JOIN conversations c ON c.id = m.conversation
         WHERE m.account = ?1 AND c.expires > ?2 ORDER BY c.updated DESC, c.id",
        params![me.as_str(), now()],
        |row| {
            let id: ConversationId = parsed("conversations.id", row.get(0)?)?;
            let peer = id.peer_of(me).unwrap_or_else(|| me.clone());
            Ok(Conversation {
                id,
                peer: User { account_id: peer, username: String::new() },
                last_seq: count(row, 1)?,
                updated_at: rfc3339(row.get(2)?),
                read_upto: count(row, 3)?,
                peer_received_upto: 0,
                peer_read_upto: 0,
            })
        },
    )?;
    for conversation in &mut found {
        let peer = conversation.peer.account_id.as_str();
        let sql = "SELECT username FROM accounts WHERE id = ?1 AND expires > ?2";
        let name = one(tx, sql, params![peer, now()], |row| Ok(row.get::<_, Option<String>>(0)?))?;
        conversation.peer.username = name.flatten().unwrap_or_default();
        let sql =
            "SELECT received_upto, read_upto FROM members WHERE account = ?1 AND conversation = ?2";
        let marks = one(tx, sql, params![peer, conversation.id.as_str()], |row| {
            Ok((count(row, 0)?, count(row, 1)?))
        })?;
        (conversation.peer_received_upto, conversation.peer_read_upto) = marks.unwrap_or_default();
    }
    Ok(found)
}

/// The other members of an account's conversations; includes the account itself when it has notes
/// to itself.
pub(super) fn peers(tx: &Transaction<'_>, me: &AccountId) -> Result<Vec<AccountId>> {
    all(
        tx,
        "SELECT c.id FROM members m JOIN conversations c ON c.id = m.conversation
         WHERE m.account = ?1 AND c.expires > ?2",
        params![me.as_str(), now()],
        |row| {
            let id: ConversationId = parsed("conversations.id", row.get(0)?)?;
            Ok(id.peer_of(me).unwrap_or_else(|| me.clone()))
        },
    )
}

pub(super) fn page(
    tx: &Transaction<'_>,
    conversation: &ConversationId,
    before: Option<u64>,
    limit: usize,
) -> Result<Page> {
    let wanted = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut messages: Vec<PrivateMessage> = all(
        tx,
        "SELECT m.body FROM private_messages m JOIN conversations c ON c.id = m.conversation
         WHERE m.conversation = ?1 AND m.seq < ?2 AND c.expires > ?3
         AND m.body <> '' AND (m.expires IS NULL OR m.expires > ?3) ORDER BY m.seq DESC LIMIT ?4",
        params![
            conversation.as_str(),
            before.map_or(i64::MAX, bind),
            now(),
            wanted.saturating_add(1)
        ],
        |row| decode("private_messages.body", &row.get::<_, String>(0)?),
    )?;
    let more = messages.len() > limit;
    messages.truncate(limit);
    messages.reverse();
    Ok(Page { messages, more })
}
