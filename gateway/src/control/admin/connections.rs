//! The connections of the admin address: a bounded number, each with deadlines for the head of a
//! request, for idle time and for a client that does not read.

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

/// Most connections at once; operators, probes and scrapers need a few.
const MOST: usize = 64;
/// Most bytes of a head.
const HEAD_BYTES: usize = 16 * 1024;
/// Time between two warnings that there are too many.
const QUIET: Duration = Duration::from_secs(10);
/// Pause after a failure to accept, such as having no descriptors left.
const PAUSE: Duration = Duration::from_millis(500);

/// What serves them; cheap to clone.
#[derive(Clone)]
pub(super) struct Connections {
    router: Router,
    seats: Arc<Mutex<Seats>>,
    tasks: TaskTracker,
    /// Ends accepting.
    close: CancellationToken,
    /// Ends connections that have no request in them.
    stop: CancellationToken,
    /// Ends all.
    cut: CancellationToken,
}

/// The connections that are open, the oldest first.
#[derive(Default)]
struct Seats {
    next: u64,
    /// No further warning before this.
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

    /// Accepts on this socket, which is closed before the connections that came by it.
    pub(super) fn accept_on(&self, socket: TcpListener) {
        let this = self.clone();
        self.tasks.spawn(async move {
            while let Some(accepted) = this.close.run_until_cancelled(socket.accept()).await {
                match accepted {
                    Ok((tcp, _)) => this.open(tcp),
                    Err(error) if is_the_peers(&error) => {}
                    Err(error) => {
                        tracing::error!(%error, "cannot accept on the admin address");
                        this.close.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                    }
                }
            }
        });
    }

    /// Stops accepting, finishes requests that are open or arrive within the first time, cuts what
    /// is left after the other.
    pub(super) async fn end(self, arrive: Duration, finish: Duration) {
        self.close.cancel();
        // `stop` ends a connection whose first request has not been read, even if that has come
        // just then.
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
        // Without it answers are only slower.
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
            tracing::debug!(%error, "a connection to the admin address ended early");
        }
    }

    /// Once for each interval, as a peer decides how often this happens.
    fn warn_that_all_are_answered(&self) {
        let now = Instant::now();
        let mut seats = self.seats();
        if seats.quiet_until.is_none_or(|until| until <= now) {
            seats.quiet_until = Some(now + QUIET);
            drop(seats);
            tracing::warn!(
                most = MOST,
                "admin connections are closed on arrival: all open ones are being answered"
            );
        }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    /// A seat, and what ends its connection. When all are taken, the oldest connection without a
    /// whole request in it has to go, so that half-open heads do not keep an operator out; `None`:
    /// there is no such connection.
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

/// Whether the peer has gone before it was accepted: accept(2).
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_connection_without_a_request_makes_room_and_none_that_is_answered() {
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
        assert!(seats.take(&Arc::default()).is_none(), "every one of them is being answered");
    }
}
