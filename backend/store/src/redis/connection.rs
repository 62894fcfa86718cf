//! The connection for commands and scripts, with errors of the store.

use std::time::Duration;

use redis::{Cmd, FromRedisValue, ScriptInvocation};
use redis_connection::{Error, Target};

use crate::error::{Result, StoreError};

/// When a retry makes sense after all attempts of a call failed.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Sends commands and scripts. Each may be sent more than once, so each must tolerate it.
pub(super) struct Connection(redis_connection::Connection);

impl Connection {
    pub(super) fn new(target: Target) -> Self {
        Self(redis_connection::Connection::new(target))
    }

    /// Runs a script. `place` names what it works on, for the operator.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        place: &str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T> {
        self.0.script(script).await.map_err(|error| store_error(place, error))
    }

    /// Sends a command.
    pub(super) async fn command<T: FromRedisValue>(&self, place: &str, command: &Cmd) -> Result<T> {
        self.0.command(command).await.map_err(|error| store_error(place, error))
    }

    /// The number of the current connection.
    pub(super) async fn number(&self) -> Result<u64> {
        self.0.number().await.map_err(|error| store_error("the connection", error))
    }

    /// Sends a command once, and only over the connection with this number.
    pub(super) async fn command_over<T: FromRedisValue>(
        &self,
        number: u64,
        place: &str,
        command: &Cmd,
    ) -> Result<T> {
        let reply = self.0.command_over(number, command).await;
        reply.map_err(|error| store_error(place, error))
    }
}

/// An unexpected reply means that the stored value is corrupt; everything else may pass.
pub(super) fn store_error(place: &str, error: Error) -> StoreError {
    match error {
        Error::Unexpected(reason) => StoreError::Corrupt { place: place.to_owned(), reason },
        Error::Unavailable(_) | Error::NotReady(_) | Error::Timeout { .. } | Error::Refused(_) => {
            StoreError::Unavailable { reason: error.to_string(), retry_after: RETRY_AFTER }
        }
    }
}
