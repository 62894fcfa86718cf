//! One line per request: what was asked, what was answered, how long it took. Never a query string, never a raw address.

use sha2::{Digest, Sha256};
use std::{
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// What is said about a request when its answer has ended.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'r> {
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
}

impl AccessRecord<'_> {
    /// From the head of the request to the last byte of the answer.
    pub fn duration(&self) -> Duration {
        self.ended.saturating_duration_since(self.began)
    }
}

/// Writes access lines, or does not, as `[log]` says.
#[derive(Clone)]
pub struct AccessLog {
    enabled: bool,
    pseudonyms: Option<Pseudonyms>,
}

impl AccessLog {
    /// A log as configured; `pseudonyms` are those of the process, so that lines stay comparable over reloads.
    pub fn new(log: &gateway_config::Log, pseudonyms: &Pseudonyms) -> Self {
        Self { enabled: log.access, pseudonyms: log.pseudonymise.then(|| pseudonyms.clone()) }
    }

    /// Whether [`record`](Self::record) does anything.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// Writes one line.
    pub fn record(&self, record: &AccessRecord<'_>) {
        if !self.enabled {
            return;
        }
        let client = self.named(record.client);
        tracing::info!(
            target: "access",
            method = record.method,
            host = record.host,
            path = record.path.split('?').next().unwrap_or_default(),
            status = record.status,
            bytes = record.bytes,
            duration_ms = record.duration().as_secs_f64() * 1000.0,
            route = record.route,
            upstream = record.upstream,
            protocol = record.protocol,
            request_id = record.request_id,
            client,
        );
    }
}

impl AccessLog {
    /// Writes a line for a request that was refused before anything in it could be relied on: nothing of it is repeated.
    /// `reason` is the label of the refusal, `detail` what the client was told.
    pub fn refused(&self, client: IpAddr, status: u16, reason: &str, detail: &str) {
        if self.enabled {
            tracing::info!(target: "access", status, reason, detail, protocol = "HTTP/1.1", client = self.named(client));
        }
    }

    /// The client as logs name it.
    pub(crate) fn named(&self, client: IpAddr) -> String {
        match &self.pseudonyms {
            Some(pseudonyms) => pseudonyms.of(client),
            None => client.to_string(),
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
        // A fixed-length key before a message whose hash is cut to a quarter: no length extension to be had.
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
