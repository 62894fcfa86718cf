//! Accepting after errors of accept(2).

use nix::errno::Errno;
use tokio::time::Instant;

use super::*;
use crate::metrics::Metrics;

/// Accepts after these errors; returns the count of refused connections and the time waited.
async fn accept_after(failures: &[Errno]) -> (f64, Duration) {
    let metrics = Metrics::new();
    let mut failures = failures.iter();
    let started = Instant::now();
    let next = || {
        let failure = failures.next().map(|errno| io::Error::from(*errno));
        std::future::ready(failure.map_or(Ok("connection"), Err))
    };
    assert_eq!(accept(next, "https", &metrics.listener("https")).await, "connection");
    let families = metrics.registry().gather();
    let refused =
        families.iter().filter(|family| family.name() == "gateway_connections_refused_total");
    let count = refused
        .flat_map(|family| family.get_metric())
        .map(|metric| metric.get_counter().get_value())
        .sum();
    (count, started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn running_out_of_descriptors_is_counted_and_retried_after_a_pause() {
    let (refused, waited) =
        accept_after(&[Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM]).await;
    assert_eq!(refused, 4.0);
    assert!(waited >= EXHAUSTED_PAUSE * 4 && waited < Duration::from_secs(1), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn an_aborted_connection_causes_no_pause() {
    assert_eq!(accept_after(&[Errno::ECONNABORTED, Errno::EPROTO]).await, (0.0, Duration::ZERO));
}
