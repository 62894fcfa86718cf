//! Links in SQLite. An expired link is never found, swept or not.

use async_trait::async_trait;
use backend_protocol::id::{AccountId, DeviceId};
use backend_protocol::limits::{MAX_LINK_BYTES, MAX_LINK_MESSAGES};
use backend_protocol::linking::{LinkSide, RelayedMessage, RelayedMessages};
use rusqlite::{Transaction, params};

use super::account_rows::find;
use super::identities::{add_credential, append};
use super::statement::{all, count, execute, one};
use super::{SqliteStore, devices};
use crate::accounts::CredentialHash;
use crate::codec::{millis, now, parsed};
use crate::error::Result;
use crate::identities::Append;
use crate::links::{Approval, LinkClaim, LinkCode, Links, NewApproval, Party, Posting, TokenHash};

/// A link that has not expired.
struct Row {
    token: [u8; 32],
    account: Option<AccountId>,
    device: Option<DeviceId>,
    claimed: bool,
}

#[async_trait]
impl Links for SqliteStore {
    async fn open_link(&self, code: &LinkCode, token: &TokenHash) -> Result<bool> {
        let (code, token, kept) = (code.clone(), *token, millis(self.retention.link_ttl));
        self.write(move |tx| {
            let now = now();
            let expired = "DELETE FROM links WHERE code = ?1 AND expires <= ?2";
            execute(tx, expired, params![code.as_str(), now])?;
            let insert = "INSERT INTO links (code, token, expires) VALUES (?1, ?2, ?3)
                          ON CONFLICT (code) DO NOTHING";
            Ok(execute(tx, insert, params![code.as_str(), token.0, now + kept])? == 1)
        })
        .await
    }

    async fn is_party(&self, code: &LinkCode, party: &Party) -> Result<bool> {
        let (code, party) = (code.clone(), party.clone());
        self.read(move |tx| Ok(row(tx, &code)?.is_some_and(|row| row.has(&party)))).await
    }

    async fn post_to_link(&self, code: &LinkCode, party: &Party, body: &str) -> Result<Posting> {
        let (code, party, body) = (code.clone(), party.clone(), body.to_owned());
        self.write(move |tx| post(tx, &code, &party, &body)).await
    }

    async fn link_messages(
        &self,
        code: &LinkCode,
        party: &Party,
        after: u32,
    ) -> Result<Option<RelayedMessages>> {
        let (code, party) = (code.clone(), party.clone());
        self.read(move |tx| {
            let Some(row) = row(tx, &code)?.filter(|row| row.admits(&party)) else {
                return Ok(None);
            };
            let messages = all(
                tx,
                "SELECT n, by_new, body FROM link_messages WHERE code = ?1 AND n > ?2 ORDER BY n",
                params![code.as_str(), after],
                |row| {
                    let from = if row.get(1)? { LinkSide::New } else { LinkSide::Old };
                    Ok(RelayedMessage { index: row.get(0)?, from, body: row.get(2)? })
                },
            )?;
            Ok(Some(RelayedMessages { messages, approved: row.device.is_some() }))
        })
        .await
    }

    async fn approve_link(&self, code: &LinkCode, approval: &NewApproval) -> Result<Approval> {
        let (code, approval) = (code.clone(), approval.clone());
        self.write(move |tx| approve(tx, &code, &approval)).await
    }

    async fn claim_link(
        &self,
        code: &LinkCode,
        token: &TokenHash,
        credential: &CredentialHash,
    ) -> Result<LinkClaim> {
        let (code, token, credential) = (code.clone(), *token, *credential);
        self.write(move |tx| claim(tx, &code, &token, &credential)).await
    }
}

impl Row {
    fn has(&self, party: &Party) -> bool {
        match party {
            Party::New(token) => self.token == token.0,
            Party::Old(account) => self.account.as_ref() == Some(account),
        }
    }

    /// Like [`has`](Self::has); also any account while none is bound.
    fn admits(&self, party: &Party) -> bool {
        self.has(party) || (matches!(party, Party::Old(_)) && self.account.is_none())
    }
}

fn row(tx: &Transaction<'_>, code: &LinkCode) -> Result<Option<Row>> {
    let sql = "SELECT token, account, device, claimed FROM links WHERE code = ?1 AND expires > ?2";
    one(tx, sql, params![code.as_str(), now()], |row| {
        let account: Option<String> = row.get(1)?;
        let device: Option<String> = row.get(2)?;
        Ok(Row {
            token: row.get(0)?,
            account: account.map(|id| parsed("links.account", id)).transpose()?,
            device: device.map(|id| parsed("links.device", id)).transpose()?,
            claimed: row.get(3)?,
        })
    })
}

fn post(tx: &Transaction<'_>, code: &LinkCode, party: &Party, body: &str) -> Result<Posting> {
    let Some(row) = row(tx, code)?.filter(|row| row.admits(party)) else {
        return Ok(Posting::NotFound);
    };
    let sql = "SELECT count(*), coalesce(sum(octet_length(body)), 0) FROM link_messages
               WHERE code = ?1";
    let (messages, bytes) =
        one(tx, sql, [code.as_str()], |row| Ok((count(row, 0)?, count(row, 1)?)))?
            .expect("an aggregate returns a row");
    if messages >= MAX_LINK_MESSAGES as u64 || bytes + body.len() as u64 > MAX_LINK_BYTES as u64 {
        return Ok(Posting::Full);
    }
    if let Party::Old(account) = party
        && row.account.is_none()
    {
        let sql = "UPDATE links SET account = ?2 WHERE code = ?1";
        execute(tx, sql, params![code.as_str(), account.as_str()])?;
    }
    execute(
        tx,
        "INSERT INTO link_messages (code, n, by_new, body)
         SELECT ?1, count(*) + 1, ?2, ?3 FROM link_messages WHERE code = ?1",
        params![code.as_str(), matches!(party, Party::New(_)), body],
    )?;
    Ok(Posting::Posted)
}

fn approve(tx: &Transaction<'_>, code: &LinkCode, approval: &NewApproval) -> Result<Approval> {
    let NewApproval { account, device, version, entry } = approval;
    let Some(row) = row(tx, code)? else { return Ok(Approval::NotFound) };
    match &row.account {
        None => return Ok(Approval::Unbound),
        Some(bound) if bound != account => return Ok(Approval::NotFound),
        Some(_) => {}
    }
    if row.device.as_ref().is_some_and(|approved| approved != device) {
        return Ok(Approval::OtherDevice);
    }
    if devices::is_removed(tx, account, device)? {
        return Ok(Approval::Removed);
    }
    if row.device.is_none() && devices::is_full(tx, account)? {
        return Ok(Approval::TooMany);
    }
    match append(tx, account, *version, entry)? {
        Append::Appended | Append::Unchanged => {}
        rejected => return Ok(Approval::Rejected(rejected)),
    }
    let both = params![account.as_str(), device.as_str()];
    let sql = "INSERT INTO approved_devices (account, device) VALUES (?1, ?2)
               ON CONFLICT DO NOTHING";
    execute(tx, sql, both)?;
    let sql = "UPDATE links SET device = ?2 WHERE code = ?1";
    execute(tx, sql, params![code.as_str(), device.as_str()])?;
    Ok(Approval::Approved)
}

fn claim(
    tx: &Transaction<'_>,
    code: &LinkCode,
    token: &TokenHash,
    credential: &CredentialHash,
) -> Result<LinkClaim> {
    let Some(row) = row(tx, code)?.filter(|row| row.token == token.0) else {
        return Ok(LinkClaim::NotFound);
    };
    let (Some(account), Some(device)) = (row.account, row.device) else {
        return Ok(LinkClaim::NotApproved);
    };
    if row.claimed {
        return Ok(LinkClaim::ClaimedBefore);
    }
    if devices::is_removed(tx, &account, &device)? {
        return Ok(LinkClaim::Removed);
    }
    let Some(found) = find(tx, "id = ?1", params![account.as_str(), now()])? else {
        return Ok(LinkClaim::NotFound);
    };
    add_credential(tx, &account, credential)?;
    devices::add_credential(tx, &account, &device, credential)?;
    execute(tx, "UPDATE links SET claimed = 1 WHERE code = ?1", [code.as_str()])?;
    Ok(LinkClaim::Claimed(found))
}
