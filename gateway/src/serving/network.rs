//! Networks of addresses: the one that a client is counted as, and lists of trusted ones.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// The network that one client is counted as: its IPv4 address, or its IPv6 /64 (a home or a phone
/// has all of one).
pub(crate) fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

/// Whether one of the networks has this address, in either spelling of an IPv4 address.
pub(crate) fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}
