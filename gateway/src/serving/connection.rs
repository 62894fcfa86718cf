//! A client's connection: PROXY header, TLS handshake, then requests, each served by the tunnel or
//! by Pingora.

mod h1;
mod h2;
mod redirect;
mod reject;
mod request_head;
mod service;

pub(crate) use service::Service;

use std::sync::Arc;

use tokio::net::TcpStream;

use crate::metrics::{ConnectionRefusal, ListenerMetrics};
use crate::serving::caps::ConnectionSlot;
use crate::serving::listener::{self, Accepted};
use crate::serving::snapshot::ListenerKind;
use crate::serving::stream::{ClientStream, Facts, Transport};
use crate::serving::tls;

/// Counts an open connection until it is dropped.
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

/// Serves a connection until it ends. Every stage is boxed and dropped before the next begins, so
/// an idle socket costs only its relay.
pub(crate) async fn serve(service: Arc<Service>, accepted: Accepted) {
    let _open = Open::new(Arc::clone(&accepted.metrics));
    let Some((stream, kind, _slot)) = Box::pin(begin(&service, accepted)).await else { return };
    if stream.is_h2() {
        return Box::pin(h2::serve(service, stream)).await;
    }
    if let Kind::Redirect(port) = kind {
        return Box::pin(redirect::serve(service, stream, port)).await;
    }
    let relay = Box::pin(h1::serve(service, stream)).await;
    if let Some(relay) = relay {
        relay.run().await;
    }
}

enum Kind {
    Serve,
    Redirect(Option<u16>),
}

/// Reads the PROXY header and completes the TLS handshake, if the listener is configured for them.
async fn begin(
    service: &Service,
    accepted: Accepted,
) -> Option<(Box<ClientStream>, Kind, ConnectionSlot)> {
    let Accepted { mut tcp, peer, listener, mut slot, behind_proxy, metrics } = accepted;
    let shared = service.shared();
    let deadline = shared.snapshot.load().config().limits.handshake_timeout;
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
        if let Err(refusal) = slot.belongs_to(client.ip(), &listener.caps) {
            metrics.refused(refusal);
            return None;
        }
    }
    let facts =
        Facts { client, secure: false, client_subject: None, requested_name: None, outlet: None };
    let https = match &listener.kind {
        ListenerKind::Https(https) => https,
        ListenerKind::Plain => return Some((plain(tcp, facts), Kind::Serve, slot)),
        ListenerKind::Redirect(port) => {
            return Some((plain(tcp, facts), Kind::Redirect(*port), slot));
        }
    };
    let challenges = shared.challenges.maintained();
    let config = Arc::clone(&https.config);
    match tls::accept(tcp, config, &challenges, deadline, &shared.metrics).await {
        Ok(Some(tls)) => {
            let session = tls.get_ref().1;
            let (client_subject, requested_name) =
                (tls::subject(session), https.requested_name(session));
            let facts = Facts { secure: true, client_subject, requested_name, ..facts };
            let transport = Transport::Tls(Box::new(tls));
            Some((Box::new(ClientStream::new(transport, facts)), Kind::Serve, slot))
        }
        Ok(None) => None,
        Err(error) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
    }
}

fn plain(tcp: TcpStream, facts: Facts) -> Box<ClientStream> {
    Box::new(ClientStream::new(Transport::Tcp(tcp), facts))
}

#[cfg(test)]
mod tests;
