//! Everything that a request needs, built from one configuration and replaced as a whole. A request
//! keeps the snapshot that it began with.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use gateway_config::{Action, Config, Listener, Name, PathMatch, Protocol};
use http::{HeaderValue, StatusCode};
use ipnet::IpNet;
use rustls::server::ProducesTickets;

use crate::metrics::{Metrics, RouteMetrics, UpstreamMetrics};
use crate::serving::access_log::{AccessLog, Pseudonyms};
use crate::serving::caps::CapLimits;
use crate::serving::network::contains;
use crate::serving::router::Router;
use crate::serving::static_files::{Site, SiteError};
use crate::serving::tls::{self, Certificates, TlsError};
use crate::serving::traces::Tracer;
use crate::serving::upstream::Upstream;

/// A configuration and everything built from it.
pub struct Snapshot {
    config: Arc<Config>,
    listeners: HashMap<String, Arc<ListenerState>>,
    pub(crate) router: Router,
    routes: Vec<Arc<Route>>,
    upstreams: HashMap<Name, Arc<Upstream>>,
    pub(crate) access_log: AccessLog,
    /// Present if requests are traced.
    pub(crate) tracer: Option<Arc<Tracer>>,
    /// `Strict-Transport-Security` for responses over TLS.
    pub(crate) hsts: Option<HeaderValue>,
    tickets: Arc<dyn ProducesTickets>,
}

/// Why a snapshot cannot be built from a valid configuration.
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
    /// Session ticket keys cannot be generated.
    #[error("cannot generate session ticket keys: {0}")]
    Tickets(rustls::Error),
    /// A route names a part that does not exist; validation rejects such a configuration.
    #[error("route `{route}` names `{missing}`, which does not exist")]
    Dangling {
        /// The route.
        route: Name,
        /// What it names.
        missing: Name,
    },
}

/// The state of a listener that its connections need.
pub(crate) struct ListenerState {
    pub(crate) kind: ListenerKind,
    pub(crate) caps: CapLimits,
    proxy_networks: Vec<IpNet>,
}

/// The protocol of a listener.
pub(crate) enum ListenerKind {
    Https(tls::Https),
    Redirect(Option<u16>),
    Plain,
}

/// A route and what it leads to.
pub(crate) struct Route {
    pub(crate) config: gateway_config::Route,
    pub(crate) leads_to: LeadsTo,
    pub(crate) metrics: Arc<RouteMetrics>,
}

/// The action of a route.
pub(crate) enum LeadsTo {
    Upstream(Arc<Upstream>),
    Site(Arc<Site>),
    Redirect { location: String, status: StatusCode },
    Respond { status: StatusCode, body: String },
}

impl Snapshot {
    /// Builds everything or nothing. State that should survive a reload (upstream connections and
    /// health, ticket keys) is reused from `previous` where its configuration did not change.
    /// Requires a Tokio runtime: new upstreams start their health checks.
    pub fn build(
        config: Arc<Config>,
        certificates: &Certificates,
        previous: Option<&Self>,
        metrics: &Metrics,
        pseudonyms: &Pseudonyms,
    ) -> Result<Self, BuildError> {
        Self::assemble(config, certificates, previous, metrics, pseudonyms, Upstream::start)
    }

    /// Builds a snapshot without a previous one, only to check that it can be built: its upstreams
    /// send nothing.
    pub(crate) fn dry_run(
        config: Arc<Config>,
        certificates: &Certificates,
        pseudonyms: &Pseudonyms,
    ) -> Result<Self, BuildError> {
        Self::assemble(
            config,
            certificates,
            None,
            &Metrics::new(),
            pseudonyms,
            Upstream::without_maintenance,
        )
    }

    fn assemble(
        config: Arc<Config>,
        certificates: &Certificates,
        previous: Option<&Self>,
        metrics: &Metrics,
        pseudonyms: &Pseudonyms,
        begin: fn(&gateway_config::Upstream, Arc<UpstreamMetrics>) -> Arc<Upstream>,
    ) -> Result<Self, BuildError> {
        let tickets = tickets(certificates, previous)?;
        let listeners = listeners(&config, certificates, &tickets)?;
        let sites = sites(&config)?;
        let mut upstreams = HashMap::new();
        for upstream in &config.upstreams {
            let kept = previous.and_then(|previous| previous.upstreams.get(&upstream.name));
            let built = match kept.filter(|kept| kept.config() == upstream) {
                Some(kept) => Arc::clone(kept),
                None => begin(upstream, metrics.upstream(upstream.name.as_str())),
            };
            upstreams.insert(upstream.name.clone(), built);
        }
        let routes = routes(&config, &sites, &upstreams, metrics)?;
        let router = Router::new(&config.routes);
        let before = previous.map(|previous| &previous.access_log);
        let access_log = AccessLog::new(&config.log, pseudonyms, before);
        let hsts = tls::hsts(&config.tls);
        let tracer = match &config.tracing {
            Some(tracing) => {
                let before = previous.and_then(|previous| previous.tracer.as_ref());
                Some(Tracer::build(tracing, before, metrics).map_err(BuildError::Tracing)?)
            }
            None => None,
        };
        Ok(Self { config, listeners, router, routes, upstreams, access_log, hsts, tracer, tickets })
    }

    /// The configuration that it was built from.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// A route that the router found.
    pub(crate) fn route(&self, index: usize) -> Arc<Route> {
        let route = self.routes.get(index).expect("the router was built from these routes");
        Arc::clone(route)
    }

    pub(crate) fn listener(&self, name: &str) -> Option<Arc<ListenerState>> {
        self.listeners.get(name).map(Arc::clone)
    }

    /// Whether header fields about the client and its request are trusted from this address.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        contains(&self.config.trust.forwarded, address)
    }
}

/// Ticket keys: shared between replicas, reused from the previous snapshot, or new.
fn tickets(
    certificates: &Certificates,
    previous: Option<&Snapshot>,
) -> Result<Arc<dyn ProducesTickets>, BuildError> {
    match (certificates.tickets(), previous) {
        (Some(shared), _) => Ok(Arc::clone(shared)),
        (None, Some(previous)) => Ok(Arc::clone(&previous.tickets)),
        (None, None) => rustls::crypto::aws_lc_rs::Ticketer::new().map_err(BuildError::Tickets),
    }
}

fn listeners(
    config: &Config,
    certificates: &Certificates,
    tickets: &Arc<dyn ProducesTickets>,
) -> Result<HashMap<String, Arc<ListenerState>>, BuildError> {
    let mut listeners = HashMap::new();
    for listener in &config.listeners {
        let state = ListenerState::build(listener, config, certificates, tickets)
            .map_err(|error| BuildError::Tls { listener: listener.name.clone(), error })?;
        listeners.insert(listener.name.to_string(), Arc::new(state));
    }
    Ok(listeners)
}

fn sites(config: &Config) -> Result<HashMap<Name, Arc<Site>>, BuildError> {
    let mut sites = HashMap::new();
    for site in &config.sites {
        let built = Site::build(site, claimed(config, &site.name))
            .map_err(|error| BuildError::Site { site: site.name.clone(), error })?;
        sites.insert(site.name.clone(), Arc::new(built));
    }
    Ok(sites)
}

fn routes(
    config: &Config,
    sites: &HashMap<Name, Arc<Site>>,
    upstreams: &HashMap<Name, Arc<Upstream>>,
    metrics: &Metrics,
) -> Result<Vec<Arc<Route>>, BuildError> {
    let mut routes = Vec::new();
    for route in &config.routes {
        let dangling = |missing: &Name| BuildError::Dangling {
            route: route.name.clone(),
            missing: missing.clone(),
        };
        let leads_to = match &route.action {
            Action::Upstream(name) => {
                LeadsTo::Upstream(Arc::clone(upstreams.get(name).ok_or_else(|| dangling(name))?))
            }
            Action::Static(name) => {
                LeadsTo::Site(Arc::clone(sites.get(name).ok_or_else(|| dangling(name))?))
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
    Ok(routes)
}

/// Paths that services have on every host of a site: no path at or below them is a page of the
/// site.
fn claimed(config: &Config, site: &Name) -> Vec<String> {
    let of_site = config
        .routes
        .iter()
        .filter(|route| matches!(&route.action, Action::Static(name) if name == site));
    let mut claimed = Vec::new();
    for route in &config.routes {
        let everywhere = route.hosts.is_empty()
            || of_site.clone().all(|site| {
                !site.hosts.is_empty() && site.hosts.iter().all(|host| route.hosts.contains(host))
            });
        let path = match &route.path {
            PathMatch::Exact(path) => path.trim_end_matches('/'),
            PathMatch::Prefix(path) => path.trim_end_matches('/'),
        };
        if everywhere && matches!(route.action, Action::Upstream(_)) && !path.is_empty() {
            claimed.push(path.to_owned());
        }
    }
    claimed
}

impl Route {
    /// Whether it leads to an upstream.
    pub(crate) fn is_service(&self) -> bool {
        matches!(self.leads_to, LeadsTo::Upstream(_))
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

    /// Whether connections from this address begin with a PROXY protocol header.
    pub(crate) fn trusts_proxy_header(&self, peer: IpAddr) -> bool {
        contains(&self.proxy_networks, peer)
    }
}
