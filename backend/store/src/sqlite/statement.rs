//! Prepared statements with the crate's error type.

use std::time::Duration;

use rusqlite::{ErrorCode, OptionalExtension, Params, Row, Transaction};

use crate::codec::corrupt;
use crate::error::{Result, StoreError};

/// Runs a statement; returns how many rows it changed.
pub(super) fn execute(tx: &Transaction<'_>, sql: &str, params: impl Params) -> Result<usize> {
    Ok(tx.prepare_cached(sql)?.execute(params)?)
}

/// The first row, if any.
pub(super) fn one<T>(
    tx: &Transaction<'_>,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    tx.prepare_cached(sql)?.query_row(params, |row| Ok(read(row))).optional()?.transpose()
}

/// Every row.
pub(super) fn all<T>(
    tx: &Transaction<'_>,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Reads a number that is never negative.
pub(super) fn count(row: &Row<'_>, column: usize) -> Result<u64> {
    let found: i64 = row.get(column)?;
    u64::try_from(found).map_err(|error| corrupt("the SQLite file", &error))
}

/// SQLite's integers are signed.
pub(super) fn bind(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl From<rusqlite::Error> for StoreError {
    /// A full disk or a lock may pass; other errors need an operator.
    fn from(error: rusqlite::Error) -> Self {
        let reason = error.to_string();
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory,
            ) => Self::Unavailable { reason, retry_after: Duration::from_secs(2) },
            _ => Self::Corrupt { place: "the SQLite file".into(), reason },
        }
    }
}
