//! Accepts connections: within the caps, and without a pause when descriptors run out.

mod proxy_header;

pub(crate) use proxy_header::read_proxy_header;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::metrics::{ConnectionRefusal, ListenerMetrics};
use crate::serving::caps::{Caps, ConnectionSlot};
use crate::serving::snapshot::{ListenerState, Snapshot};

/// Pause when accepting fails for want of descriptors or memory: long enough not to spin, short
/// enough not to be felt.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(20);

/// A connection as the accept loop passes it on.
pub(crate) struct Accepted {
    pub(crate) tcp: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) listener: Arc<ListenerState>,
    pub(crate) slot: ConnectionSlot,
    /// Whether it begins with a PROXY header, which names the client.
    pub(crate) behind_proxy: bool,
    pub(crate) metrics: Arc<ListenerMetrics>,
}

/// What accepts on the sockets of one listener.
pub(crate) struct AcceptLoop {
    pub(crate) name: Arc<str>,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) caps: Caps,
    pub(crate) metrics: Arc<ListenerMetrics>,
}

impl AcceptLoop {
    /// Accepts until `stop`.
    pub(crate) async fn run(
        self,
        socket: TcpListener,
        carry: impl Fn(Accepted),
        stop: CancellationToken,
    ) {
        loop {
            let (tcp, peer) = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = accept(|| socket.accept(), &self.name, &self.metrics) => accepted,
            };
            if let Some(accepted) = self.admit(tcp, peer) {
                carry(accepted);
            }
        }
    }

    fn admit(&self, tcp: TcpStream, peer: SocketAddr) -> Option<Accepted> {
        let listener = self.snapshot.load().listener(&self.name)?;
        // Behind a balancer the peer's address is the balancer's; its clients are counted once the
        // PROXY header is read.
        let behind_proxy = listener.trusts_proxy_header(peer.ip());
        let address = (!behind_proxy).then(|| peer.ip());
        let slot = match self.caps.enter(&self.name, address, &listener.caps) {
            Ok(slot) => slot,
            Err(refusal) => {
                self.metrics.refused(refusal);
                return None;
            }
        };
        self.metrics.accepted.inc();
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let metrics = Arc::clone(&self.metrics);
        Some(Accepted { tcp, peer, listener, slot, behind_proxy, metrics })
    }
}

/// The next connection; errors before it are logged and counted.
async fn accept<C, F>(mut next: impl FnMut() -> F, name: &str, metrics: &ListenerMetrics) -> C
where
    F: Future<Output = io::Result<C>>,
{
    loop {
        match next().await {
            Ok(accepted) => return accepted,
            Err(error) if is_exhausted(&error) => {
                metrics.refused(ConnectionRefusal::Descriptors);
                tracing::warn!(listener = name, %error, "cannot accept: out of file descriptors or memory");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
            Err(error) => {
                tracing::debug!(listener = name, %error, "connection closed before accept")
            }
        }
    }
}

/// EMFILE, ENFILE, ENOBUFS, ENOMEM: accept(2). Other errors belong to the connection that failed.
fn is_exhausted(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let exhausted = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|code| exhausted.contains(&Errno::from_raw(code)))
}

#[cfg(test)]
mod tests;
