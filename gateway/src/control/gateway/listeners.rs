//! The listening sockets and the accept loops on them.

use std::sync::Arc;

use gateway_config::{ListenAddress, Name};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::control::bind::{self, BindError, Bound, Inherited, Part};
use crate::serving::plane::Plane;

/// Sockets that are bound and registered: accepting on them cannot fail to begin.
pub(super) struct BoundListener {
    pub(super) address: ListenAddress,
    bound: Bound,
    sockets: Vec<TcpListener>,
}

impl BoundListener {
    /// Binds an address, or takes the sockets that listen there already; `key` names its owner.
    pub(super) fn bind(
        key: &str,
        part: &Part,
        address: &ListenAddress,
        inherited: &mut Inherited,
    ) -> Result<Self, BindError> {
        Self::register(key, address, bind::bind_or_inherit(key, part, address, inherited)?)
    }

    /// Goes on with sockets that are bound already.
    pub(super) fn again(key: &str, serving: &Serving) -> Result<Self, BindError> {
        let bound =
            serving.bound.try_clone().map_err(|error| failed(key, &serving.bound, error))?;
        Self::register(key, &serving.address, bound)
    }

    pub(super) fn into_sockets(self) -> (Bound, Vec<TcpListener>) {
        (self.bound, self.sockets)
    }

    fn register(key: &str, address: &ListenAddress, bound: Bound) -> Result<Self, BindError> {
        let clones = bound.try_clone().map_err(|error| failed(key, &bound, error))?;
        let sockets =
            clones.sockets.into_iter().map(TcpListener::from_std).collect::<Result<_, _>>();
        let sockets = sockets.map_err(|error| failed(key, &bound, error))?;
        Ok(Self { address: address.clone(), bound, sockets })
    }
}

/// The accept loops of a listener, and its sockets, kept so that a reload can go on with them under
/// another name.
pub(super) struct Serving {
    pub(super) name: Name,
    pub(super) address: ListenAddress,
    pub(super) bound: Bound,
    stop: CancellationToken,
    loops: Vec<JoinHandle<()>>,
}

impl Serving {
    /// Begins to accept.
    pub(super) fn start(plane: &Arc<Plane>, name: Name, bound_listener: BoundListener) -> Self {
        let stop = CancellationToken::new();
        let address = bound_listener.address.clone();
        let (bound, sockets) = bound_listener.into_sockets();
        let loops = sockets
            .into_iter()
            .map(|socket| plane.serve(socket, name.as_str(), stop.clone()))
            .collect();
        Self { name, address, bound, stop, loops }
    }

    /// Stops accepting. Connections that wait in a socket's queue wait on while someone else holds
    /// it.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        for accept_loop in self.loops {
            if let Err(error) = accept_loop.await {
                tracing::error!(listener = %self.name, %error, "an accept loop ended badly");
            }
        }
    }
}

fn failed(key: &str, bound: &Bound, error: std::io::Error) -> BindError {
    let address = bound.addresses.first().copied().unwrap_or_else(|| ([0, 0, 0, 0], 0).into());
    BindError { key: key.to_owned(), address, error, held_by: None }
}
