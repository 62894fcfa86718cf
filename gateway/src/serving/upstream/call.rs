//! The state of one request to one target, shared by the proxy's hooks and the connection: its
//! stage, and which timeout fired.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use std::{fmt, io};

use async_trait::async_trait;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::VirtualSocketStream;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};

use super::Target;
use super::connection::Connection;
use super::target_connection::TargetConnection;
use crate::serving::held::Holding;

/// The timeouts of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Between two reads of the request body.
    pub(crate) body: Duration,
    /// From the end of the request to the head of the response.
    pub(crate) first_byte: Duration,
    /// Between two reads of the response.
    pub(crate) idle: Duration,
}

/// The timeout that fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// The client did not send the rest of its request.
    Body,
    /// The target did not send the head of its response.
    FirstByte,
    /// The target did not send the rest of its response.
    Idle,
    /// The target did not read the request.
    Write,
}

impl Late {
    /// The metric label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::FirstByte => "first_byte",
            Self::Idle => "idle",
            Self::Write => "write",
        }
    }
}

/// One request to one target.
pub(crate) struct Call {
    me: Weak<Self>,
    target: Arc<Target>,
    patience: Patience,
    holding: Arc<Holding>,
    reached: AtomicU8,
    late: OnceLock<Late>,
}

const SENT: u8 = 1;
const BEGUN: u8 = 2;
const OVER: u8 = 4;
const REUSED: u8 = 8;
/// Timeout for a target that does not read the request.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Nothing,
    Request,
    Head,
    Answer,
    Room,
}

impl Call {
    /// A request that is not sent yet.
    pub(super) fn new(
        target: &Arc<Target>,
        patience: Patience,
        holding: Arc<Holding>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            target: Arc::clone(target),
            patience,
            holding,
            reached: AtomicU8::new(0),
            late: OnceLock::new(),
        })
    }

    /// The target as a Pingora peer that connects through this call.
    pub(crate) fn peer(self: &Arc<Self>) -> Box<HttpPeer> {
        let mut peer = self.target.peer();
        peer.options.custom_l4 = Some(Arc::clone(self) as _);
        peer
    }

    /// Records the end of the request.
    pub(crate) fn sent(&self) {
        self.reached.fetch_or(SENT, Ordering::AcqRel);
    }

    /// Records the head of the response.
    pub(crate) fn begun(&self) {
        self.reached.fetch_or(BEGUN, Ordering::AcqRel);
    }

    /// Records the end of the response.
    pub(crate) fn over(&self) {
        self.reached.fetch_or(OVER, Ordering::AcqRel);
    }

    /// Whether the request was sent on a reused connection.
    pub(crate) fn reused(&self) -> bool {
        self.has(REUSED)
    }

    /// The timeout that ended the request, if one did.
    pub(crate) fn late(&self) -> Option<Late> {
        self.late.get().copied()
    }

    /// Whether request and response are complete, so that the connection can be reused.
    pub(super) fn is_over(&self) -> bool {
        self.has(SENT | OVER)
    }

    /// The memory account of the request.
    pub(super) fn holding(&self) -> &Holding {
        &self.holding
    }

    /// What the connection is waiting for when it reads.
    pub(super) fn stage(&self) -> Stage {
        let reached = self.reached.load(Ordering::Acquire);
        if reached & SENT == 0 {
            Stage::Request
        } else if reached & BEGUN == 0 {
            Stage::Head
        } else {
            Stage::Answer
        }
    }

    /// The timeout of a stage.
    pub(super) fn limit(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Request => self.patience.body,
            Stage::Head => self.patience.first_byte,
            Stage::Nothing | Stage::Answer => self.patience.idle,
            Stage::Room => WRITE_PATIENCE,
        }
    }

    /// The shortest timeout, at least 1 ms: a timer of zero would fire in a loop.
    pub(super) fn shortest(&self) -> Duration {
        self.patience
            .body
            .min(self.patience.first_byte)
            .min(self.patience.idle)
            .max(Duration::from_millis(1))
    }

    /// Records the timeout of a stage, and returns the error that ends the connection.
    pub(super) fn give_up(&self, stage: Stage) -> io::Error {
        let late = match stage {
            Stage::Request => Late::Body,
            Stage::Head => Late::FirstByte,
            Stage::Nothing | Stage::Answer => Late::Idle,
            Stage::Room => Late::Write,
        };
        // The first timeout is the cause.
        let _ = self.late.set(late);
        io::ErrorKind::TimedOut.into()
    }

    /// Returns a reusable connection to the target's idle connections.
    pub(super) fn hand_back(&self, connection: TargetConnection) {
        self.target.idle.keep(connection);
    }

    fn has(&self, flags: u8) -> bool {
        self.reached.load(Ordering::Acquire) & flags == flags
    }
}

/// Pingora's own connection pool supports neither targets nor the timeouts of a request. It gets
/// every connection from here, and keeps none.
#[async_trait]
impl L4Connect for Call {
    async fn connect(&self, _: &SocketAddr) -> Result<Stream> {
        let Some(call) = self.me.upgrade() else {
            return Error::e_explain(ErrorType::InternalError, "the call was dropped");
        };
        let connection = match self.target.idle.take() {
            Some(connection) => {
                self.reached.fetch_or(REUSED, Ordering::AcqRel);
                connection
            }
            None => self.target.connect().await.map_err(|error| {
                let kind = match error.kind() {
                    io::ErrorKind::TimedOut => ErrorType::ConnectTimedout,
                    io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
                    _ => ErrorType::ConnectError,
                };
                Error::because(kind, format!("connecting to {}", self.target.label), error)
            })?,
        };
        Ok(VirtualSocketStream::new(Box::new(Connection::new(connection, call))).into())
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("target", &self.target)
            .field("stage", &self.stage())
            .finish_non_exhaustive()
    }
}
