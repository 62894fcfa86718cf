//! Every metric of the gateway, declared here by subsystem with help text and bounded labels: names
//! from the configuration, and enums.
//!
//! Hot paths take their counters once: [`Metrics::route`], [`Metrics::upstream`],
//! [`Metrics::listener`].

mod connections;
mod routes;
mod upstreams;
mod traces;
mod certificates;
mod process;
mod declare;

pub use declare::Declared;

pub(crate) use connections::{ConnectionRefusal, HandshakeResult, ListenerMetrics};
pub(crate) use process::UpgradeResult;
pub(crate) use routes::{HttpVersion, RouteMetrics};
pub(crate) use traces::TraceMetrics;
pub(crate) use upstreams::UpstreamMetrics;

use std::cell::RefCell;
use std::sync::Arc;

use prometheus::core::Collector as _;
use prometheus::{IntGaugeVec, Registry};

use certificates::Certificates;
use connections::Connections;
use declare::Declare;
use process::Process;
use routes::Routes;
use upstreams::Upstreams;

/// All metrics of one gateway, with a registry of their own. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Families>);

struct Families {
    registry: Registry,
    declared: Vec<Declared>,
    routes: Routes,
    connections: Connections,
    upstreams: Upstreams,
    traces: Arc<TraceMetrics>,
    certificates: Certificates,
    process: Process,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Declares every metric in a registry of its own.
    pub fn new() -> Self {
        let registry = Registry::new();
        let declare = Declare { registry: &registry, declared: RefCell::default() };
        let build_info = declare.gauge("build_info", "1, by version of the gateway.", &["version"]);
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let routes = Routes::declare(&declare);
        let connections = Connections::declare(&declare);
        let upstreams = Upstreams::declare(&declare);
        let traces = Arc::new(TraceMetrics::declare(&declare));
        let certificates = Certificates::declare(&declare);
        let process = Process::declare(&declare);
        let declared = declare.declared.take();
        Self(Arc::new(Families {
            registry,
            declared,
            routes,
            connections,
            upstreams,
            traces,
            certificates,
            process,
        }))
    }

    /// The registry, to be encoded on the admin address.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Every metric, counted or not: what the operators' documentation lists.
    pub fn declared(&self) -> &[Declared] {
        &self.0.declared
    }

    /// Connections open on all listeners, and WebSockets among them.
    pub fn open(&self) -> (i64, i64) {
        let sum = |family: &IntGaugeVec| -> i64 {
            let families = family.collect();
            let metrics = families.iter().flat_map(|family| family.get_metric());
            metrics.map(|metric| metric.get_gauge().get_value() as i64).sum()
        };
        (sum(self.0.connections.open()), sum(self.0.routes.websockets_open()))
    }

    /// Drops the series of parts that a reload removed. Counters of them that are still held may go
    /// on counting, unseen.
    pub fn retain(
        &self,
        route: impl Fn(&str) -> bool,
        upstream: impl Fn(&str) -> bool,
        certificate: impl Fn(&str) -> bool,
    ) {
        self.0.routes.retain(&route);
        self.0.upstreams.retain(&upstream);
        self.0.certificates.retain(&certificate);
    }
}

fn result(success: bool) -> &'static str {
    if success { "success" } else { "failure" }
}
