//! Removes expired data.

use rusqlite::params;

use super::SqliteStore;
use super::statement::execute;
use crate::codec::{millis, now};
use crate::error::Result;

/// Expired rows, one statement per table. Dependent rows are deleted with them.
const EXPIRED: &[&str] = &[
    "DELETE FROM runs WHERE closed IS NOT NULL AND expires <= ?1",
    "DELETE FROM idempotency WHERE expires <= ?1",
    "DELETE FROM sessions WHERE expires <= ?1 AND NOT EXISTS (SELECT 1 FROM runs
       WHERE runs.account = sessions.account AND runs.session = sessions.id AND runs.closed IS NULL)",
    "DELETE FROM private_messages WHERE conversation IN (SELECT id FROM conversations WHERE expires <= ?1)",
    "DELETE FROM inbox_events WHERE account IN (SELECT account FROM inboxes WHERE expires <= ?1)",
    "DELETE FROM accounts WHERE expires <= ?1",
    "DELETE FROM links WHERE expires <= ?1",
    "DELETE FROM names_given_up WHERE until <= ?1",
    "DELETE FROM allowances WHERE spent_until <= ?1",
];

/// Names of expired accounts stay reserved like those given up.
const HELD_BACK: &str = "INSERT INTO names_given_up (name_key, account, until)
   SELECT name_key, id, expires + ?2 FROM accounts WHERE expires <= ?1 AND name_key IS NOT NULL
   ON CONFLICT (name_key) DO UPDATE SET account = excluded.account, until = excluded.until";

/// Counters are kept for another account retention, so that no number and no position is reused.
const FORGOTTEN: &[&str] =
    &["DELETE FROM conversations WHERE expires <= ?1", "DELETE FROM inboxes WHERE expires <= ?1"];

impl SqliteStore {
    /// Removes expired rows; returns how many.
    pub(super) async fn sweep_file(&self) -> Result<u64> {
        let now = now();
        let long_ago = now - millis(self.retention.account_ttl);
        let mut removed = 0;
        let hold = millis(self.retention.name_hold);
        self.write(move |tx| execute(tx, HELD_BACK, params![now, hold])).await?;
        // One transaction per statement: other writers wait for one statement, not for all.
        for (sql, before) in EXPIRED
            .iter()
            .map(|sql| (*sql, now))
            .chain(FORGOTTEN.iter().map(|sql| (*sql, long_ago)))
        {
            removed += self.write(move |tx| execute(tx, sql, params![before])).await?;
        }
        Ok(removed as u64)
    }
}
