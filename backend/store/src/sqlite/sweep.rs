//! Removes expired data, from the write-ahead log too.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::SqliteStore;
use super::open::BUSY;
use super::statement::execute;
use crate::codec::{millis, now};
use crate::error::Result;

/// How long to wait for readers before the write-ahead log is truncated. Writers wait, too.
const READERS_FINISH: Duration = Duration::from_secs(1);

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

/// Erases expired messages. Their rows stay: numbers and positions remain assigned.
const ERASED: &[&str] = &[
    "UPDATE private_messages SET body = '', expires = NULL WHERE expires <= ?1",
    "UPDATE inbox_events SET body = '', expires = NULL WHERE expires <= ?1",
];

/// Names of expired accounts stay reserved like those given up.
const HELD_BACK: &str = "INSERT INTO names_given_up (name_key, account, until)
   SELECT name_key, id, expires + ?2 FROM accounts WHERE expires <= ?1 AND name_key IS NOT NULL
   ON CONFLICT (name_key) DO UPDATE SET account = excluded.account, until = excluded.until";

/// Counters are kept for another account retention, so that no number and no position is reused.
const FORGOTTEN: &[&str] =
    &["DELETE FROM conversations WHERE expires <= ?1", "DELETE FROM inboxes WHERE expires <= ?1"];

impl SqliteStore {
    /// Removes expired rows and erases expired messages; returns how many. No removed content
    /// remains in the file or its write-ahead log, unless another process reads the file right now.
    pub(super) async fn sweep_file(&self) -> Result<u64> {
        let now = now();
        let long_ago = now - millis(self.retention.account_ttl);
        let mut removed = 0;
        let hold = millis(self.retention.name_hold);
        self.write(move |tx| execute(tx, HELD_BACK, params![now, hold])).await?;
        // One transaction per statement: other writers wait for one statement, not for all.
        for (statements, before) in [(ERASED, now), (EXPIRED, now), (FORGOTTEN, long_ago)] {
            for sql in statements {
                removed += self.write(move |tx| execute(tx, sql, params![before])).await?;
            }
        }
        self.truncate_log().await?;
        Ok(removed as u64)
    }

    /// Moves the write-ahead log into the file and truncates it, because it holds earlier contents
    /// of pages until they are overwritten.
    async fn truncate_log(&self) -> Result<()> {
        if self.writer.run_alone(truncate_log).await? {
            tracing::debug!("cannot truncate the write-ahead log: it is being read");
        }
        Ok(())
    }
}

/// True when a reader prevents it.
fn truncate_log(connection: &mut Connection) -> Result<bool> {
    connection.busy_timeout(READERS_FINISH)?;
    let busy =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    connection.busy_timeout(BUSY)?;
    Ok(busy?)
}
