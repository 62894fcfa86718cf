//! Opening the file: its folder and permissions, its settings, its schema.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::error::{Result, StoreError};

/// Each migration leads from one version to the next; `user_version` counts those applied.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
];

/// Marks the file as ours (`PRAGMA application_id`): "Gate".
const APPLICATION_ID: i32 = 0x4761_7465;

/// How long a connection waits for a lock of another one.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// Creates the file if it is missing, readable by the owner only, and locks it against a second
/// process.
pub(super) fn claim(path: &Path) -> Result<File> {
    let fail = |what: &str, error: &dyn std::fmt::Display| {
        StoreError::Setup(format!(
            "{what} {}: {error}; give a path this process may write to",
            path.display()
        ))
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| fail("cannot create the folder of", &error))?;
    }
    let private = |path: &Path| {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
    };
    private(path).map_err(|error| fail("cannot write", &error))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let lock =
        private(Path::new(&beside)).map_err(|error| fail("cannot write the lock of", &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::Setup(format!(
            "{} is in use by another process: stop it, or give this one another data folder",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(fail("cannot lock", &error)),
    }
}

/// The connection for writes, with the schema up to date.
pub(super) fn writer(path: &Path) -> Result<Connection> {
    let mut connection = connect(path)?;
    let found = setup(
        path,
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)),
    )?;
    let application = setup(
        path,
        connection.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0)),
    )?;
    let tables = setup(
        path,
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)),
    )?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(StoreError::Setup(format!(
            "{} is the database of another program: choose another data folder",
            path.display()
        )));
    }
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    let Some(pending) = MIGRATIONS.get(done..) else {
        return Err(StoreError::Setup(format!(
            "{} has schema version {found}, this program supports versions up to {}: run a newer program",
            path.display(),
            MIGRATIONS.len()
        )));
    };
    setup(path, migrate(&mut connection, done, pending))?;
    // The file is locked, so the process that owned these runs is dead: their leases end now.
    let sql = "UPDATE runs SET expires = 0 WHERE closed IS NULL";
    setup(path, connection.execute(sql, []))?;
    Ok(connection)
}

/// A connection for reads.
pub(super) fn reader(path: &Path) -> Result<Connection> {
    let connection = connect(path)?;
    setup(path, connection.pragma_update(None, "query_only", true))?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, done: usize, pending: &[&str]) -> rusqlite::Result<()> {
    for (step, sql) in pending.iter().enumerate() {
        let tx = connection.transaction()?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        let version = i64::try_from(done + step + 1).expect("there are few migrations");
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}

/// WAL lets readers continue during a write. With `synchronous = FULL` a commit returns after the
/// write-ahead log is on the disk, so it survives a power failure; `NORMAL` would lose the last
/// ones. `fullfsync` has an effect on macOS only, whose `fsync` leaves the data in the disk's
/// cache. With `secure_delete = ON`, deleted content is overwritten with zeros; `FAST` would leave
/// it on the pages of long rows, and an envelope is one.
fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = setup(path, Connection::open_with_flags(path, flags))?;
    connection.set_prepared_statement_cache_capacity(128);
    setup(path, connection.busy_timeout(BUSY))?;
    setup(path, connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())))?;
    setup(path, connection.pragma_update(None, "synchronous", "full"))?;
    setup(path, connection.pragma_update(None, "fullfsync", true))?;
    setup(path, connection.pragma_update(None, "checkpoint_fullfsync", true))?;
    setup(path, connection.pragma_update(None, "foreign_keys", true))?;
    setup(path, connection.pragma_update(None, "secure_delete", "on"))?;
    Ok(connection)
}

fn setup<T>(path: &Path, outcome: rusqlite::Result<T>) -> Result<T> {
    outcome.map_err(|error| {
        StoreError::Setup(format!("{} cannot be used as the SQLite store: {error}", path.display()))
    })
}
