//! The data plane as one object: accept loops, connections and their end. What a request needs
//! comes from the snapshot.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use gateway_acme::Challenges;
use pingora::apps::HttpServerApp as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::Metrics;
use crate::serving::caps::Caps;
use crate::serving::challenges::Http01;
use crate::serving::connection::{self, Service};
use crate::serving::drain::Idle;
use crate::serving::listener::{AcceptLoop, Accepted};
use crate::serving::shared::Shared;
use crate::serving::snapshot::Snapshot;

/// Everything that carries traffic. Made once; a reload only stores another snapshot.
pub struct Plane {
    service: Arc<Service>,
    caps: Caps,
    tasks: TaskTracker,
    cut: CancellationToken,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut at the deadline.
    pub cut: usize,
}

impl Plane {
    /// A data plane that follows the given snapshot.
    pub fn new(snapshot: Arc<ArcSwap<Snapshot>>, metrics: Metrics, http01: Http01) -> Arc<Self> {
        let service = Service::new(Shared::new(snapshot, metrics, http01));
        let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
        Arc::new(Self { service: Arc::new(service), caps: Caps::default(), tasks, cut })
    }

    fn shared(&self) -> &Shared {
        self.service.shared()
    }

    /// What requests that begin now are served with.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.shared().snapshot.load_full()
    }

    /// Serves requests that begin from now on with this snapshot.
    pub(crate) fn follow(&self, snapshot: Arc<Snapshot>) {
        self.shared().snapshot.store(snapshot);
    }

    /// Answers ACME challenges with these from now on.
    pub fn answer_challenges(&self, challenges: Vec<Arc<Challenges>>) {
        self.shared().challenges.replace(challenges);
    }

    /// The port that plain HTTP redirects to when its listener names none.
    pub fn set_https_port(&self, port: u16) {
        self.shared().set_https_port(port);
    }

    /// Accepts connections for the listener of this name in the current snapshot, until `stop`.
    /// Connections that are open then go on; only [`drain`](Self::drain) ends them.
    pub fn serve(
        self: &Arc<Self>,
        socket: TcpListener,
        name: &str,
        stop: CancellationToken,
    ) -> JoinHandle<()> {
        let accepting = AcceptLoop {
            name: name.into(),
            snapshot: Arc::clone(&self.shared().snapshot),
            caps: self.caps.clone(),
            metrics: self.shared().metrics.listener(name),
        };
        let plane = Arc::clone(self);
        tokio::spawn(accepting.run(socket, move |accepted| plane.carry(accepted), stop))
    }

    /// Carries a connection in a task that is dropped when the drain's deadline passes.
    fn carry(&self, accepted: Accepted) {
        let (service, cut) = (Arc::clone(&self.service), self.cut.clone());
        self.tasks.spawn(async move {
            cut.run_until_cancelled_owned(connection::serve(service, accepted)).await;
        });
    }

    /// Connections carried now.
    pub fn connections(&self) -> usize {
        self.tasks.len()
    }

    /// Ends all connections: requests when they are answered, WebSockets when their backend or
    /// client ends them, idle ones as `idle` has it, and the rest when `deadline` has passed. Stop
    /// accepting first.
    pub async fn drain(&self, deadline: Duration, idle: Idle) -> Drained {
        let until = Instant::now() + deadline;
        self.shared().drain.begin(idle);
        if idle == Idle::Ends {
            self.service.proxy().http_cleanup().await;
        }
        self.tasks.close();
        let mut cut = 0;
        if tokio::time::timeout_at(until, self.tasks.wait()).await.is_err() {
            cut = self.tasks.len();
            self.cut.cancel();
            self.tasks.wait().await;
        }
        self.shared().snapshot.load().access_log.flush();
        Drained { cut }
    }
}
