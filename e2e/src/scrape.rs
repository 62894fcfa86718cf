//! Metrics from an admin address: one value, or all series.

use std::collections::{BTreeMap, BTreeSet};

use crate::gatehouse::admin;

/// Fetches `/metrics`.
pub fn metrics(admin_port: u16) -> String {
    let (status, text) = admin(admin_port, "GET", "/metrics").expect("the admin address answers");
    assert_eq!(status, 200, "{text}");
    text
}

/// The value of one series, named with its labels as in the text.
pub fn value(metrics: &str, series: &str) -> Option<f64> {
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.trim().parse().ok())
}

/// All labels of all metrics, as `metric{label`, with their values.
pub fn labels(metrics: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, rest)) = line.split_once('{') else { continue };
        let Some((inside, _)) = rest.rsplit_once('}') else { continue };
        for (label, value) in inside.split("\",").filter_map(|pair| pair.split_once("=\"")) {
            let value = value.trim_end_matches('"').to_owned();
            labels.entry(format!("{name}{{{label}")).or_default().insert(value);
        }
    }
    labels
}
