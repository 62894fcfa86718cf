//! Answers and commits: what the embedded store has answered is on the disk, and the writes of a
//! group do not affect one another.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;

use futures::future::join_all;
use futures::poll;
use rusqlite::{Connection, Transaction, params};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::SqliteStore;
use super::statement::execute;
use crate::error::{Result, StoreError};
use crate::{Retention, Store};

struct Bed {
    folder: TempDir,
    store: Arc<SqliteStore>,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gatehouse.sqlite");
        let store = Arc::new(SqliteStore::open(&path, Retention::default()).unwrap());
        Self { folder, store }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("gatehouse.sqlite")
    }

    /// The committed rows, as another process reads them.
    fn rows(&self) -> Vec<String> {
        let other = Connection::open(self.path()).unwrap();
        let mut read = other.prepare("SELECT name_key FROM names_given_up ORDER BY 1").unwrap();
        read.query_map([], |row| row.get(0)).unwrap().map(|row| row.unwrap()).collect()
    }

    /// Commits in the write-ahead log: frames that end a transaction.
    /// <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>
    fn commits(&self) -> usize {
        let log = std::fs::read(self.folder.path().join("gatehouse.sqlite-wal")).unwrap();
        let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
        let frame = 24 + usize::try_from(number(8)).unwrap();
        (32..log.len())
            .step_by(frame)
            .filter(|&at| log[at + 8..at + 16] == log[16..24] && number(at + 4) > 0)
            .count()
    }

    /// Occupies the writer until the returned sender is dropped.
    async fn occupy(&self) -> mpsc::Sender<()> {
        let (free, occupied) = mpsc::channel::<()>();
        let (began, begun) = tokio::sync::oneshot::channel();
        let store = self.store.clone();
        tokio::spawn(async move {
            let wait = move |_: &mut Connection| {
                let _ = began.send(());
                let _ = occupied.recv();
                Ok(())
            };
            store.writer.run_alone(wait).await
        });
        begun.await.unwrap();
        free
    }

    /// Runs the writes as one group and returns their answers.
    async fn together<T: Send + 'static>(&self, writes: Vec<Work<T>>) -> Vec<Result<T>> {
        let free = self.occupy().await;
        let mut calls: Vec<JoinHandle<Result<T>>> = Vec::new();
        for (number, write) in writes.into_iter().enumerate() {
            let store = self.store.clone();
            calls.push(tokio::spawn(async move { store.write(write).await }));
            while self.store.writer.waiting() <= number {
                tokio::task::yield_now().await;
            }
        }
        drop(free);
        join_all(calls).await.into_iter().map(|answer| answer.unwrap()).collect()
    }
}

type Work<T> = Box<dyn FnOnce(&Transaction<'_>) -> Result<T> + Send>;

fn insert(tx: &Transaction<'_>, name: &str) -> Result<()> {
    let sql = "INSERT INTO names_given_up (name_key, account, until) VALUES (?1, 'ada', 1)";
    execute(tx, sql, params![name]).map(drop)
}

fn inserts(name: &str) -> Work<()> {
    let name = name.to_owned();
    Box::new(move |tx| insert(tx, &name))
}

#[tokio::test]
async fn the_writer_syncs_each_commit() {
    let bed = Bed::new();
    for (pragma, expected) in [("synchronous", 2), ("fullfsync", 1), ("checkpoint_fullfsync", 1)] {
        let read = move |tx: &Transaction<'_>| {
            Ok(tx.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))?)
        };
        assert_eq!(bed.store.write(read).await.unwrap(), expected, "{pragma}");
    }
}

#[tokio::test]
async fn no_answer_precedes_the_commit() {
    let bed = Bed::new();
    let free = bed.occupy().await;
    let mut first = Box::pin(bed.store.write(inserts("first")));
    assert!(poll!(&mut first).is_pending(), "it waits in the queue");
    let (finish, finished) = mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel();
    let mut second = Box::pin(bed.store.write(move |tx| {
        insert(tx, "second")?;
        let _ = began.send(());
        let _ = finished.recv();
        Ok(())
    }));
    assert!(poll!(&mut second).is_pending(), "it waits in the queue");
    drop(free);
    begun.await.unwrap();
    assert!(poll!(&mut first).is_pending(), "the first has run, but is not committed");
    assert!(bed.rows().is_empty());
    drop(finish);
    first.await.unwrap();
    assert_eq!(bed.rows(), ["first", "second"], "committed when the first answer arrives");
    second.await.unwrap();
}

#[tokio::test]
async fn writers_that_wait_share_a_commit() {
    let bed = Bed::new();
    let before = bed.commits();
    let writes = (0..100).map(|n| inserts(&format!("name-{n:02}"))).collect();
    for answer in bed.together(writes).await {
        answer.unwrap();
    }
    assert_eq!(bed.commits(), before + 1);
    assert_eq!(bed.rows().len(), 100);
    bed.store.write(inserts("alone")).await.unwrap();
    assert_eq!(bed.commits(), before + 2, "each commit is counted");
}

#[tokio::test]
async fn a_group_is_bounded() {
    let bed = Bed::new();
    let before = bed.commits();
    let writes = (0..300).map(|n| inserts(&format!("name-{n:03}"))).collect();
    for answer in bed.together(writes).await {
        answer.unwrap();
    }
    assert_eq!(bed.commits(), before + 3, "300 writes in groups of 128");
}

#[tokio::test]
async fn a_failed_commit_fails_every_write_of_its_group() {
    let bed = Bed::new();
    let dangling: Work<()> = Box::new(|tx| {
        tx.pragma_update(None, "defer_foreign_keys", true)?;
        let sql = "INSERT INTO members (account, conversation) VALUES ('ada', 'nowhere')";
        execute(tx, sql, []).map(drop)
    });
    let answers = bed.together(vec![inserts("a"), dangling, inserts("b")]).await;
    for answer in answers {
        let error = answer.unwrap_err();
        assert!(error.to_string().contains("FOREIGN KEY"), "{error}");
    }
    assert!(bed.rows().is_empty());
    bed.store.write(inserts("later")).await.unwrap();
    assert_eq!(bed.rows(), ["later"], "the writer goes on");
}

#[tokio::test]
async fn a_failed_write_leaves_its_neighbours() {
    let bed = Bed::new();
    let fails: Work<()> = Box::new(|tx| {
        insert(tx, "failed")?;
        insert(tx, "failed")
    });
    let panics: Work<()> = Box::new(|tx| {
        insert(tx, "panicked").unwrap();
        panic!("a bug");
    });
    let refused = StoreError::Unavailable {
        reason: "as returned".into(),
        retry_after: std::time::Duration::from_secs(9),
    };
    let returned = refused.clone();
    let returns: Work<()> = Box::new(move |tx| {
        insert(tx, "refused")?;
        Err(returned)
    });
    let writes = vec![inserts("a"), fails, inserts("b"), panics, inserts("c"), returns];
    let before = bed.commits();
    let answers = bed.together(writes).await;
    let good: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true, false, true, false]);
    assert!(matches!(&answers[1], Err(StoreError::Corrupt { .. })), "{:?}", answers[1]);
    assert!(matches!(&answers[3], Err(StoreError::Unavailable { .. })), "{:?}", answers[3]);
    assert_eq!(answers[5].as_ref().unwrap_err().to_string(), refused.to_string());
    assert_eq!(bed.rows(), ["a", "b", "c"]);
    assert_eq!(bed.commits(), before + 1);
}

#[tokio::test]
async fn a_transaction_that_sqlite_ends_fails_the_whole_group() {
    let bed = Bed::new();
    // As SQLite does after some I/O errors.
    let ends: Work<()> = Box::new(|tx| Ok(tx.execute_batch("ROLLBACK")?));
    let answers = bed.together(vec![inserts("a"), ends, inserts("b")]).await;
    assert!(matches!(answers[0], Err(StoreError::Unavailable { .. })), "{:?}", answers[0]);
    assert!(matches!(answers[1], Err(StoreError::Unavailable { .. })), "{:?}", answers[1]);
    assert!(matches!(answers[2], Err(StoreError::Unavailable { .. })), "{:?}", answers[2]);
    assert!(bed.rows().is_empty());
    bed.store.write(inserts("later")).await.unwrap();
    assert_eq!(bed.rows(), ["later"]);
}

#[tokio::test]
async fn a_full_disk_is_reported_as_unavailable() {
    let bed = Bed::new();
    let limit = |pages: i64| {
        bed.store.writer.run_alone(move |connection| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            Ok(connection.query_row(&sql, [], |row| row.get::<_, i64>(0))?)
        })
    };
    let now = limit(1).await.unwrap();
    assert!(now > 1, "SQLite keeps the pages in use: {now}");
    let big: Work<()> = Box::new(|tx| insert(tx, &"x".repeat(1_000_000)));
    let answers = bed.together(vec![inserts("a"), big, inserts("b")]).await;
    assert!(matches!(answers[1], Err(StoreError::Unavailable { .. })), "{:?}", answers[1]);
    let mut expected = Vec::new();
    for (answer, name) in [(&answers[0], "a"), (&answers[2], "b")] {
        if answer.is_ok() {
            expected.push(name);
        }
    }
    assert_eq!(bed.rows(), expected, "answered `Ok`, or absent");
    limit(1_000_000).await.unwrap();
    bed.store.write(inserts("later")).await.unwrap();
}

#[tokio::test]
async fn a_locked_file_is_reported_as_unavailable() {
    let bed = Bed::new();
    let other = Connection::open(bed.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for answer in bed.together(vec![inserts("a"), inserts("b")]).await {
        assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
    }
    other.execute_batch("ROLLBACK").unwrap();
    bed.store.write(inserts("later")).await.unwrap();
    bed.store.sweep().await.unwrap();
}
