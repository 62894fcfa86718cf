//! Everything a request needs, built whole from one configuration and swapped whole. A request
//! keeps the one it began with.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use gateway_config::{Action, Config, Listener, Name, Protocol};
use http::{HeaderValue, StatusCode};
use ipnet::IpNet;
use rustls::server::ProducesTickets;

use crate::metrics::{Metrics, RouteMetrics, UpstreamMetrics};
use crate::serving::access_log::{AccessLog, Pseudonyms};
use crate::serving::filters;
use crate::serving::listener::CapLimits;
use crate::serving::router::Router;
use crate::serving::static_files::{Site, SiteError};
use crate::serving::tls::{self, Certificates, TlsError};
use crate::serving::traces::Tracer;
use crate::serving::upstream::Upstream;

/// One configuration, ready to serve.
pub struct Snapshot {
    config: Arc<Config>,
    listeners: HashMap<String, Arc<ListenerState>>,
    pub(crate) router: Router,
    pub(crate) routes: Vec<Arc<Route>>,
    upstreams: HashMap<Name, Arc<Upstream>>,
    pub(crate) access_log: AccessLog,
    /// There when requests are traced.
    pub(crate) tracer: Option<Arc<Tracer>>,
    /// `Strict-Transport-Security` for answers over TLS.
    pub(crate) hsts: Option<HeaderValue>,
    tickets: Arc<dyn ProducesTickets>,
}

/// Why a configuration that is valid cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// TLS of a listener.
    #[error("listener `{listener}`: {error}")]
    Tls {
        /// The listener.
        listener: Name,
        /// Why.
        error: TlsError,
    },
    /// A site.
    #[error("site `{site}`: {error}")]
    Site {
        /// The site.
        site: Name,
        /// Why.
        error: SiteError,
    },
    /// Traces.
    #[error("`[tracing]`: {0}")]
    Tracing(String),
    /// Session tickets cannot be made.
    #[error("session ticket keys cannot be made: {0}")]
    Tickets(rustls::Error),
    /// A route names what is not there, which a validated configuration does not.
    #[error("route `{route}` names `{missing}`, which does not exist")]
    Dangling {
        /// The route.
        route: Name,
        /// What it names.
        missing: Name,
    },
}

/// A listener, as connections need it.
pub(crate) struct ListenerState {
    pub(crate) kind: ListenerKind,
    pub(crate) caps: CapLimits,
    proxy_networks: Vec<IpNet>,
}

/// What a listener speaks.
pub(crate) enum ListenerKind {
    Https(tls::Https),
    Redirect(Option<u16>),
    Plain,
}

/// A route, with what it leads to.
pub(crate) struct Route {
    pub(crate) config: gateway_config::Route,
    pub(crate) leads_to: LeadsTo,
    pub(crate) metrics: Arc<RouteMetrics>,
}

/// Where a route leads.
pub(crate) enum LeadsTo {
    Upstream(Arc<Upstream>),
    Site(Arc<Site>),
    Redirect { location: String, status: StatusCode },
    Respond { status: StatusCode, body: String },
}

impl Snapshot {
    /// Builds everything or nothing. State that should outlive a reload (connections to upstreams,
    /// their health, ticket keys) is taken over from `previous` where its configuration did not
    /// change. Needs a Tokio runtime: new upstreams begin their health checks.
    pub fn build(
        config: Arc<Config>,
        certificates: &Certificates,
        previous: Option<&Self>,
        metrics: &Metrics,
        pseudonyms: &Pseudonyms,
    ) -> Result<Self, BuildError> {
        Self::assemble(config, certificates, previous, metrics, pseudonyms, Upstream::start)
    }

    /// The same from nothing before, to see whether it can be built: its upstreams send nothing.
    pub(crate) fn rehearse(
        config: Arc<Config>,
        certificates: &Certificates,
        pseudonyms: &Pseudonyms,
    ) -> Result<Self, BuildError> {
        Self::assemble(config, certificates, None, &Metrics::new(), pseudonyms, Upstream::unkept)
    }

    fn assemble(
        config: Arc<Config>,
        certificates: &Certificates,
        previous: Option<&Self>,
        metrics: &Metrics,
        pseudonyms: &Pseudonyms,
        begin: fn(&gateway_config::Upstream, Arc<UpstreamMetrics>) -> Arc<Upstream>,
    ) -> Result<Self, BuildError> {
        let tickets = match (certificates.tickets(), previous) {
            (Some(shared), _) => Arc::clone(shared),
            (None, Some(previous)) => Arc::clone(&previous.tickets),
            (None, None) => {
                rustls::crypto::aws_lc_rs::Ticketer::new().map_err(BuildError::Tickets)?
            }
        };
        let mut listeners = HashMap::new();
        for listener in &config.listeners {
            let state = ListenerState::build(listener, &config, certificates, &tickets)
                .map_err(|error| BuildError::Tls { listener: listener.name.clone(), error })?;
            listeners.insert(listener.name.to_string(), Arc::new(state));
        }
        let mut sites = HashMap::new();
        for site in &config.sites {
            let built = Site::build(site)
                .map_err(|error| BuildError::Site { site: site.name.clone(), error })?;
            sites.insert(site.name.clone(), Arc::new(built));
        }
        let upstreams: HashMap<Name, Arc<Upstream>> = config
            .upstreams
            .iter()
            .map(|upstream| {
                let kept = previous.and_then(|previous| previous.upstreams.get(&upstream.name));
                let kept = kept.filter(|kept| kept.config() == upstream).map(Arc::clone);
                let built = kept
                    .unwrap_or_else(|| begin(upstream, metrics.upstream(upstream.name.as_str())));
                (upstream.name.clone(), built)
            })
            .collect();
        let mut routes = Vec::new();
        for route in &config.routes {
            let dangling = |missing: &Name| BuildError::Dangling {
                route: route.name.clone(),
                missing: missing.clone(),
            };
            let leads_to = match &route.action {
                Action::Upstream(name) => LeadsTo::Upstream(
                    upstreams.get(name).map(Arc::clone).ok_or_else(|| dangling(name))?,
                ),
                Action::Static(name) => {
                    LeadsTo::Site(sites.get(name).map(Arc::clone).ok_or_else(|| dangling(name))?)
                }
                Action::Redirect { location, status } => {
                    LeadsTo::Redirect { location: location.clone(), status: *status }
                }
                Action::Respond { status, body } => {
                    LeadsTo::Respond { status: *status, body: body.clone() }
                }
            };
            let metrics = metrics.route(route.name.as_str());
            routes.push(Arc::new(Route { config: route.clone(), leads_to, metrics }));
        }
        let router = Router::new(&config.routes);
        let access_log =
            AccessLog::new(&config.log, pseudonyms, previous.map(|previous| &previous.access_log));
        let hsts = filters::hsts(&config.tls);
        let traced = config.tracing.as_ref().map(|tracing| {
            let previous = previous.and_then(|previous| previous.tracer.as_ref());
            Tracer::build(tracing, previous, metrics).map_err(BuildError::Tracing)
        });
        let tracer = traced.transpose()?;
        Ok(Self { config, listeners, router, routes, upstreams, access_log, hsts, tracer, tickets })
    }

    /// The configuration that it was built from.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub(crate) fn listener(&self, name: &str) -> Option<Arc<ListenerState>> {
        self.listeners.get(name).map(Arc::clone)
    }

    /// Whether headers that name the client and its request may be believed when this address sends
    /// them.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        contains(&self.config.trust.forwarded, address)
    }
}

impl ListenerState {
    fn build(
        listener: &Listener,
        config: &Config,
        certificates: &Certificates,
        tickets: &Arc<dyn ProducesTickets>,
    ) -> Result<Self, TlsError> {
        let kind = match &listener.protocol {
            Protocol::Https { certificates: names, client_certificates } => {
                let clients = client_certificates.as_ref();
                ListenerKind::Https(tls::https(&config.tls, names, certificates, tickets, clients)?)
            }
            Protocol::HttpRedirect { https_port } => ListenerKind::Redirect(*https_port),
            Protocol::HttpPlain => ListenerKind::Plain,
        };
        let caps = CapLimits {
            total: config.limits.max_connections,
            listener: listener.max_connections,
            address: config.limits.max_connections_per_address,
        };
        Ok(Self { kind, caps, proxy_networks: listener.proxy_protocol.clone() })
    }

    /// Whether connections from this address begin with a PROXY header.
    pub(crate) fn trusts_proxy_header(&self, peer: IpAddr) -> bool {
        contains(&self.proxy_networks, peer)
    }
}

/// Whether one of the networks has this address, in either spelling of an IPv4 address.
fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}
