//! One thread with one connection: SQLite blocks, so it never runs on the threads of the async
//! runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::error::{Result, StoreError};

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Jobs queued for the thread.
const QUEUE: usize = 1024;
/// Deadline for queueing a job and getting its result.
const DEADLINE: Duration = Duration::from_secs(10);

/// A thread that runs transactions one at a time. Dropping it finishes the queued ones.
pub(super) struct Worker {
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    behavior: TransactionBehavior,
}

impl Worker {
    /// Starts the thread that owns `connection`.
    pub(super) fn start(
        name: &str,
        connection: Connection,
        behavior: TransactionBehavior,
    ) -> Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work_off(connection, jobs))
            .map_err(|error| {
                StoreError::Setup(format!("cannot start the thread {name}: {error}"))
            })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), behavior })
    }

    /// Runs `work` in its own transaction, which is committed when it returns `Ok`.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let behavior = self.behavior;
        self.run_alone(move |connection| transact(connection, behavior, work)).await
    }

    /// Runs `work` outside a transaction.
    pub(super) async fn run_alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // The caller may be gone; what was committed stays committed.
            let _ = answer.send(work(connection));
        });
        let queue = self.queue.as_ref().expect("only drop takes the queue");
        let through = async {
            queue.send(job).await.map_err(|_| ended())?;
            answered.await.map_err(|_| ended())?
        };
        tokio::time::timeout(DEADLINE, through).await.unwrap_or_else(|_| {
            Err(unavailable(format!("SQLite did not respond within {} s", DEADLINE.as_secs())))
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("store thread panicked");
        }
    }
}

fn work_off(mut connection: Connection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.blocking_recv() {
        // Unwinding rolls the transaction back, and the connection stays usable.
        if catch_unwind(AssertUnwindSafe(|| job(&mut connection))).is_err() {
            tracing::error!("store transaction panicked, rolled back");
        }
    }
}

fn transact<T>(
    connection: &mut Connection,
    behavior: TransactionBehavior,
    work: impl FnOnce(&Transaction<'_>) -> Result<T>,
) -> Result<T> {
    let tx = connection.transaction_with_behavior(behavior)?;
    let value = work(&tx)?;
    tx.commit()?;
    Ok(value)
}

fn ended() -> StoreError {
    unavailable("the store's thread has ended".into())
}

fn unavailable(reason: String) -> StoreError {
    StoreError::Unavailable { reason, retry_after: Duration::from_secs(1) }
}
