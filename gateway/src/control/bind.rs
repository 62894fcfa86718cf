//! Binds the addresses of a listener, all or none; an error names what holds the address.

mod bound;
mod inherited;

pub(crate) use bound::{Bound, Part};
pub(crate) use inherited::{Inherited, Received};

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use gateway_config::ListenAddress;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Why an address cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("{key}: cannot listen on {address}: {}", advice(.address, .error, .held_by.as_deref()))]
pub struct BindError {
    /// Whose address: `[[listener]] "https", key address`.
    pub key: String,
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub error: io::Error,
    /// The part of this very gateway that holds the port, when it is not another program.
    pub held_by: Option<String>,
}

/// Binds every socket address of a listener.
pub(crate) fn bind(key: &str, address: &ListenAddress) -> Result<Bound, BindError> {
    bind_fresh(key, address, &mut Inherited::default())
}

/// The same, where sockets of the gateway before this one listen on some of the addresses already.
pub(crate) fn bind_or_inherit(
    key: &str,
    part: &Part,
    address: &ListenAddress,
    inherited: &mut Inherited,
) -> Result<Bound, BindError> {
    match inherited.take_all(part, address) {
        Some(bound) => Ok(bound),
        None => bind_fresh(key, address, inherited),
    }
}

fn bind_fresh(
    key: &str,
    address: &ListenAddress,
    inherited: &mut Inherited,
) -> Result<Bound, BindError> {
    let wanted = address.socket_addrs();
    if address.port() != 0 || wanted.len() < 2 {
        return bind_all(key, &wanted, inherited);
    }
    // Both families must get one and the same port: the first takes any, the second may find it
    // occupied.
    let mut attempts = 0;
    loop {
        let probe = bind_all(key, wanted.get(..1).unwrap_or(&wanted), inherited)?;
        let port = probe.addresses.first().map_or(0, SocketAddr::port);
        let rest: Vec<_> =
            wanted.iter().skip(1).map(|address| SocketAddr::new(address.ip(), port)).collect();
        attempts += 1;
        match bind_all(key, &rest, inherited) {
            Ok(second) => return Ok(probe.and(second)),
            Err(error) if is_absent(&error.error) => return Ok(probe),
            Err(error) if attempts >= 16 => return Err(error),
            Err(_) => {}
        }
    }
}

fn bind_all(
    key: &str,
    wanted: &[SocketAddr],
    inherited: &mut Inherited,
) -> Result<Bound, BindError> {
    let mut bound = Bound { sockets: Vec::new(), addresses: Vec::new() };
    for address in wanted {
        match inherited.take(*address).map_or_else(|| bind_one(*address), Ok) {
            Ok(socket) => {
                bound.addresses.push(socket.local_addr().unwrap_or(*address));
                bound.sockets.push(socket);
            }
            // A machine without IPv6 still has a localhost.
            Err(error) if is_absent(&error) && !bound.sockets.is_empty() => {
                tracing::info!(%address, %error, "this machine has no such address");
            }
            Err(error) => {
                return Err(BindError {
                    key: key.to_owned(),
                    address: *address,
                    error,
                    held_by: None,
                });
            }
        }
    }
    Ok(bound)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let any_ipv6 = address.is_ipv6() && address.ip().is_unspecified();
    match listen(address) {
        // `[::]` means every address; without IPv6 that is every IPv4 address.
        Err(error) if any_ipv6 && is_absent(&error) => {
            listen(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()))
        }
        done => done,
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a process that just ended may linger in TIME_WAIT; only a living listener is
    // in the way.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn is_absent(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let code = error.raw_os_error().map(Errno::from_raw);
    matches!(code, Some(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL))
}

fn advice(address: &SocketAddr, error: &io::Error, held_by: Option<&str>) -> String {
    let port = address.port();
    match (error.kind(), held_by) {
        (io::ErrorKind::AddrInUse, Some(holder)) => format!(
            "{holder} of this gateway holds port {port} on an overlapping address; move it in two steps: to another port \
             first, then here"
        ),
        _ => advice_on(port, error),
    }
}

fn advice_on(port: u16, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program listens there; `ss -ltnp 'sport = :{port}'` names it")
        }
        io::ErrorKind::PermissionDenied => format!(
            "not permitted; ports below 1024 need root, CAP_NET_BIND_SERVICE, or net.ipv4.ip_unprivileged_port_start={port}"
        ),
        io::ErrorKind::AddrNotAvailable => {
            "no network interface of this machine has this address".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_with_port_0_gets_one_port_in_both_families() {
        let bound = bind("test", &ListenAddress::Localhost(0)).unwrap();
        assert!(bound.addresses.iter().all(|address| address.port() == bound.addresses[0].port()));
        assert_ne!(bound.addresses[0].port(), 0);
    }

    #[test]
    fn an_occupied_address_is_named_with_its_key() {
        let first = bind("first", &"127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.addresses[0];
        let error = bind("[[listener]] \"https\", key `address`", &ListenAddress::Socket(address))
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("\"https\", key `address`") && text.contains(&address.to_string()),
            "{text}"
        );
        assert!(text.contains("another program listens there"), "{text}");
    }
}
