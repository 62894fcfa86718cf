//! One line per request: what was asked, what was answered, how long it took. Never a query string,
//! never a raw address. What a client chose is cut to a length, and of what a client is refused
//! most is only counted.

pub(crate) mod bounded;
mod refusals;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::serving::network::client_network;
use bounded::cut;
use refusals::{Key, More, Refusals};

/// What is said about a request when its answer has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessRecord<'r> {
    /// The method.
    pub method: &'r str,
    /// The host asked for, without port.
    pub host: &'r str,
    /// The path, without query.
    pub path: &'r str,
    /// The status code answered; 0 when the client left before one was sent.
    pub status: u16,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// When the head of the request had been read.
    pub began: Instant,
    /// When the last byte of the answer had been sent.
    pub ended: Instant,
    /// The route's name; empty when none matched.
    pub route: &'r str,
    /// The target that answered; empty when the gateway did.
    pub upstream: &'r str,
    /// `HTTP/1.1`, `HTTP/2` or `websocket`.
    pub protocol: &'r str,
    /// The request id, as sent to the upstream.
    pub request_id: &'r str,
    /// The client's address.
    pub client: IpAddr,
    /// Why it was refused before it went anywhere: the label of `gateway_requests_refused_total`.
    pub refused: Option<&'static str>,
}

impl AccessRecord<'_> {
    /// From the head of the request to the last byte of the answer.
    pub(crate) fn duration(&self) -> Duration {
        self.ended.saturating_duration_since(self.began)
    }
}

/// Writes access lines, or does not, as `[log]` says.
#[derive(Clone)]
pub(crate) struct AccessLog {
    enabled: bool,
    names: Names,
    refusals: Arc<Refusals>,
}

/// How clients are named.
#[derive(Clone)]
struct Names(Option<Pseudonyms>);

impl AccessLog {
    /// A log as configured; `pseudonyms` are those of the process, so that lines stay comparable
    /// over reloads, and what `previous` has counted goes on being counted.
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

    /// Whether [`record`](Self::record) does anything.
    pub(crate) fn enabled(&self) -> bool {
        self.enabled
    }

    /// Writes one line; of a refusal, when it is the first for its client and reason for some time.
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
    /// Writes a line for a request that was refused before anything in it could be relied on:
    /// nothing of it is repeated. `reason` is the label of the refusal, `detail` the answer's text.
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

    /// Writes the numbers of refusals that were counted until now.
    pub(crate) fn flush(&self) {
        self.names.write(self.refusals.ended(None));
    }

    /// The client as logs name it.
    pub(crate) fn named(&self, client: IpAddr) -> String {
        self.names.of(client)
    }
}

/// Writes the numbers of refusals when their intervals end, for as long as there are any.
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
            tracing::info!(target: "access", reason, refused = count, client, "{count} more refused");
        }
    }
}

/// Names for client networks that mean something during one run of the process only.
#[derive(Clone)]
pub struct Pseudonyms([u8; 32]);

impl Pseudonyms {
    /// Pseudonyms under a fresh random key.
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
        // A fixed-length key before a message whose hash is cut to a quarter: no length extension
        // to be had.
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
    fn a_network_keeps_its_pseudonym_within_one_process_only() {
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
