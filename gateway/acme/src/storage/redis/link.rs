//! A connection that is made when it is needed, and made anew when it is lost or leads to a server
//! that is no master now.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisFuture,
    RedisResult, ScriptInvocation, ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::DEADLINE;
use super::address::Target;

/// Every question may be asked again: scripts say nothing new the second time, or find the lock
/// taken.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Link {
    target: Target,
    present: Mutex<Present>,
}

/// The connection at hand, and how many there have been.
#[derive(Default)]
struct Present {
    number: u64,
    connection: Option<Connection>,
}

/// What is asked.
#[derive(Clone, Copy)]
pub(super) enum Question<'a> {
    Script(&'a ScriptInvocation<'a>),
    Command(&'a Cmd),
}

impl Link {
    pub(super) fn new(target: Target) -> Self {
        Self { target, present: Mutex::default() }
    }

    /// The answer, within one deadline for all attempts.
    pub(super) async fn ask<T: FromRedisValue>(&self, question: Question<'_>) -> RedisResult<T> {
        let mut number = 0;
        let asking = async {
            let mut attempt = 1;
            loop {
                let error = match self.attempt(question, &mut number).await {
                    Ok(value) => return Ok(value),
                    Err(error) => error,
                };
                if connection_is_lost(&error) {
                    self.discard(number).await;
                }
                if attempt == ATTEMPTS || !may_pass(&error) {
                    return Err(error);
                }
                tokio::time::sleep(PAUSE * (1 << attempt)).await;
                attempt += 1;
            }
        };
        match timeout(DEADLINE, asking).await {
            Ok(answer) => answer,
            Err(_) => {
                self.discard(number).await;
                Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer within 5 s")
                    .into())
            }
        }
    }

    async fn attempt<T: FromRedisValue>(
        &self,
        question: Question<'_>,
        number: &mut u64,
    ) -> RedisResult<T> {
        let mut connection = {
            let mut present = self.present.lock().await;
            if present.connection.is_none() {
                present.connection = Some(Connection::open(&self.target).await?);
                present.number += 1;
            }
            *number = present.number;
            present
                .connection
                .clone()
                .ok_or_else(|| RedisError::from(std::io::Error::other("no connection")))?
        };
        match question {
            Question::Script(script) => script.invoke_async(&mut connection).await,
            Question::Command(command) => command.query_async(&mut connection).await,
        }
    }

    /// Forgets a lost connection, unless somebody has replaced it already.
    async fn discard(&self, number: u64) {
        let mut present = self.present.lock().await;
        if present.number == number {
            present.connection = None;
        }
    }
}

#[derive(Clone)]
enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    async fn open(target: &Target) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE));
        match target {
            Target::Single(client) => {
                client.get_multiplexed_async_connection_with_config(&config).await.map(Self::Single)
            }
            Target::Sentinel(client) => client
                .lock()
                .await
                .get_async_connection_with_config(&config)
                .await
                .map(Self::Single),
            Target::Cluster(client) => client.get_async_connection().await.map(Self::Cluster),
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(cmd, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        0
    }
}

/// Nothing more will come over this connection; or, after a failover, it leads to the wrong server.
fn connection_is_lost(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Parse => false,
        ErrorKind::Server(ServerErrorKind::ReadOnly) => true,
        _ => error.is_io_error() || error.is_unrecoverable_error(),
    }
}

/// The same question may be answered a moment later.
fn may_pass(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::NoScript
        ),
        _ => error.is_connection_dropped(),
    }
}
