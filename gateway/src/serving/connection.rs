//! The life of a client's connection: PROXY header, TLS, then one request after another, each to
//! the tunnel or to Pingora.

mod h1;
mod h2;
mod redirect;

pub(crate) use h1::refuse;
pub(crate) use h2::SEND_BUFFER;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::metrics::{ConnectionRefusal, ListenerMetrics};
use crate::serving::listener::{self, Place};
use crate::serving::plane::Plane;
use crate::serving::snapshot::{ListenerKind, ListenerState};
use crate::serving::stream::{ClientStream, Facts, Transport};
use crate::serving::tls;

/// A connection as the accept loop hands it over.
pub(crate) struct Accepted {
    pub(crate) tcp: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) listener: Arc<ListenerState>,
    pub(crate) place: Place,
    pub(crate) behind_proxy: bool,
    pub(crate) metrics: Arc<ListenerMetrics>,
}

/// Counts the connection as open for as long as it lives.
struct Open(Arc<ListenerMetrics>);

impl Open {
    fn new(metrics: Arc<ListenerMetrics>) -> Self {
        metrics.open.inc();
        Self(metrics)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.dec();
    }
}

/// Serves a connection until it ends. Every stage is boxed and gone when the next begins: what
/// stays for an idle WebSocket is its relay alone.
pub(crate) async fn serve(plane: Arc<Plane>, accepted: Accepted) {
    let Accepted { tcp, peer, listener, place, behind_proxy, metrics } = accepted;
    let _open = Open::new(Arc::clone(&metrics));
    let start = Start { tcp, peer, listener, place, behind_proxy, metrics };
    let Some((stream, kind, _place)) = Box::pin(begin(&plane, start)).await else { return };
    if stream.is_h2() {
        return Box::pin(h2::serve(plane, stream)).await;
    }
    if let Kind::Redirect(port) = kind {
        return Box::pin(redirect::serve(plane, stream, port)).await;
    }
    let relay = Box::pin(h1::serve(plane, stream)).await;
    if let Some(relay) = relay {
        relay.run().await;
    }
}

enum Kind {
    Serve,
    Redirect(Option<u16>),
}

struct Start {
    tcp: TcpStream,
    peer: SocketAddr,
    listener: Arc<ListenerState>,
    place: Place,
    behind_proxy: bool,
    metrics: Arc<ListenerMetrics>,
}

async fn begin(plane: &Arc<Plane>, start: Start) -> Option<(Box<ClientStream>, Kind, Place)> {
    let Start { mut tcp, peer, listener, mut place, behind_proxy, metrics } = start;
    let deadline = plane.shared.snapshot.load().config().limits.handshake_timeout;
    let mut client = peer;
    if behind_proxy {
        match tokio::time::timeout(deadline, listener::read_proxy_header(&mut tcp)).await {
            Ok(Ok(named)) => client = named.unwrap_or(peer),
            Ok(Err(error)) => {
                metrics.refused(ConnectionRefusal::ProxyHeader);
                tracing::debug!(%peer, %error, "connection refused");
                return None;
            }
            Err(_) => {
                metrics.refused(ConnectionRefusal::ProxyHeader);
                return None;
            }
        }
        if let Err(refusal) = place.belongs_to(client.ip(), &listener.caps) {
            metrics.refused(refusal);
            return None;
        }
    }
    let mut asked = None;
    let (transport, kind) = match &listener.kind {
        ListenerKind::Https(https) => {
            let challenges = plane.challenges();
            let tls = tls::accept(
                tcp,
                Arc::clone(&https.config),
                &challenges,
                deadline,
                &plane.shared.metrics,
            )
            .await;
            match tls {
                Ok(Some(tls)) => {
                    asked = https.asked(tls.get_ref().1);
                    (Transport::Tls(Box::new(tls)), Kind::Serve)
                }
                Ok(None) => return None,
                Err(error) => {
                    tracing::debug!(%error, "TLS handshake failed");
                    return None;
                }
            }
        }
        ListenerKind::Plain => (Transport::Tcp(tcp), Kind::Serve),
        ListenerKind::Redirect(port) => (Transport::Tcp(tcp), Kind::Redirect(*port)),
    };
    let (secure, client_subject) = match &transport {
        Transport::Tls(tls) => (true, tls::subject(tls.get_ref().1)),
        Transport::Tcp(_) => (false, None),
    };
    let facts = Facts { client, secure, client_subject, asked, outlet: None };
    Some((Box::new(ClientStream::new(transport, facts)), kind, place))
}

#[cfg(test)]
mod tests;
