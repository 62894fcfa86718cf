//! A connection that comes back by itself. Each attempt has a deadline, each call a bounded number
//! of attempts.

use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisFuture,
    RedisResult, ScriptInvocation, ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::broker::Hearing;
use super::settings::{DEADLINE, Target};
use crate::error::{Result, StoreError};

/// Attempts of one call, with a pause of about 50 ms, 150 ms … between them.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);

/// When to try again after all attempts failed.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// A connection, shared by all who clone it.
#[derive(Clone)]
pub(super) enum Connection {
    /// To one server.
    Single(MultiplexedConnection),
    /// To all nodes of a cluster.
    Cluster(ClusterConnection),
}

impl Connection {
    /// Connects, with a deadline.
    pub(super) async fn open(target: &Target, hearing: Option<&Hearing>) -> RedisResult<Self> {
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE))
            .set_pipeline_buffer_size(1024);
        if let Some(hearing) = hearing {
            config = config.set_push_sender(hearing.clone());
        }
        let connecting = async {
            match target {
                Target::Single(client) => client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await
                    .map(Self::Single),
                Target::Sentinel(client) => client
                    .lock()
                    .await
                    .get_async_connection_with_config(&config)
                    .await
                    .map(Self::Single),
                Target::Cluster(client) => client.get_async_connection().await.map(Self::Cluster),
            }
        };
        timeout(2 * DEADLINE, connecting).await.unwrap_or_else(|_| Err(late()))
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

/// Sends commands and scripts. All of them may be sent twice, so each must bear it.
pub(super) struct Link {
    target: Target,
    /// One caller connects while the others wait for the outcome.
    present: Mutex<Present>,
}

#[derive(Default)]
struct Present {
    /// How many connections there have been.
    number: u64,
    connection: Option<Connection>,
    /// When connecting last failed, and why: those who waited for it need not try themselves.
    failed: Option<(Instant, RedisError)>,
}

impl Link {
    pub(super) fn new(target: Target) -> Self {
        Self { target, present: Mutex::default() }
    }

    /// Runs a script. `place` says what it works on, for the operator.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        place: &str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T> {
        self.attempts(place, Question::Script(script)).await
    }

    /// Sends a command.
    pub(super) async fn command<T: FromRedisValue>(&self, place: &str, command: &Cmd) -> Result<T> {
        self.attempts(place, Question::Command(command)).await
    }

    async fn attempts<T: FromRedisValue>(&self, place: &str, question: Question<'_>) -> Result<T> {
        let mut attempt = 1;
        loop {
            let (number, outcome) = match self.connection().await {
                Ok((number, connection)) => {
                    (number, timeout(DEADLINE, question.ask(connection)).await)
                }
                Err(error) => (0, Ok(Err(error))),
            };
            let error = match outcome {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                Err(_) => late(),
            };
            let slow = error.is_timeout();
            if connection_is_lost(&error) {
                self.discard(number).await;
            }
            if slow || attempt == ATTEMPTS || !may_pass(&error) {
                return Err(translate(place, &error));
            }
            let pause = PAUSE * (1 << attempt);
            tokio::time::sleep(pause.mul_f32(0.5 + rand::random::<f32>() / 2.0)).await;
            attempt += 1;
        }
    }

    async fn connection(&self) -> RedisResult<(u64, Connection)> {
        let asked = Instant::now();
        let mut present = self.present.lock().await;
        if let Some(connection) = &present.connection {
            return Ok((present.number, connection.clone()));
        }
        if let Some((_, error)) = present.failed.as_ref().filter(|(when, _)| *when >= asked) {
            return Err(error.clone());
        }
        match Connection::open(&self.target, None).await {
            Ok(connection) => {
                present.number += 1;
                present.connection = Some(connection.clone());
                Ok((present.number, connection))
            }
            Err(error) => {
                present.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
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

/// What is sent, as often as it takes.
#[derive(Clone, Copy)]
enum Question<'a> {
    Script(&'a ScriptInvocation<'a>),
    Command(&'a Cmd),
}

impl Question<'_> {
    async fn ask<T: FromRedisValue>(self, mut connection: Connection) -> RedisResult<T> {
        match self {
            Self::Script(script) => script.invoke_async(&mut connection).await,
            Self::Command(command) => command.query_async(&mut connection).await,
        }
    }
}

fn late() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// Nothing more will come over this connection; or, after a failover, it leads to the wrong server.
fn connection_is_lost(error: &RedisError) -> bool {
    match error.kind() {
        // A value of another type than expected: the connection is fine.
        ErrorKind::Parse => false,
        ErrorKind::Server(ServerErrorKind::ReadOnly) => true,
        _ => error.is_io_error() || error.is_unrecoverable_error(),
    }
}

/// The same call may succeed later.
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

/// A fault of the connection or of what is kept: who can mend it differs.
pub(super) fn translate(place: &str, error: &RedisError) -> StoreError {
    let kept_wrongly = match error.kind() {
        ErrorKind::UnexpectedReturnType | ErrorKind::Parse => true,
        ErrorKind::Server(kind) => {
            matches!(kind, ServerErrorKind::ResponseError | ServerErrorKind::CrossSlot)
        }
        ErrorKind::Extension => error.code() == Some("WRONGTYPE"),
        _ => false,
    };
    if kept_wrongly {
        return StoreError::Corrupt { place: place.to_owned(), reason: error.to_string() };
    }
    StoreError::Unavailable { reason: error.to_string(), retry_after: RETRY_AFTER }
}
