//! The PROXY protocol, versions 1 and 2, as HAProxy specifies it (doc/proxy-protocol.txt): the
//! address of a load balancer's client.

// Numbers here come from peers: arithmetic on them is checked or saturates.
#![warn(clippy::arithmetic_side_effects)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// The first bytes of a version 2 header (section 2.2).
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Maximum length of a version 1 line (section 2.1).
const V1_MAX: usize = 107;
/// Maximum length of a version 2 header: addresses, and more TLVs than balancers send.
const V2_MAX: usize = 2048;

/// Why a PROXY header is rejected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyHeaderError {
    /// The connection does not start with a PROXY header.
    #[error("expected a PROXY header from this peer, found other bytes")]
    Missing,
    /// The header is malformed.
    #[error("the PROXY header is malformed")]
    Malformed,
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the header and no byte after it. `None`: a connection of the balancer, such as a health
/// check (LOCAL, UNKNOWN).
pub(crate) async fn read_proxy_header(
    tcp: &mut TcpStream,
) -> Result<Option<SocketAddr>, ProxyHeaderError> {
    let mut start = [0; 12];
    tcp.read_exact(&mut start).await?;
    if start == *V2_SIGNATURE {
        let mut fixed = [0; 4];
        tcp.read_exact(&mut fixed).await?;
        let [_, _, high, low] = fixed;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > V2_MAX {
            return Err(ProxyHeaderError::Malformed);
        }
        let mut rest = vec![0; length];
        tcp.read_exact(&mut rest).await?;
        return parse_v2(fixed, &rest).ok_or(ProxyHeaderError::Malformed);
    }
    if !start.starts_with(b"PROXY ") {
        return Err(ProxyHeaderError::Missing);
    }
    // A version 1 header has no length: reading single bytes leaves the TLS handshake unread. This
    // version is rare.
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= V1_MAX {
            return Err(ProxyHeaderError::Malformed);
        }
        line.push(tcp.read_u8().await?);
    }
    parse_v1(&line).ok_or(ProxyHeaderError::Malformed)
}

/// `Some(None)`: valid, without an address.
fn parse_v1(line: &[u8]) -> Option<Option<SocketAddr>> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix("PROXY ")?.strip_suffix("\r\n")?;
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Some(None);
    }
    let parts: Vec<&str> = line.split(' ').collect();
    let [family, source, destination, port, destination_port] = parts.as_slice() else {
        return None;
    };
    let (source, destination): (IpAddr, IpAddr) = (source.parse().ok()?, destination.parse().ok()?);
    let matches = match *family {
        "TCP4" => source.is_ipv4() && destination.is_ipv4(),
        "TCP6" => source.is_ipv6() && destination.is_ipv6(),
        _ => false,
    };
    destination_port.parse::<u16>().ok()?;
    matches.then_some(Some(SocketAddr::new(source, port.parse().ok()?)))
}

/// `Some(None)`: valid, without an IP address.
fn parse_v2([version_command, family, ..]: [u8; 4], rest: &[u8]) -> Option<Option<SocketAddr>> {
    match version_command {
        0x20 => return Some(None),
        0x21 => {}
        _ => return None,
    }
    match family {
        0x11 => {
            let (source, _) = rest.split_first_chunk::<4>()?;
            let port = rest.get(8..10)?.try_into().ok()?;
            rest.get(..12)?;
            Some(Some(SocketAddr::new(Ipv4Addr::from(*source).into(), u16::from_be_bytes(port))))
        }
        0x21 => {
            let (source, _) = rest.split_first_chunk::<16>()?;
            let port = rest.get(32..34)?.try_into().ok()?;
            rest.get(..36)?;
            Some(Some(SocketAddr::new(Ipv6Addr::from(*source).into(), u16::from_be_bytes(port))))
        }
        // Unspecified, Unix sockets and datagrams: accepted, without a client address.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => Some(None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_lines() {
        for (line, expected) in [
            ("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", Some(Some("192.0.2.7:56324"))),
            ("PROXY TCP6 2001:db8::7 ::1 1 443\r\n", Some(Some("[2001:db8::7]:1"))),
            ("PROXY UNKNOWN\r\n", Some(None)),
            ("PROXY UNKNOWN ffff::1 ::1 1 2\r\n", Some(None)),
            ("PROXY TCP4 ::1 ::1 1 2\r\n", None),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n", None),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 99999 443\r\n", None),
            ("PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n", None),
            ("PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n", None),
        ] {
            let expected =
                expected.map(|address| address.map(|text| text.parse().expect("an address")));
            assert_eq!(parse_v1(line.as_bytes()), expected, "{line:?}");
        }
    }

    #[test]
    fn version_2_headers() {
        let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x34, 0x01, 0xbb];
        assert_eq!(
            parse_v2([0x21, 0x11, 0, 12], &v4),
            Some(Some("192.0.2.7:4660".parse().expect("an address")))
        );
        assert_eq!(parse_v2([0x20, 0x11, 0, 12], &v4), Some(None), "LOCAL");
        assert_eq!(parse_v2([0x21, 0x11, 0, 11], v4.get(..11).expect("inside")), None, "too short");
        assert_eq!(parse_v2([0x11, 0x11, 0, 12], &v4), None, "version 1 in binary");
        assert_eq!(parse_v2([0x22, 0x11, 0, 12], &v4), None, "unknown command");
        let mut v6 = [0; 40];
        v6.first_chunk_mut::<2>().expect("long enough").copy_from_slice(&[0x20, 0x01]);
        assert_eq!(
            parse_v2([0x21, 0x21, 0, 40], &v6),
            Some(Some("[2001::]:0".parse().expect("an address"))),
            "with TLVs"
        );
        assert_eq!(parse_v2([0x21, 0x00, 0, 0], &[]), Some(None), "unspecified");
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(fixed: [u8; 4], rest: Vec<u8>) {
            parse_v2(fixed, &rest);
            parse_v1(&rest);
        }
    }
}
