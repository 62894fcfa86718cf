//! Group commit: the writes that wait share one transaction and so one sync of the disk. Each runs
//! in its own savepoint, and is answered after the commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::statement::execute;
use crate::error::{Result, StoreError};

/// One write of a group, with the type of its value erased.
pub(super) trait Write: Send {
    /// Runs it. False when its effects are to be rolled back.
    fn run(&mut self, tx: &Transaction<'_>) -> bool;
    /// Sends the answer: its own error, else that of the commit, else its value.
    fn answer(self: Box<Self>, committed: &Result<()>);
}

/// A write with its caller.
struct Pending<W, T> {
    work: Option<W>,
    /// Absent before it has run, and after a panic.
    outcome: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

/// A write and the receiver of its answer.
pub(super) fn write<T: Send + 'static>(
    work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
) -> (Box<dyn Write>, oneshot::Receiver<Result<T>>) {
    let (answer, answered) = oneshot::channel();
    (Box::new(Pending { work: Some(work), outcome: None, answer }), answered)
}

impl<W, T> Write for Pending<W, T>
where
    W: FnOnce(&Transaction<'_>) -> Result<T> + Send,
    T: Send,
{
    fn run(&mut self, tx: &Transaction<'_>) -> bool {
        self.outcome = self.work.take().map(|work| work(tx));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, committed: &Result<()>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error.clone()),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(unavailable("the write panicked and was rolled back")),
        };
        // The caller may be gone; what was committed stays committed.
        let _ = self.answer.send(outcome);
    }
}

/// Runs the writes in one transaction and answers each. If the commit fails, none has an effect.
pub(super) fn commit_together(connection: &mut Connection, mut writes: Vec<Box<dyn Write>>) {
    let committed = run_all(connection, &mut writes);
    for write in writes {
        write.answer(&committed);
    }
}

fn run_all(connection: &mut Connection, writes: &mut [Box<dyn Write>]) -> Result<()> {
    // Dropping the transaction rolls it back.
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for write in writes {
        run_one(&tx, write.as_mut())?;
    }
    Ok(tx.commit()?)
}

/// An error means that the transaction as a whole cannot go on.
fn run_one(tx: &Transaction<'_>, write: &mut dyn Write) -> Result<()> {
    execute(tx, "SAVEPOINT one_write", [])?;
    let kept = catch_unwind(AssertUnwindSafe(|| write.run(tx))).unwrap_or_else(|_panic| {
        tracing::error!("store write panicked, rolled back");
        false
    });
    if tx.is_autocommit() {
        // A full disk or an I/O error can end the transaction. Without this check, each later
        // statement would be committed on its own.
        return Err(unavailable("SQLite rolled back the transaction after an error"));
    }
    if !kept {
        execute(tx, "ROLLBACK TO one_write", [])?;
    }
    execute(tx, "RELEASE one_write", [])?;
    Ok(())
}

fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable { reason: reason.to_owned(), retry_after: Duration::from_secs(2) }
}
