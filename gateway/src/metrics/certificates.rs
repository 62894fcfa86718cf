//! Certificates: validity, source, renewals.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::declare::{Declare, drop_series, forget, label_values};
use super::{Metrics, result};

/// The families of every certificate.
pub(super) struct Certificates {
    certificate_expiry: IntGaugeVec,
    certificate_renewals: IntCounterVec,
    certificate_failures: IntCounterVec,
    certificate_source: IntGaugeVec,
}

impl Certificates {
    pub(super) fn declare(declare: &Declare<'_>) -> Self {
        Self {
            certificate_expiry: declare.gauge(
                "certificate_not_after_seconds",
                "When the certificate in use ends, in Unix time.",
                &["name"],
            ),
            certificate_renewals: declare.counter(
                "certificate_renewals_total",
                "Certificates renewed or read again, by result.",
                &["name", "result"],
            ),
            certificate_failures: declare.counter(
                "certificate_failures_total",
                "Attempts to obtain or renew a certificate that failed, by reason.",
                &["name", "reason"],
            ),
            certificate_source: declare.gauge(
                "certificate_source",
                "1 for where the certificate in use is from: self_signed, files, ordered, stored, kept (from before a reload, not in the storage in use now), or stand_in until one is ordered.",
                &["name", "source"],
            ),
        }
    }

    /// Drops every series of certificates that are gone.
    pub(super) fn retain(&self, certificate: &impl Fn(&str) -> bool) {
        for name in label_values(&self.certificate_expiry, "name") {
            if !certificate(&name) {
                forget(&self.certificate_expiry.remove_label_values(&[&name]));
            }
        }
        drop_series(&self.certificate_source, "name", certificate);
        for family in [&self.certificate_renewals, &self.certificate_failures] {
            drop_series(family, "name", certificate);
        }
    }
}

impl Metrics {
    /// Notes until when a certificate is valid, in Unix time.
    pub fn certificate_expiry(&self, certificate: &str, not_after: i64) {
        self.0.certificates.certificate_expiry.with_label_values(&[certificate]).set(not_after);
    }

    /// Counts an attempt to renew a certificate or to read its files again.
    pub fn certificate_renewed(&self, certificate: &str, success: bool) {
        self.0
            .certificates
            .certificate_renewals
            .with_label_values(&[certificate, result(success)])
            .inc();
    }

    /// Counts a failed attempt to obtain a certificate; `reason` is one of a fixed list.
    pub fn certificate_failed(&self, certificate: &str, reason: &'static str) {
        self.0.certificates.certificate_failures.with_label_values(&[certificate, reason]).inc();
    }

    /// Notes where the certificate in use is from.
    pub fn certificate_source(&self, certificate: &str, source: &'static str) {
        drop_series(&self.0.certificates.certificate_source, "name", &|name| name != certificate);
        self.0.certificates.certificate_source.with_label_values(&[certificate, source]).set(1);
    }
}
