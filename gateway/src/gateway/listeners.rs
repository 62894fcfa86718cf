//! The listening sockets and the accept loops on them.

use crate::{
    bind::{self, BindError, Bound},
    plane::Plane,
};
use gateway_config::{ListenAddress, Listener, Name};
use std::{io, net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// A listening socket kept through reloads, and the loops that accept on it under a listener's name.
pub(super) struct Serving {
    pub(super) name: Name,
    pub(super) address: ListenAddress,
    pub(super) bound: Bound,
    stop: CancellationToken,
    loops: Vec<JoinHandle<()>>,
}

impl Serving {
    /// Begins to accept. The sockets are kept here as well, so that a reload can go on with them under another name.
    pub(super) fn start(plane: &Arc<Plane>, name: &Name, address: &ListenAddress, bound: Bound) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let sockets: Vec<_> = bound.try_clone()?.into_iter().map(TcpListener::from_std).collect::<io::Result<_>>()?;
        let loops = sockets.into_iter().map(|socket| plane.serve(socket, name.as_str(), stop.clone())).collect();
        Ok(Self { name: name.clone(), address: address.clone(), bound, stop, loops })
    }

    /// Stops accepting and gives the sockets back; connections that wait in their queue wait on.
    pub(super) async fn stop(self) -> Bound {
        self.stop.cancel();
        for accept_loop in self.loops {
            if let Err(error) = accept_loop.await {
                tracing::error!(listener = %self.name, %error, "an accept loop ended badly");
            }
        }
        self.bound
    }
}

/// Binds a listener of the configuration.
pub(super) fn bind(listener: &Listener) -> Result<Bound, BindError> {
    bind::bind(&format!("listener `{}`, key `address`", listener.name), &listener.address)
}

/// Binds the admin address.
pub(super) fn bind_admin(address: SocketAddr) -> Result<Bound, BindError> {
    bind::bind("`[admin]`, key `address`", &ListenAddress::Socket(address))
}
