//! Load balancing: pure functions that choose one of several candidates.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use gateway_config::Balance;
use http::{HeaderMap, header};

use super::target::Target;

/// The key of a request for consistent hashing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key<'k> {
    /// The value of the configured cookie.
    Cookie(&'k [u8]),
    /// The client's address.
    Client(IpAddr),
}

impl<'k> Key<'k> {
    /// The configured cookie if the request has it, else the client's address.
    pub(crate) fn of(balance: &Balance, headers: &'k HeaderMap, client: IpAddr) -> Self {
        let Balance::Rendezvous { cookie: wanted } = balance else {
            return Self::Client(client);
        };
        let mut pairs = headers
            .get_all(header::COOKIE)
            .iter()
            .flat_map(|field| field.as_bytes().split(|byte| *byte == b';'))
            .map(<[u8]>::trim_ascii);
        let value = pairs.find_map(|pair| pair.strip_prefix(wanted.as_bytes())?.strip_prefix(b"="));
        value.map_or(Self::Client(client), Self::Cookie)
    }
}

/// A target with its load and health at the time of the choice.
#[derive(Debug)]
pub(super) struct Candidate<'t> {
    pub(super) target: &'t Arc<Target>,
    load: u32,
    available: bool,
    share: f64,
}

impl<'t> Candidate<'t> {
    pub(super) fn of(target: &'t Arc<Target>, now: Instant) -> Self {
        let health = target.health();
        let (available, share) = (health.is_available(now), health.share(now));
        Self { target, load: target.in_flight.load(Ordering::Acquire), available, share }
    }

    fn pressure(&self) -> f64 {
        f64::from(self.load + 1) / self.share
    }
}

/// The less loaded of two random candidates (Mitzenmacher, "The Power of Two Choices"). When no
/// candidate is available, all are eligible: wrong health checks must not cause an outage.
pub(super) fn least_request(candidates: &[Candidate<'_>], random: u64) -> Option<usize> {
    let eligible = eligible(candidates);
    let count = eligible.len() as u64;
    if count == 0 {
        return None;
    }
    let first = random % count;
    let second = (first + 1 + (random >> 32) % (count - 1).max(1)) % count;
    let at = |position: u64| eligible.get(usize::try_from(position).ok()?).copied();
    let (first, second) = (at(first)?, at(second)?);
    let pressure = |index: usize| candidates.get(index).map_or(f64::INFINITY, Candidate::pressure);
    Some(if pressure(second) < pressure(first) { second } else { first })
}

/// Highest random weight (Thaler and Ravishankar): removing a target moves only the keys of that
/// target.
pub(super) fn rendezvous(candidates: &[Candidate<'_>], key: Key<'_>) -> Option<usize> {
    let weight = |index: &usize| {
        candidates.get(*index).map_or(0, |candidate| weight(key, &candidate.target.label))
    };
    eligible(candidates).into_iter().max_by_key(weight)
}

fn eligible(candidates: &[Candidate<'_>]) -> Vec<usize> {
    let with = |wanted: bool| {
        let matching = candidates
            .iter()
            .enumerate()
            .filter(move |(_, candidate)| candidate.available || !wanted);
        matching.map(|(index, _)| index).collect::<Vec<_>>()
    };
    let available = with(true);
    if available.is_empty() { with(false) } else { available }
}

/// The same on every replica and in every run: FNV-1a with the finalizer of `MurmurHash3`, because
/// FNV alone does not mix its last bytes enough for a comparison.
fn weight(key: Key<'_>, label: &str) -> u64 {
    let fnv = |hash: u64, bytes: &[u8]| {
        bytes
            .iter()
            .fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
    };
    let start = 0xcbf2_9ce4_8422_2325;
    let mut hash = match key {
        Key::Cookie(value) => fnv(start, value),
        Key::Client(IpAddr::V4(client)) => fnv(start, &client.octets()),
        Key::Client(IpAddr::V6(client)) => fnv(start, &client.octets()),
    };
    hash = fnv(fnv(hash, b"\0"), label.as_bytes());
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}
