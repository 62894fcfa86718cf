//! Free loopback ports for tests, for servers that must be told their port before they bind it.
//!
//! Each test is a process of its own and several run at once, so a port is locked for its process:
//! without that, two tests find the same port free, and the second one to bind it fails.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Below Linux's range for port 0 and for outgoing connections, which begins at 32768.
const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

/// A loopback port, IPv4 and IPv6, that no program listens on, that no other test process is given
/// while this one runs, and that the system gives to no program that asks for any port.
///
/// # Panics
/// When the folder for temporary files cannot be written, or none of 20,000 ports is free.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // The locks end with the process.
    static LOCKS: Mutex<Vec<File>> = Mutex::new(Vec::new());
    // Processes begin in different places, so that they seldom try the same port.
    let start = std::process::id().wrapping_mul(13);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port =
            u16::try_from(FIRST + start.wrapping_add(step) % COUNT).expect("it is below 32000");
        let Some(lock) = lock(port) else { continue };
        if is_free(port) {
            LOCKS.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
            return port;
        }
    }
    panic!("expected a free port from {FIRST} to {}: all are taken", FIRST + COUNT - 1);
}

fn lock(port: u16) -> Option<File> {
    let path = std::env::temp_dir().join(format!("gatehouse-test-port-{port}.lock"));
    let file = File::options().create(true).append(true).open(&path);
    let file = file
        .unwrap_or_else(|error| panic!("{}: expected a writable file: {error}", path.display()));
    file.try_lock().is_ok().then_some(file)
}

fn is_free(port: u16) -> bool {
    let both = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    both.iter().all(|address| TcpListener::bind((*address, port)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_stays_locked() {
        let ports: Vec<u16> = (0..50).map(|_| free_port()).collect();
        let mut distinct = ports.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), ports.len());
        // A lock belongs to the open file: a second one is refused to this process as to any other.
        assert!(ports.iter().all(|port| lock(*port).is_none()));
    }

    #[test]
    fn a_port_that_is_listened_on_is_not_free() {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        assert!(!is_free(listener.local_addr().expect("it is bound").port()));
    }
}
