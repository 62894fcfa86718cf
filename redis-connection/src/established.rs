//! One established connection, shared by its clones. It does not reconnect.

use std::fmt;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, Pipeline, RedisFuture, RedisResult, ScriptInvocation, Value};
use tokio::time::timeout;

use crate::error::Error;

/// A connection to one server, or to all nodes of a cluster. Each command has a deadline.
#[derive(Clone)]
pub struct Established {
    transport: Transport,
    reply: Duration,
}

#[derive(Clone)]
pub(crate) enum Transport {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Established {
    pub(crate) fn new(transport: Transport, reply: Duration) -> Self {
        Self { transport, reply }
    }

    /// Sends a command.
    pub async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        let mut transport = self.transport.clone();
        self.in_time(command.query_async(&mut transport)).await
    }

    /// Runs a script: by its hash, with its text when the server does not have it.
    pub async fn script<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Error> {
        let mut transport = self.transport.clone();
        self.in_time(script.invoke_async(&mut transport)).await
    }

    /// Subscribes to a sharded channel. A second subscription to the same channel has no effect.
    pub async fn ssubscribe(&self, channel: &str) -> Result<(), Error> {
        match self.transport.clone() {
            Transport::Single(_) => self.pub_sub("SSUBSCRIBE", channel).await,
            Transport::Cluster(mut cluster) => self.in_time(cluster.ssubscribe(channel)).await,
        }
    }

    /// Ends the subscription to a sharded channel.
    pub async fn sunsubscribe(&self, channel: &str) -> Result<(), Error> {
        match self.transport.clone() {
            Transport::Single(_) => self.pub_sub("SUNSUBSCRIBE", channel).await,
            Transport::Cluster(mut cluster) => self.in_time(cluster.sunsubscribe(channel)).await,
        }
    }

    async fn pub_sub(&self, command: &str, channel: &str) -> Result<(), Error> {
        self.command::<Value>(redis::cmd(command).arg(channel)).await.map(drop)
    }

    async fn in_time<T>(&self, reply: impl Future<Output = RedisResult<T>>) -> Result<T, Error> {
        let late = Error::no_reply(self.reply);
        match timeout(self.reply, reply).await {
            Ok(reply) => reply.map_err(|error| Error::new(&error, late)),
            Err(_) => Err(late),
        }
    }
}

impl fmt::Debug for Established {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Established").finish_non_exhaustive()
    }
}

impl ConnectionLike for Transport {
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
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
