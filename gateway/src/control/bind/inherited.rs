//! Listening sockets of the gateway before this one, each used once: where the new configuration
//! wants its address.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use gateway_config::ListenAddress;
use socket2::{Socket, Type};

use super::bound::{Bound, Part};

/// Sockets that were handed over; empty when no gateway ran before.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    sockets: Vec<Handed>,
    from_running: bool,
}

/// A socket as it was received, with its description from the running gateway.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) part: Part,
    /// The address as configured.
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
                listening(descriptor).map_err(|error| format!("a descriptor: {error}"))?;
            sockets.push(Handed { part, configured, address, socket });
        }
        Ok(Self { sockets, from_running: true })
    }

    /// Whether a gateway runs that these are from.
    pub(crate) fn is_from_running(&self) -> bool {
        self.from_running
    }

    /// The addresses that were not taken, and what each was for.
    pub(crate) fn left(&self) -> impl Iterator<Item = (&Part, SocketAddr)> {
        self.sockets.iter().map(|handed| (&handed.part, handed.address))
    }

    /// The sockets of an address that is written as it was before. With port 0 only those of the
    /// same part: which port it got is known by nothing else.
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

    /// The socket that listens on just this address.
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
    fn an_address_written_as_before_gets_all_its_sockets_whoever_asks() {
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
    fn a_free_port_stays_with_the_part_that_got_it() {
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
    fn what_does_not_listen_is_refused() {
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
