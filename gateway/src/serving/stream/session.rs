//! What Pingora wants of a connection besides reading and writing, and how the facts about it
//! travel to the proxy's hooks.

use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use pingora::http::ResponseHeader;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    ALPN, Digest, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest,
    Ssl, TimingDigest, UniqueID,
};

use super::{ClientStream, Facts, Transport};

/// What Pingora reads about a connection.
#[derive(Clone)]
pub(super) struct Digests {
    socket: Arc<SocketDigest>,
    proxy: Arc<ProxyDigest>,
}

/// The facts about the connection of a request: they travel as the user data of the proxy digest,
/// the only slot of Pingora's digests that takes a type of ours.
pub(crate) fn facts_of(digest: Option<&Digest>) -> Facts {
    let proxy = digest.and_then(|digest| digest.proxy_digest.as_ref());
    let data = proxy.and_then(|proxy| proxy.user_data.as_ref());
    let facts = data.and_then(|data| data.downcast_ref::<Facts>());
    facts.expect("every connection that Pingora serves is a ClientStream").clone()
}

impl Digests {
    fn new(transport: &Transport, facts: &Facts) -> Self {
        let socket = SocketDigest::from_raw_fd(transport.tcp().as_raw_fd());
        // Set at most once, here.
        let _ = socket.peer_addr.set(Some(SocketAddr::Inet(facts.client)));
        let response = ResponseHeader::build(200, Some(0)).expect("200 is a status code");
        let proxy = ProxyDigest::new(Box::new(response), Some(Box::new(facts.clone())));
        Self { socket: Arc::new(socket), proxy: Arc::new(proxy) }
    }
}

impl ClientStream {
    /// Prepares what Pingora reads once per request.
    pub(crate) fn describe(&mut self) {
        if self.digests.is_none() {
            self.digests = Some(Digests::new(&self.transport, &self.facts));
        }
    }

    fn digests(&self) -> Digests {
        match &self.digests {
            Some(digests) => digests.clone(),
            None => Digests::new(&self.transport, &self.facts),
        }
    }
}

#[async_trait::async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        self.part().await;
    }
}

impl UniqueID for ClientStream {
    fn id(&self) -> i32 {
        self.transport.tcp().as_raw_fd()
    }
}

impl Ssl for ClientStream {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        Some(if self.h2 { ALPN::H2 } else { ALPN::H1 })
    }
}

impl GetTimingDigest for ClientStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for ClientStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(self.digests().proxy)
    }
}

impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.digests().socket)
    }
}

impl Peek for ClientStream {}
