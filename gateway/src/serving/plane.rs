//! The data plane as one object: accept loops, connections and their end. What a request needs
//! comes from the snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use gateway_acme::Challenges;
use pingora::apps::HttpServerApp as _;
use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::Metrics;
use crate::serving::connection;
use crate::serving::filters::RateLimits;
use crate::serving::held::Holdings;
use crate::serving::listener::Caps;
use crate::serving::proxy::Proxy;
use crate::serving::snapshot::Snapshot;

/// Answers an ACME HTTP-01 challenge: token to key authorization (RFC 8555 section 8.3).
pub(crate) type Http01 = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Everything that carries traffic. Made once; a reload only stores another snapshot.
pub struct Plane {
    pub(crate) shared: Arc<Shared>,
    pub(crate) proxy: Arc<HttpProxy<Proxy>>,
    pub(crate) caps: Caps,
    http01: Http01,
    acme: ArcSwap<Vec<Arc<Challenges>>>,
    tasks: TaskTracker,
    draining: watch::Sender<bool>,
    idle_may_ask: AtomicBool,
    cut: CancellationToken,
    https_port: AtomicU16,
}

/// What outlives snapshots and is needed wherever a request is.
pub(crate) struct Shared {
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) metrics: Metrics,
    pub(crate) rate_limits: RateLimits,
    pub(crate) holdings: Arc<Holdings>,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut at the deadline.
    pub cut: usize,
}

/// What a drain does with connections that have no request in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// They end at once. A request that is on its way just then is lost: HTTP/1.1 has no means to
    /// say so before.
    Ends,
    /// They may ask once more, and are told with the answer that it was the last. For when there is
    /// no hurry.
    MayAsk,
}

impl Plane {
    /// A data plane that follows the given snapshot.
    pub fn new(snapshot: Arc<ArcSwap<Snapshot>>, metrics: Metrics, http01: Http01) -> Arc<Self> {
        let holdings = Holdings::new(metrics.held_bytes());
        let shared =
            Arc::new(Shared { snapshot, metrics, rate_limits: RateLimits::default(), holdings });
        let conf = ServerConf {
            // Nothing gets there: each target keeps its own idle connections.
            upstream_keepalive_pool_size: 1,
            // The retry budget decides; this only ends what it could never allow.
            max_retries: 16,
            ..ServerConf::default()
        };
        let proxy = pingora::proxy::http_proxy(&Arc::new(conf), Proxy::new(Arc::clone(&shared)));
        Arc::new(Self {
            shared,
            proxy: Arc::new(proxy),
            caps: Caps::default(),
            http01,
            acme: ArcSwap::default(),
            tasks: TaskTracker::new(),
            draining: watch::Sender::new(false),
            idle_may_ask: AtomicBool::new(false),
            cut: CancellationToken::new(),
            https_port: AtomicU16::new(443),
        })
    }

    /// Answers ACME challenges with these from now on.
    pub fn answer_challenges(&self, challenges: Vec<Arc<Challenges>>) {
        self.acme.store(Arc::new(challenges));
    }

    pub(crate) fn challenges(&self) -> Arc<Vec<Arc<Challenges>>> {
        self.acme.load_full()
    }

    /// The key authorization for a token of HTTP-01, if somebody waits for it.
    pub(crate) async fn http01(&self, token: &str) -> Option<String> {
        if let Some(found) = (self.http01)(token) {
            return Some(found);
        }
        for challenges in self.challenges().iter() {
            if let Some(found) = challenges.http01(token).await {
                return Some(found);
            }
        }
        None
    }

    /// The port that plain HTTP redirects to when its listener names none.
    pub fn set_https_port(&self, port: u16) {
        self.https_port.store(port, Ordering::Relaxed);
    }

    pub(crate) fn https_port(&self) -> u16 {
        self.https_port.load(Ordering::Relaxed)
    }

    /// Accepts connections for the listener of this name in the current snapshot, until `stop`.
    /// Connections that are open then go on; only [`drain`](Self::drain) ends them.
    pub fn serve(
        self: &Arc<Self>,
        listener: TcpListener,
        name: &str,
        stop: CancellationToken,
    ) -> JoinHandle<()> {
        tokio::spawn(crate::serving::listener::accept_loop(
            Arc::clone(self),
            listener,
            name.into(),
            stop,
        ))
    }

    /// Takes a task that carries a connection; it is dropped when the drain's deadline passes.
    pub(crate) fn carry(self: &Arc<Self>, accepted: connection::Accepted) {
        let plane = Arc::clone(self);
        self.tasks.spawn(async move {
            let cut = plane.cut.clone();
            cut.run_until_cancelled_owned(connection::serve(plane, accepted)).await;
        });
    }

    /// Turns true when the drain begins.
    pub(crate) fn drain_signal(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// Until a drain that ends connections without a request in them; forever in any other.
    pub(crate) async fn idle_ends(&self, draining: &mut watch::Receiver<bool>) {
        // An error is the end of the plane.
        let begun = draining.wait_for(|draining| *draining).await.is_ok();
        if begun && self.idle_may_ask() {
            std::future::pending().await
        }
    }

    /// Whether a drain that has begun lets connections without a request in them ask once more.
    pub(crate) fn idle_may_ask(&self) -> bool {
        self.idle_may_ask.load(Ordering::Acquire)
    }

    /// Connections carried now.
    pub fn connections(&self) -> usize {
        self.tasks.len()
    }

    /// Ends all connections: requests when they are answered, WebSockets when their backend or
    /// client ends them, idle ones as said, and what is left when `deadline` has passed. Stop
    /// accepting first.
    pub async fn drain(&self, deadline: Duration, idle: Idle) -> Drained {
        let until = Instant::now() + deadline;
        self.idle_may_ask.store(idle == Idle::MayAsk, Ordering::Release);
        self.draining.send_replace(true);
        if idle == Idle::Ends {
            self.proxy.http_cleanup().await;
        }
        self.tasks.close();
        let mut cut = 0;
        if tokio::time::timeout_at(until, self.tasks.wait()).await.is_err() {
            cut = self.tasks.len();
            self.cut.cancel();
            self.tasks.wait().await;
        }
        self.shared.snapshot.load().access_log.flush();
        Drained { cut }
    }
}
