//! Declares metrics, and drops series that are no longer wanted.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Gauge, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Seconds: from a cached file to a slow model.
const DURATIONS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0,
];

/// What is known of a metric before anything was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its full name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// What it counts.
    pub help: String,
}

/// Declares metrics under the prefix `gateway_`. All names are literals of this module and
/// distinct, which the tests show.
pub(super) struct Declare<'r> {
    pub(super) registry: &'r Registry,
    pub(super) declared: RefCell<Vec<Declared>>,
}

const DISTINCT: &str = "names and labels are valid, distinct literals, as a test shows";

impl Declare<'_> {
    fn add<C: Collector + Clone + 'static>(
        &self,
        kind: &'static str,
        made: prometheus::Result<C>,
    ) -> C {
        let collector = made.expect(DISTINCT);
        self.declared.borrow_mut().extend(collector.desc().into_iter().map(|desc| Declared {
            name: desc.fq_name.clone(),
            kind,
            labels: desc.variable_labels.clone(),
            help: desc.help.clone(),
        }));
        self.registry.register(Box::new(collector.clone())).expect(DISTINCT);
        collector
    }

    pub(super) fn counter(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add("counter", IntCounterVec::new(Opts::new(name, help).namespace("gateway"), labels))
    }

    pub(super) fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add("gauge", IntGaugeVec::new(Opts::new(name, help).namespace("gateway"), labels))
    }

    pub(super) fn single_gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add("gauge", IntGauge::with_opts(Opts::new(name, help).namespace("gateway")))
    }

    pub(super) fn seconds(&self, name: &str, help: &str) -> Gauge {
        self.add("gauge", Gauge::with_opts(Opts::new(name, help).namespace("gateway")))
    }

    pub(super) fn histogram(&self, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
        let opts = HistogramOpts::new(name, help).namespace("gateway").buckets(DURATIONS.to_vec());
        self.add("histogram", HistogramVec::new(opts, labels))
    }
}

/// Counters by name, made on first use.
pub(super) struct ByName<T>(Mutex<HashMap<String, Arc<T>>>);

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> ByName<T> {
    pub(super) fn get_or_make(&self, name: &str, make: impl FnOnce(&str) -> T) -> Arc<T> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = map.get(name) {
            return Arc::clone(found);
        }
        let made = Arc::new(make(name));
        map.insert(name.to_owned(), Arc::clone(&made));
        made
    }

    pub(super) fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| keep(name));
    }
}

/// Drops the series whose label has a value that is not kept.
pub(super) fn drop_series<T: MetricVecBuilder>(
    family: &MetricVec<T>,
    label: &str,
    keep: &impl Fn(&str) -> bool,
) where
    MetricVec<T>: Collector,
{
    for collected in family.collect() {
        for metric in collected.get_metric() {
            let labels = metric.get_label();
            if labels.iter().any(|pair| pair.name() == label && !keep(pair.value())) {
                let pairs: HashMap<&str, &str> =
                    labels.iter().map(|pair| (pair.name(), pair.value())).collect();
                forget(&family.remove(&pairs));
            }
        }
    }
}

/// Every value that a label has now.
pub(super) fn label_values(family: &impl Collector, label: &str) -> Vec<String> {
    let families = family.collect();
    let pairs = families
        .iter()
        .flat_map(|family| family.get_metric())
        .flat_map(|metric| metric.get_label());
    pairs.filter(|pair| pair.name() == label).map(|pair| pair.value().to_owned()).collect()
}

/// A series that is gone already needs no removal.
pub(super) fn forget(_: &prometheus::Result<()>) {}
