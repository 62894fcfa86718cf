//! One request at one target, as both its hooks and its connection see it: how far it is, and what
//! took too long.

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
use super::connection::{Connection, TargetConnection};
use crate::serving::held::Holding;

/// How long each stage may last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Silence within the body of the request.
    pub(crate) body: Duration,
    /// From the last octet of the request to the head of the answer.
    pub(crate) first_byte: Duration,
    /// Silence within the answer.
    pub(crate) idle: Duration,
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// The client, with the rest of its request.
    Body,
    /// The target, with the head of its answer.
    FirstByte,
    /// The target, with the rest of its answer.
    Idle,
    /// The target, with taking what it is sent.
    Write,
}

impl Late {
    /// The reason as a label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::FirstByte => "first_byte",
            Self::Idle => "idle",
            Self::Write => "write",
        }
    }
}

/// A request at a target.
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
/// Longest time for a target to take what it is sent.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Nothing,
    Request,
    Head,
    Answer,
    Room,
}

impl Call {
    /// A request that is about to be sent.
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

    /// The target as Pingora wants it.
    pub(crate) fn peer(self: &Arc<Self>) -> Box<HttpPeer> {
        let mut peer = self.target.peer();
        peer.options.custom_l4 = Some(Arc::clone(self) as _);
        peer
    }

    /// The request was sent to its end.
    pub(crate) fn sent(&self) {
        self.reached.fetch_or(SENT, Ordering::AcqRel);
    }

    /// The head of the answer is there.
    pub(crate) fn begun(&self) {
        self.reached.fetch_or(BEGUN, Ordering::AcqRel);
    }

    /// The answer has come to its end.
    pub(crate) fn over(&self) {
        self.reached.fetch_or(OVER, Ordering::AcqRel);
    }

    /// Whether it went over a connection that had served another request before.
    pub(crate) fn reused(&self) -> bool {
        self.has(REUSED)
    }

    /// What took too long, if that is how it ended.
    pub(crate) fn late(&self) -> Option<Late> {
        self.late.get().copied()
    }

    /// Whether nothing is to be sent or read any more, so that a connection can serve another
    /// request.
    pub(super) fn is_over(&self) -> bool {
        self.has(SENT | OVER)
    }

    /// What the request holds.
    pub(super) fn holding(&self) -> &Holding {
        &self.holding
    }

    /// What the connection waits for when it reads.
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

    /// How long it may.
    pub(super) fn limit(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Request => self.patience.body,
            Stage::Head => self.patience.first_byte,
            Stage::Nothing | Stage::Answer => self.patience.idle,
            Stage::Room => WRITE_PATIENCE,
        }
    }

    /// The shortest of all limits; never none, which a timer could not count.
    pub(super) fn shortest(&self) -> Duration {
        self.patience
            .body
            .min(self.patience.first_byte)
            .min(self.patience.idle)
            .max(Duration::from_millis(1))
    }

    /// It waited for too long; the reason is kept, and the error ends the connection.
    pub(super) fn give_up(&self, stage: Stage) -> io::Error {
        let late = match stage {
            Stage::Request => Late::Body,
            Stage::Head => Late::FirstByte,
            Stage::Nothing | Stage::Answer => Late::Idle,
            Stage::Room => Late::Write,
        };
        // The first verdict is the right one.
        let _ = self.late.set(late);
        io::ErrorKind::TimedOut.into()
    }

    /// Takes a connection back that can serve another request.
    pub(super) fn hand_back(&self, connection: TargetConnection) {
        self.target.idle.keep(connection);
    }

    fn has(&self, flags: u8) -> bool {
        self.reached.load(Ordering::Acquire) & flags == flags
    }
}

/// Pingora's own pool knows neither targets nor the deadlines of a request: it always gets a
/// connection from here, and never one to keep.
#[async_trait]
impl L4Connect for Call {
    async fn connect(&self, _: &SocketAddr) -> Result<Stream> {
        let Some(call) = self.me.upgrade() else {
            return Error::e_explain(ErrorType::InternalError, "the call is gone");
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
