//! The client network that new accounts are counted against: an IPv4 address, or an IPv6 /64, the
//! size given to one household or host (RFC 6177 section 2).

use std::net::{IpAddr, Ipv6Addr};

use axum::http::HeaderMap;

/// Clients of a Unix socket without a gateway.
const LOCAL: &str = "local";

/// The gateway is the only peer and overwrites `X-Forwarded-For`, so the header names the client.
/// Without a gateway the peer is the client.
pub(super) fn of(headers: &HeaderMap, peer: Option<IpAddr>) -> String {
    let forwarded =
        headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
    // The nearest hop's entry is the last one.
    let client = forwarded
        .and_then(|list| list.rsplit(',').next())
        .and_then(|last| last.trim().parse().ok());
    match client.or(peer).map(|address: IpAddr| address.to_canonical()) {
        None => LOCAL.to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let prefix = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
            format!("{prefix}/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn network(forwarded: &[&'static str], peer: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(
                HeaderName::from_static("x-forwarded-for"),
                HeaderValue::from_static(value),
            );
        }
        of(&headers, peer.map(|peer| peer.parse().unwrap()))
    }

    #[test]
    fn the_gateway_names_the_client() {
        assert_eq!(network(&["192.0.2.7"], Some("10.0.0.1")), "192.0.2.7");
        assert_eq!(network(&["2001:db8:1:2:3:4:5:6"], None), "2001:db8:1:2::/64");
        assert_eq!(network(&["::ffff:192.0.2.7"], None), "192.0.2.7");
        assert_eq!(
            network(&["198.51.100.1, 192.0.2.7"], None),
            "192.0.2.7",
            "a client's own claim counts for nothing"
        );
        assert_eq!(network(&["198.51.100.1", "192.0.2.7"], None), "192.0.2.7");
    }

    #[test]
    fn without_a_gateway_the_peer_is_the_client() {
        assert_eq!(network(&[], Some("192.0.2.8")), "192.0.2.8");
        assert_eq!(network(&["unknown"], Some("2001:db8::1")), "2001:db8::/64");
        assert_eq!(network(&[], None), "local");
    }
}
