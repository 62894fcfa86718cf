//! Listening sockets inherited from the predecessor; each is used once, for the same address in the
//! new configuration.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use gateway_config::ListenAddress;
use socket2::{Socket, Type};

use super::bound::{Bound, Part};

/// Inherited sockets; empty without a predecessor.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    sockets: Vec<Handed>,
    from_running: bool,
}

/// A received socket and the predecessor's description of it.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) part: Part,
    /// The configured address.
    pub(crate) configured: ListenAddress,
    pub(crate) descriptor: OwnedFd,
}

#[derive(Debug)]
struct Handed {
    part: Part,
    configured: ListenAddress,
    address: SocketAddr,
    socket: TcpListener,
}

impl Inherited {
    /// Checks that every descriptor is a listening socket.
    pub(crate) fn new(received: Vec<Received>) -> Result<Self, String> {
        let mut sockets = Vec::new();
        for Received { part, configured, descriptor } in received {
            let (socket, address) =
                listening(descriptor).map_err(|error| format!("file descriptor: {error}"))?;
            sockets.push(Handed { part, configured, address, socket });
        }
        Ok(Self { sockets, from_running: true })
    }

    /// Whether there is a predecessor.
    pub(crate) fn is_from_running(&self) -> bool {
        self.from_running
    }

    /// The unused addresses and the part that each belonged to.
    pub(crate) fn left(&self) -> impl Iterator<Item = (&Part, SocketAddr)> {
        self.sockets.iter().map(|handed| (&handed.part, handed.address))
    }

    /// Takes the sockets of an address that is configured as before. With port 0, only those of the
    /// same part: the actual port is recorded nowhere else.
    pub(crate) fn take_all(&mut self, part: &Part, wanted: &ListenAddress) -> Option<Bound> {
        let owner = self.sockets.iter().find(|handed| {
            handed.configured == *wanted && (wanted.port() != 0 || handed.part == *part)
        })?;
        let owner = owner.part.clone();
        let mut bound = Bound { sockets: Vec::new(), addresses: Vec::new() };
        let ours = |handed: &mut Handed| handed.configured == *wanted && handed.part == owner;
        for handed in self.sockets.extract_if(.., ours) {
            bound.sockets.push(handed.socket);
            bound.addresses.push(handed.address);
        }
        Some(bound)
    }

    /// The socket that listens on exactly this address.
    pub(crate) fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let index = self.sockets.iter().position(|handed| handed.address == address)?;
        Some(self.sockets.swap_remove(index).socket)
    }
}

fn listening(descriptor: OwnedFd) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::from(descriptor);
    if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
        return Err(io::Error::other("expected a listening socket"));
    }
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from(socket);
    let address = socket.local_addr()?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(parts: &[(Option<&str>, &str, &TcpListener)]) -> Inherited {
        let received = parts.iter().map(|(listener, configured, socket)| Received {
            part: listener.map_or(Part::Admin, |name| Part::Listener(name.parse().unwrap())),
            configured: configured.parse().unwrap(),
            descriptor: OwnedFd::from(socket.try_clone().unwrap()),
        });
        Inherited::new(received.collect()).unwrap()
    }

    #[test]
    fn an_address_configured_as_before_gets_all_its_sockets_for_any_listener() {
        let (one, two) =
            (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let mut inherited =
            handed(&[(Some("a"), "localhost:7", &one), (Some("a"), "localhost:7", &two)]);
        let other = Part::Listener("b".parse().unwrap());
        assert!(inherited.take_all(&other, &"localhost:8".parse().unwrap()).is_none());
        assert_eq!(
            inherited.take_all(&other, &"localhost:7".parse().unwrap()).unwrap().sockets.len(),
            2
        );
        assert_eq!(inherited.left().count(), 0);
    }

    #[test]
    fn an_automatic_port_stays_with_its_part() {
        let (one, two) =
            (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let mut inherited =
            handed(&[(None, "127.0.0.1:0", &one), (Some("a"), "127.0.0.1:0", &two)]);
        let wanted = "127.0.0.1:0".parse().unwrap();
        let taken = inherited.take_all(&Part::Listener("a".parse().unwrap()), &wanted).unwrap();
        assert_eq!(taken.addresses, [two.local_addr().unwrap()]);
        assert!(inherited.take_all(&Part::Listener("b".parse().unwrap()), &wanted).is_none());
        assert!(inherited.take(two.local_addr().unwrap()).is_none());
        assert!(inherited.take(one.local_addr().unwrap()).is_some());
    }

    #[test]
    fn a_socket_that_does_not_listen_is_rejected() {
        let socket = Socket::new(socket2::Domain::IPV4, Type::STREAM, None).unwrap();
        let received = Received {
            part: Part::Admin,
            configured: "127.0.0.1:1".parse().unwrap(),
            descriptor: socket.into(),
        };
        let error = Inherited::new(vec![received]).unwrap_err();
        assert!(error.contains("expected a listening socket"), "{error}");
    }
}
