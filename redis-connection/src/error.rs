//! Errors by what a caller can do about them.

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why a command has no reply. The text is the server's or the library's and holds no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection, a lost one, or one to a server that is not the master any more.
    #[error("{0}")]
    Unavailable(String),
    /// The server replied that it cannot serve now: loading, failover, resharding.
    #[error("{0}")]
    NotReady(String),
    /// A deadline passed. The server may have run the command.
    #[error("no {waited_for} within {} s", .within.as_secs_f32())]
    Timeout {
        /// `connection` or `reply`.
        waited_for: &'static str,
        /// The deadline.
        within: Duration,
    },
    /// Refused for a reason that an operator has to remove: credentials, permissions, memory limit.
    #[error("{0}")]
    Refused(String),
    /// A reply of another type than expected, or a command that does not fit the stored value.
    #[error("{0}")]
    Unexpected(String),
}

impl Error {
    pub(crate) fn no_reply(within: Duration) -> Self {
        Self::Timeout { waited_for: "reply", within }
    }

    pub(crate) fn no_connection(within: Duration) -> Self {
        Self::Timeout { waited_for: "connection", within }
    }

    /// Classifies an error of the `redis` crate; `timeout` replaces its timeouts.
    pub(crate) fn new(error: &RedisError, timeout: Self) -> Self {
        if error.is_timeout() {
            return timeout;
        }
        let text = error.to_string();
        match error.kind() {
            ErrorKind::UnexpectedReturnType | ErrorKind::Parse => Self::Unexpected(text),
            ErrorKind::Extension if error.code() == Some("WRONGTYPE") => Self::Unexpected(text),
            ErrorKind::Io
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::MasterNameNotFoundBySentinel
            | ErrorKind::NoValidReplicasFoundBySentinel => Self::Unavailable(text),
            ErrorKind::Server(kind) => match kind {
                ServerErrorKind::ResponseError | ServerErrorKind::CrossSlot => {
                    Self::Unexpected(text)
                }
                // After a failover the connection leads to a replica.
                ServerErrorKind::ReadOnly => Self::Unavailable(text),
                ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::NoScript => Self::NotReady(text),
                _ => Self::Refused(text),
            },
            _ => Self::Refused(text),
        }
    }

    /// The connection is of no further use.
    pub(crate) fn is_connection_lost(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Timeout { .. })
    }

    /// The same command may succeed a moment later. Not after a timeout: the caller has waited long
    /// enough.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::NotReady(_))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(2500);

    fn new(error: RedisError) -> Error {
        Error::new(&error, Error::no_reply(LIMIT))
    }

    #[test]
    fn errors_are_classified_by_what_a_caller_can_do() {
        let io = |kind: io::ErrorKind| new(io::Error::from(kind).into());
        assert!(matches!(io(io::ErrorKind::ConnectionRefused), Error::Unavailable(_)));
        assert_eq!(io(io::ErrorKind::TimedOut), Error::no_reply(LIMIT));
        let server = |kind| new((ErrorKind::Server(kind), "text").into());
        assert!(server(ServerErrorKind::ReadOnly).is_connection_lost());
        let loading = server(ServerErrorKind::BusyLoading);
        assert!(loading.is_transient() && !loading.is_connection_lost());
        let refused = new((ErrorKind::AuthenticationFailed, "text").into());
        assert!(matches!(&refused, Error::Refused(_)) && !refused.is_transient());
        let wrong_type = new((ErrorKind::UnexpectedReturnType, "text").into());
        assert!(matches!(wrong_type, Error::Unexpected(_)));
    }

    #[test]
    fn a_timeout_names_its_deadline() {
        assert_eq!(Error::no_reply(LIMIT).to_string(), "no reply within 2.5 s");
        assert_eq!(Error::no_connection(2 * LIMIT).to_string(), "no connection within 5 s");
    }
}
