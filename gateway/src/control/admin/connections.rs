//! Connections of the admin address: limited in number, with timeouts for request heads, idle
//! connections and clients that do not read.

mod deadlines;

use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use deadlines::{Deadlines, Phase};

/// Maximum open connections; operators, probes and scrapers need only a few.
const MOST: usize = 64;
/// Maximum size of a request head, in bytes.
const HEAD_BYTES: usize = 16 * 1024;
/// Interval of warnings about too many connections.
const QUIET: Duration = Duration::from_secs(10);
/// Delay after a failed accept, for example because no file descriptor is left.
const PAUSE: Duration = Duration::from_millis(500);

/// Shared state of all connections; cheap to clone.
#[derive(Clone)]
pub(super) struct Connections {
    router: Router,
    seats: Arc<Mutex<Seats>>,
    tasks: TaskTracker,
    /// Stops accepting.
    close: CancellationToken,
    /// Closes connections without a request in progress.
    stop: CancellationToken,
    /// Closes all connections.
    cut: CancellationToken,
}

/// Open connections, oldest first.
#[derive(Default)]
struct Seats {
    next: u64,
    /// Suppresses warnings until this time.
    quiet_until: Option<Instant>,
    taken: BTreeMap<u64, (Arc<Phase>, CancellationToken)>,
}

impl Connections {
    pub(super) fn new(router: Router) -> Self {
        let token = CancellationToken::new;
        Self {
            router,
            seats: Arc::default(),
            tasks: TaskTracker::new(),
            close: token(),
            stop: token(),
            cut: token(),
        }
    }

    /// Accepts connections on this socket. The socket is closed before its connections.
    pub(super) fn accept_on(&self, socket: TcpListener) {
        let this = self.clone();
        self.tasks.spawn(async move {
            while let Some(accepted) = this.close.run_until_cancelled(socket.accept()).await {
                match accepted {
                    Ok((tcp, _)) => this.open(tcp),
                    Err(error) if is_the_peers(&error) => {}
                    Err(error) => {
                        tracing::error!(%error, "cannot accept a connection on the admin address");
                        this.close.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                    }
                }
            }
        });
    }

    /// Stops accepting, finishes requests that are open or arrive within `arrive`, and closes all
    /// connections after `finish`.
    pub(super) async fn end(self, arrive: Duration, finish: Duration) {
        self.close.cancel();
        // `stop` closes a connection whose first request has not been read, even if that request
        // has just arrived.
        tokio::time::sleep(arrive).await;
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(finish, self.tasks.wait()).await.is_err() {
            self.cut.cancel();
        }
    }

    fn open(&self, tcp: TcpStream) {
        let phase = Arc::new(Phase::default());
        let Some((seat, leave)) = self.seats().take(&phase) else {
            self.warn_that_all_are_answered();
            return;
        };
        let this = self.clone();
        self.tasks.spawn(async move {
            let serving = this.serve(tcp, phase);
            tokio::select! {
                () = serving => {}
                () = leave.cancelled() => {}
                () = this.cut.cancelled() => {}
            }
            this.seats().taken.remove(&seat);
        });
    }

    async fn serve(&self, tcp: TcpStream, phase: Arc<Phase>) {
        // A failure only makes responses slower.
        let _ = tcp.set_nodelay(true);
        let answering = Arc::clone(&phase);
        let service = service_fn(move |request: Request<Incoming>| {
            answering.begin_answer();
            let answer = self.router.clone().call(request.map(Body::new));
            let answering = Arc::clone(&answering);
            async move {
                let answer = answer.await;
                answering.end_answer();
                answer
            }
        });
        let io = TokioIo::new(Deadlines::new(tcp, phase));
        let mut connection =
            pin!(http1::Builder::new().max_buf_size(HEAD_BYTES).serve_connection(io, service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "admin connection closed early");
        }
    }

    /// Logs at most one warning per interval, because clients control how often this happens.
    fn warn_that_all_are_answered(&self) {
        let now = Instant::now();
        let mut seats = self.seats();
        if seats.quiet_until.is_none_or(|until| until <= now) {
            seats.quiet_until = Some(now + QUIET);
            drop(seats);
            tracing::warn!(
                most = MOST,
                "new admin connections are closed: all connection slots are in use"
            );
        }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    /// Takes a connection slot; the token closes its connection. If all slots are taken, the oldest
    /// connection without a complete request is closed, so that half-open requests do not lock out
    /// operators. `None` if there is no such connection.
    fn take(&mut self, phase: &Arc<Phase>) -> Option<(u64, CancellationToken)> {
        if self.taken.len() >= MOST {
            let waiting = self
                .taken
                .iter()
                .find(|(_, (phase, _))| !phase.is_answering())
                .map(|(seat, _)| *seat)?;
            let (_, leave) = self.taken.remove(&waiting)?;
            leave.cancel();
        }
        let (seat, leave) = (self.next, CancellationToken::new());
        self.next = self.next.wrapping_add(1);
        self.taken.insert(seat, (Arc::clone(phase), leave.clone()));
        Some((seat, leave))
    }
}

/// Whether the client closed the connection before it was accepted: accept(2).
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_connection_without_a_request_is_closed_for_a_new_one() {
        let mut seats = Seats::default();
        let phases: Vec<Arc<Phase>> = (0..=MOST).map(|_| Arc::default()).collect();
        phases[0].begin_answer();
        let taken: Vec<_> =
            phases[..MOST].iter().map(|phase| seats.take(phase).expect("a seat")).collect();
        let (last, _) = seats.take(&phases[MOST]).expect("a seat");
        assert_eq!(seats.taken.len(), MOST);
        let gone: Vec<u64> =
            taken.iter().filter(|(_, leave)| leave.is_cancelled()).map(|(seat, _)| *seat).collect();
        assert_eq!((gone, last), (vec![1], MOST as u64));
        phases.iter().for_each(|phase| phase.begin_answer());
        assert!(seats.take(&Arc::default()).is_none(), "connections with a request must stay open");
    }
}
