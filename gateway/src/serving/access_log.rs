//! Access log: one line per request with method, host, path, status and duration. No query strings
//! and no client addresses. Values from clients are truncated, and most rejected requests are only
//! counted.

pub(crate) mod bounded;
mod refusals;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::serving::network::client_network;
use bounded::cut;
use refusals::{Key, More, Refusals};

/// The record of a completed request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessRecord<'r> {
    /// The method.
    pub method: &'r str,
    /// The requested host, without port.
    pub host: &'r str,
    /// The path, without the query.
    pub path: &'r str,
    /// The response status; 0 if the client disconnected before a response was sent.
    pub status: u16,
    /// Bytes of the response body.
    pub bytes: u64,
    /// When the request head was read.
    pub began: Instant,
    /// When the last byte of the response was sent.
    pub ended: Instant,
    /// The route's name; empty when none matched.
    pub route: &'r str,
    /// The target that responded; empty for responses of the gateway itself.
    pub upstream: &'r str,
    /// `HTTP/1.1`, `HTTP/2` or `websocket`.
    pub protocol: &'r str,
    /// The request id, as sent to the upstream.
    pub request_id: &'r str,
    /// The client's address.
    pub client: IpAddr,
    /// Why the request was rejected: the label of `gateway_requests_refused_total`.
    pub refused: Option<&'static str>,
}

impl AccessRecord<'_> {
    /// Time from the request head to the last byte of the response.
    pub(crate) fn duration(&self) -> Duration {
        self.ended.saturating_duration_since(self.began)
    }
}

/// Writes access log lines as configured by `[log]`.
#[derive(Clone)]
pub(crate) struct AccessLog {
    enabled: bool,
    names: Names,
    refusals: Arc<Refusals>,
}

/// How client addresses are written.
#[derive(Clone)]
struct Names(Option<Pseudonyms>);

impl AccessLog {
    /// Creates a log. `pseudonyms` belong to the process, so that lines remain comparable across
    /// reloads; counts of `previous` continue.
    pub(crate) fn new(
        log: &gateway_config::Log,
        pseudonyms: &Pseudonyms,
        previous: Option<&Self>,
    ) -> Self {
        let refusals = previous.map(|previous| Arc::clone(&previous.refusals)).unwrap_or_default();
        Self {
            enabled: log.access,
            names: Names(log.pseudonymise.then(|| pseudonyms.clone())),
            refusals,
        }
    }

    /// Whether [`record`](Self::record) writes anything.
    pub(crate) fn enabled(&self) -> bool {
        self.enabled
    }

    /// Writes one line; for rejected requests, only the first per client and reason within an
    /// interval.
    pub(crate) fn record(&self, record: &AccessRecord<'_>) {
        if !self.enabled
            || record.refused.is_some_and(|reason| !self.count_refusal(record.client, reason))
        {
            return;
        }
        let client = self.named(record.client);
        tracing::info!(
            target: "access",
            method = &*cut(record.method, bounded::METHOD),
            host = &*cut(record.host, bounded::HOST),
            path = &*cut(record.path.split('?').next().unwrap_or_default(), bounded::PATH),
            status = record.status,
            bytes = record.bytes,
            duration_ms = record.duration().as_secs_f64() * 1000.0,
            route = record.route,
            upstream = record.upstream,
            protocol = record.protocol,
            request_id = &*cut(record.request_id, bounded::REQUEST_ID),
            client,
            reason = record.refused,
        );
    }
}

impl AccessLog {
    /// Writes a line for a request that was rejected before it was parsed; no part of the request
    /// is logged. `reason` is the label of the rejection, `detail` the text of the response.
    pub(crate) fn refused(&self, client: IpAddr, status: u16, reason: &'static str, detail: &str) {
        if self.enabled && self.count_refusal(client, reason) {
            tracing::info!(target: "access", status, reason, detail, protocol = "HTTP/1.1", client = self.named(client));
        }
    }

    /// Counts a refusal; returns whether it is the first of its kind for some time, which is
    /// logged.
    fn count_refusal(&self, client: IpAddr, reason: &'static str) -> bool {
        let first = self.refusals.note(client_network(client), reason, Instant::now());
        if first {
            let (refusals, names) = (Arc::downgrade(&self.refusals), self.names.clone());
            self.refusals.swept_by(|| sweep(refusals, names));
        }
        first
    }

    /// Writes the numbers of rejections counted so far.
    pub(crate) fn flush(&self) {
        self.names.write(self.refusals.ended(None));
    }

    /// The client as written in logs.
    pub(crate) fn named(&self, client: IpAddr) -> String {
        self.names.of(client)
    }
}

/// Writes the numbers of rejections when their intervals end, as long as there are any.
async fn sweep(refusals: Weak<Refusals>, names: Names) {
    while let Some(end) = refusals.upgrade().and_then(|refusals| refusals.next_end()) {
        tokio::time::sleep_until(end.into()).await;
        let Some(refusals) = refusals.upgrade() else { return };
        names.write(refusals.ended(Some(Instant::now())));
    }
}

impl Names {
    fn of(&self, client: IpAddr) -> String {
        match &self.0 {
            Some(pseudonyms) => pseudonyms.of(client),
            None => client.to_string(),
        }
    }

    fn write(&self, ended: Vec<More>) {
        for More { key, count } in ended {
            let (client, reason) = match key {
                Key::Client(client, reason) => (Some(self.of(client)), reason),
                Key::Others(reason) => (None, reason),
            };
            tracing::info!(target: "access", reason, refused = count, client, "{count} more rejected");
        }
    }
}

/// Pseudonyms of client networks, valid for one run of the process.
#[derive(Clone)]
pub struct Pseudonyms([u8; 32]);

impl Pseudonyms {
    /// Pseudonyms with a new random key.
    pub fn new() -> Self {
        Self(rand::random())
    }

    /// A keyed hash of the address's /24 (IPv4) or /48 (IPv6), as 16 hexadecimal digits.
    pub fn of(&self, address: IpAddr) -> String {
        let network = match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                vec![a, b, c]
            }
            IpAddr::V6(v6) => (Ipv6Addr::to_bits(v6) >> 80).to_be_bytes().to_vec(),
        };
        // The key has a fixed length and precedes the message, and the hash is truncated to a
        // quarter: length extension is not possible.
        let digest = Sha256::new().chain_update(self.0).chain_update(network).finalize();
        hex::encode(digest.iter().take(8).copied().collect::<Vec<_>>())
    }
}

impl Default for Pseudonyms {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_stable_only_within_one_process() {
        let (one, other) = (Pseudonyms::new(), Pseudonyms::new());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(one.of(address("192.0.2.1")), one.of(address("192.0.2.200")));
        assert_eq!(one.of(address("192.0.2.1")), one.of(address("::ffff:192.0.2.1")));
        assert_eq!(one.of(address("2001:db8:1::1")), one.of(address("2001:db8:1:ff::2")));
        assert_ne!(one.of(address("192.0.2.1")), one.of(address("192.0.3.1")));
        assert_ne!(one.of(address("2001:db8:1::1")), one.of(address("2001:db8:2::1")));
        assert_ne!(one.of(address("192.0.2.1")), other.of(address("192.0.2.1")));
    }
}
