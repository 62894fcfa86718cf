//! Listening sockets of the gateway before this one, each used once: where the new configuration
//! wants its address.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::{fmt, io};

use gateway_config::{ListenAddress, Name};
use socket2::{Socket, Type};

use super::wire::Described;
use crate::control::bind::Bound;

/// Sockets that were handed over; empty when there was nobody before.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    sockets: Vec<Handed>,
    from_running: bool,
}

/// What a socket is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// This listener.
    Listener(Name),
    /// The admin address.
    Admin,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(name) => write!(f, "listener `{name}`"),
            Self::Admin => f.write_str("`[admin]`"),
        }
    }
}

#[derive(Debug)]
struct Handed {
    part: Part,
    configured: ListenAddress,
    address: SocketAddr,
    socket: TcpListener,
}

impl Inherited {
    /// Checks what was received: every descriptor is a listening socket, and what is said of it can
    /// be understood.
    pub(super) fn new(
        described: Vec<Described>,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Self, String> {
        if described.len() != descriptors.len() {
            return Err(format!(
                "{} sockets are described, {} came",
                described.len(),
                descriptors.len()
            ));
        }
        let sockets = described.into_iter().zip(descriptors).map(|(described, descriptor)| {
            let part = match &described.listener {
                Some(name) => {
                    Part::Listener(name.parse().map_err(|reason| format!("{name:?}: {reason}"))?)
                }
                None => Part::Admin,
            };
            let configured = &described.configured;
            let configured =
                configured.parse().map_err(|reason| format!("{configured:?}: {reason}"))?;
            let (socket, address) =
                listening(descriptor).map_err(|error| format!("a descriptor: {error}"))?;
            Ok(Handed { part, configured, address, socket })
        });
        Ok(Self { sockets: sockets.collect::<Result<_, String>>()?, from_running: true })
    }

    /// Whether a gateway runs that these are from.
    pub(crate) fn is_from_running(&self) -> bool {
        self.from_running
    }

    /// The addresses that nobody wanted yet, and whose they were.
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
        let described =
            |(listener, configured, _): &(Option<&str>, &str, &TcpListener)| Described {
                listener: listener.map(str::to_owned),
                configured: (*configured).to_owned(),
            };
        let descriptors =
            parts.iter().map(|(_, _, socket)| OwnedFd::from(socket.try_clone().unwrap())).collect();
        Inherited::new(parts.iter().map(described).collect(), descriptors).unwrap()
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
        let described = Described { listener: None, configured: "127.0.0.1:1".to_owned() };
        let error = Inherited::new(vec![described], vec![socket.into()]).unwrap_err();
        assert!(error.contains("expected a listening socket"), "{error}");
    }
}
