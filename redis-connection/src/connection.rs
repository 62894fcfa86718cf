//! A connection that is made on first use and again when it is lost.

use std::fmt;
use std::time::{Duration, Instant};

use redis::{Cmd, FromRedisValue, ScriptInvocation};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::Error;
use crate::established::Established;
use crate::retry::{Backoff, LastFailure};
use crate::target::Target;

/// Attempts of one call, with pauses of at most 100, 200 and 400 ms between them.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Sends commands and scripts, with retries. A command may be sent more than once, so each must
/// tolerate it.
pub struct Connection {
    target: Target,
    /// Locked while one caller connects; the others wait for the outcome.
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    /// How many connections there have been.
    number: u64,
    established: Option<Established>,
    failed: LastFailure,
}

impl Connection {
    /// Connects on the first call.
    pub fn new(target: Target) -> Self {
        Self { target, current: Mutex::default() }
    }

    /// Sends a command.
    pub async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        self.call(Request::Command(command)).await
    }

    /// Runs a script.
    pub async fn script<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Error> {
        self.call(Request::Script(script)).await
    }

    /// The number of the current connection; each new one has another. Connects when there is none.
    pub async fn number(&self) -> Result<u64, Error> {
        Ok(self.established().await?.0)
    }

    /// Sends a command once, and only over the connection with this number: for commands that refer
    /// to earlier ones of their connection.
    pub async fn command_over<T: FromRedisValue>(
        &self,
        number: u64,
        command: &Cmd,
    ) -> Result<T, Error> {
        let (current, established) = self.established().await?;
        if current != number {
            return Err(Error::Unavailable("the connection was replaced meanwhile".to_owned()));
        }
        let reply = established.command(command).await;
        if reply.as_ref().is_err_and(Error::is_connection_lost) {
            self.discard(number).await;
        }
        reply
    }

    /// The reply, within one deadline for all attempts.
    async fn call<T: FromRedisValue>(&self, request: Request<'_>) -> Result<T, Error> {
        let limit = self.target.options.call;
        let mut number = 0;
        match timeout(limit, self.attempts(request, &mut number)).await {
            Ok(reply) => reply,
            Err(_) => {
                self.discard(number).await;
                Err(Error::no_reply(limit))
            }
        }
    }

    /// `number` is set to that of the connection in use.
    async fn attempts<T: FromRedisValue>(
        &self,
        request: Request<'_>,
        number: &mut u64,
    ) -> Result<T, Error> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut attempt = 1;
        loop {
            let error = match self.attempt(request, number).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            if error.is_connection_lost() {
                self.discard(*number).await;
            }
            if attempt == ATTEMPTS || !error.is_transient() {
                return Err(error);
            }
            tokio::time::sleep(backoff.next_pause()).await;
            attempt += 1;
        }
    }

    async fn attempt<T: FromRedisValue>(
        &self,
        request: Request<'_>,
        number: &mut u64,
    ) -> Result<T, Error> {
        let (current, established) = self.established().await?;
        *number = current;
        match request {
            Request::Command(command) => established.command(command).await,
            Request::Script(script) => established.script(script).await,
        }
    }

    /// The connection and its number. Connects when there is none; a failure is shared by all
    /// callers that waited for this attempt.
    async fn established(&self) -> Result<(u64, Established), Error> {
        let began = Instant::now();
        let mut current = self.current.lock().await;
        if let Some(established) = &current.established {
            return Ok((current.number, established.clone()));
        }
        if let Some(error) = current.failed.since(began) {
            return Err(error);
        }
        match self.target.open().await {
            Ok(established) => {
                current.number += 1;
                current.established = Some(established.clone());
                Ok((current.number, established))
            }
            Err(error) => {
                current.failed.record(error.clone());
                Err(error)
            }
        }
    }

    /// Drops a lost connection, unless another caller has replaced it already.
    async fn discard(&self, number: u64) {
        let mut current = self.current.lock().await;
        if current.number == number {
            current.established = None;
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("target", &self.target).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
enum Request<'a> {
    Command(&'a Cmd),
    Script(&'a ScriptInvocation<'a>),
}

#[cfg(test)]
mod tests;
