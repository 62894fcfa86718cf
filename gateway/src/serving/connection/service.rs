//! What serves every connection: the shared state and Pingora's proxy.

use std::sync::Arc;

use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;

use crate::serving::proxy::Proxy;
use crate::serving::shared::Shared;

/// Built once per data plane.
pub(crate) struct Service {
    shared: Arc<Shared>,
    proxy: Arc<HttpProxy<Proxy>>,
}

impl Service {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let conf = ServerConf {
            // Unused: each target keeps its own idle connections.
            upstream_keepalive_pool_size: 1,
            // The retry budget decides; this is only an upper bound.
            max_retries: 16,
            ..ServerConf::default()
        };
        let proxy = pingora::proxy::http_proxy(&Arc::new(conf), Proxy::new(Arc::clone(&shared)));
        Self { shared, proxy: Arc::new(proxy) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn proxy(&self) -> &Arc<HttpProxy<Proxy>> {
        &self.proxy
    }
}
