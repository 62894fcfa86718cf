//! One thread with one connection: SQLite blocks, so it never runs on the threads of the async
//! runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, Transaction};
use tokio::sync::{mpsc, oneshot};

use super::group::{self, Write, commit_together};
use crate::error::{Result, StoreError};

enum Job {
    /// Shares a transaction with the writes that wait next to it.
    Write(Box<dyn Write>),
    /// Has the connection for itself.
    Alone(Box<dyn FnOnce(&mut Connection) + Send>),
}

/// Jobs queued for the thread.
const QUEUE: usize = 1024;
/// Writes in one transaction. A larger group saves little and delays its first caller.
const GROUP: usize = 128;
/// Deadline for queueing a job and getting its result.
const DEADLINE: Duration = Duration::from_secs(10);

/// A thread that runs one transaction at a time. Dropping it finishes the queued jobs.
pub(super) struct Worker {
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread that owns `connection`.
    pub(super) fn start(name: &str, connection: Connection) -> Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work_off(connection, jobs))
            .map_err(|error| {
                StoreError::Setup(format!("cannot start the thread {name}: {error}"))
            })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs `work` in a transaction shared with other writes. Its effects are kept when it returns
    /// `Ok`. Returns after the commit.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (write, answered) = group::write(work);
        self.queue(Job::Write(write), answered).await
    }

    /// Runs `work` in its own transaction, for reads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run_alone(move |connection| {
            let tx = connection.transaction()?;
            let value = work(&tx)?;
            tx.commit()?;
            Ok(value)
        })
        .await
    }

    /// Runs `work` outside a transaction.
    pub(super) async fn run_alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |connection: &mut Connection| {
            // The caller may be gone.
            let _ = answer.send(work(connection));
        });
        self.queue(Job::Alone(job), answered).await
    }

    async fn queue<T>(&self, job: Job, answered: oneshot::Receiver<Result<T>>) -> Result<T> {
        let queue = self.queue.as_ref().expect("only drop takes the queue");
        let through = async {
            queue.send(job).await.map_err(|_| ended())?;
            answered.await.map_err(|_| ended())?
        };
        tokio::time::timeout(DEADLINE, through).await.unwrap_or_else(|_| {
            Err(unavailable(format!("SQLite did not respond within {} s", DEADLINE.as_secs())))
        })
    }

    /// How many jobs wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        let queue = self.queue.as_ref().expect("only drop takes the queue");
        queue.max_capacity() - queue.capacity()
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
    let mut next = jobs.blocking_recv();
    while let Some(job) = next {
        next = match job {
            Job::Write(first) => {
                let (writes, after) = waiting_writes(first, &mut jobs);
                commit_together(&mut connection, writes);
                after
            }
            Job::Alone(work) => {
                // Unwinding rolls the transaction back, and the connection stays usable.
                if catch_unwind(AssertUnwindSafe(|| work(&mut connection))).is_err() {
                    tracing::error!("store transaction panicked, rolled back");
                }
                None
            }
        };
        next = next.or_else(|| jobs.blocking_recv());
    }
}

/// The first write and those that wait directly after it, and the job that ends the group, if any.
fn waiting_writes(
    first: Box<dyn Write>,
    jobs: &mut mpsc::Receiver<Job>,
) -> (Vec<Box<dyn Write>>, Option<Job>) {
    let mut writes = vec![first];
    while writes.len() < GROUP {
        match jobs.try_recv() {
            Ok(Job::Write(write)) => writes.push(write),
            Ok(alone) => return (writes, Some(alone)),
            Err(_) => break,
        }
    }
    (writes, None)
}

fn ended() -> StoreError {
    unavailable("the store's thread has ended".into())
}

fn unavailable(reason: String) -> StoreError {
    StoreError::Unavailable { reason, retry_after: Duration::from_secs(1) }
}
