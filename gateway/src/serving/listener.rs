//! Accepts connections: caps in total, per listener and per address, and no pause when descriptors
//! run out.

mod caps;
mod proxy_header;

pub(crate) use caps::{CapLimits, Caps, Place, network};
pub(crate) use proxy_header::read_proxy_header;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::{ConnectionRefusal, ListenerMetrics};
use crate::serving::connection::Accepted;
use crate::serving::plane::Plane;

/// Pause when accepting fails for want of descriptors or memory: long enough not to spin, short
/// enough not to be felt.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(20);

/// Accepts until `stop`.
pub(crate) async fn accept_loop(
    plane: Arc<Plane>,
    listener: TcpListener,
    name: Arc<str>,
    stop: CancellationToken,
) {
    let metrics = plane.shared.metrics.listener(&name);
    loop {
        let (tcp, peer) = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = accept(|| listener.accept(), &name, &metrics) => accepted,
        };
        let snapshot = plane.shared.snapshot.load();
        let Some(config) = snapshot.listener(&name) else { continue };
        // Behind a balancer the peer's address says nothing; its clients are counted once the PROXY
        // header is read.
        let behind_proxy = config.trusts_proxy_header(peer.ip());
        let address = (!behind_proxy).then(|| peer.ip());
        let place = match plane.caps.enter(&name, address, &config.caps) {
            Ok(place) => place,
            Err(refusal) => {
                metrics.refused(refusal);
                continue;
            }
        };
        metrics.accepted.inc();
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        plane.carry(Accepted {
            tcp,
            peer,
            listener: Arc::clone(&config),
            place,
            behind_proxy,
            metrics: Arc::clone(&metrics),
        });
    }
}

/// The next connection, whatever goes wrong before it.
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
                tracing::debug!(listener = name, %error, "a connection was gone before it was accepted")
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
