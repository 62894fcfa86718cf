//! Finds the client's address: the peer, or the address that a trusted proxy reports.

use std::net::{IpAddr, SocketAddr};

use http::HeaderName;

use super::exchange::{Exchange, Refusal};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

pub(super) fn find(exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
    let peer = exchange.facts.client.ip().to_canonical();
    if !exchange.snapshot.trusts(peer) {
        return Ok(());
    }
    let fields = exchange.request.headers.get_all(FORWARDED_FOR).iter();
    let named: Vec<&str> =
        fields.filter_map(|field| field.to_str().ok()).flat_map(|field| field.split(',')).collect();
    exchange.about.client =
        nearest_client(&named, peer, |address| exchange.snapshot.trusts(address));
    // A trusted proxy that terminated TLS reports the scheme; other values are ignored.
    match exchange.request.headers.get(FORWARDED_PROTO).map(http::HeaderValue::as_bytes) {
        Some(b"https") => exchange.about.secure = true,
        Some(b"http") => exchange.about.secure = false,
        _ => {}
    }
    Ok(())
}

/// The first address from the right that is not a trusted proxy: each proxy appends its peer.
/// Addresses further left were sent by the client and prove nothing.
fn nearest_client(named: &[&str], peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut client = peer;
    for text in named.iter().rev() {
        let Some(address) = parse(text.trim()) else { break };
        client = address;
        if !trusts(address) {
            break;
        }
    }
    client
}

fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_trusted_proxies_added_count() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let trusts = |address: IpAddr| address.to_string().starts_with("10.");
        for (named, expected) in [
            (vec![], "10.0.0.1"),
            (vec!["192.0.2.1"], "192.0.2.1"),
            (vec!["6.6.6.6", " 192.0.2.1", "10.0.0.9"], "192.0.2.1"),
            (vec!["10.0.0.8", "10.0.0.9"], "10.0.0.8"),
            (vec!["192.0.2.1", "nonsense"], "10.0.0.1"),
            (vec!["[2001:db8::1]"], "2001:db8::1"),
            (vec!["192.0.2.1:4711"], "192.0.2.1"),
            (vec!["::ffff:192.0.2.1"], "192.0.2.1"),
        ] {
            assert_eq!(nearest_client(&named, ip("10.0.0.1"), trusts), ip(expected), "{named:?}");
        }
    }
}
