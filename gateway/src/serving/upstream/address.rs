//! The address of a target, and connecting to it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};

use super::UpstreamStream;

/// The address of a target.
#[derive(Debug)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    /// A name with all its addresses as one target; the address that last accepted a connection is
    /// first.
    Name(ArcSwap<Vec<SocketAddr>>),
    Unix(PathBuf),
}

impl Address {
    /// Connects within `deadline`. The addresses of a name are tried in order. The time left is
    /// shared among the addresses left, so an address that drops packets leaves time for the next.
    pub(crate) async fn connect(&self, deadline: Duration) -> io::Result<UpstreamStream> {
        let tcp = match self {
            Self::Tcp(address) => within(deadline, TcpStream::connect(address)).await?,
            Self::Name(addresses) => first_that_answers(addresses, deadline).await?,
            Self::Unix(path) => {
                return Ok(UpstreamStream::Unix(
                    within(deadline, UnixStream::connect(path)).await?,
                ));
            }
        };
        tcp.set_nodelay(true)?;
        Ok(UpstreamStream::Tcp(tcp))
    }

    /// Stores the addresses that a name resolves to. The same set of addresses keeps its order.
    pub(super) fn means(&self, addresses: &[SocketAddr]) {
        let Self::Name(known) = self else { return };
        let before = known.load_full();
        if before.len() != addresses.len()
            || !addresses.iter().all(|address| before.contains(address))
        {
            known.store(Arc::new(addresses.to_vec()));
        }
    }
}

async fn within<T>(
    deadline: Duration,
    connect: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    timeout(deadline, connect).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn first_that_answers(
    addresses: &ArcSwap<Vec<SocketAddr>>,
    deadline: Duration,
) -> io::Result<TcpStream> {
    let until = Instant::now() + deadline;
    let known = addresses.load_full();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut left = u32::try_from(known.len()).unwrap_or(u32::MAX);
    for (index, address) in known.iter().enumerate() {
        let share = until.saturating_duration_since(Instant::now()) / left.max(1);
        match within(share, TcpStream::connect(address)).await {
            Ok(tcp) => {
                if index > 0 {
                    let mut order = known.to_vec();
                    order.swap(0, index);
                    // Has no effect if DNS has changed the addresses since.
                    addresses.compare_and_swap(&known, Arc::new(order));
                }
                return Ok(tcp);
            }
            Err(error) => failure = error,
        }
        left -= 1;
    }
    Err(failure)
}
