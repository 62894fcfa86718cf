//! Free loopback ports for test servers whose port must be known before they bind it.
//!
//! Each test is a separate process and several run at once, so a port is locked for one process.
//! Otherwise two tests could find the same port free, and the second bind would fail.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Below Linux's range for port 0 and for outgoing connections, which starts at 32768.
const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

/// Returns a loopback port (IPv4 and IPv6) on which no program listens. No other test process gets
/// it while this one runs, and the system does not assign it for port 0.
///
/// # Panics
/// If the folder for temporary files is not writable, or if none of 20,000 ports is free.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // The locks are released when the process exits.
    static LOCKS: Mutex<Vec<File>> = Mutex::new(Vec::new());
    // Processes start at different ports, so that they rarely try the same one.
    let start = std::process::id().wrapping_mul(13);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + start.wrapping_add(step) % COUNT)
            .expect("the port is below 32000");
        let Some(lock) = lock(port) else { continue };
        if is_free(port) {
            LOCKS.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT - 1);
}

fn lock(port: u16) -> Option<File> {
    let path = std::env::temp_dir().join(format!("gatehouse-test-port-{port}.lock"));
    let file = File::options().create(true).append(true).open(&path);
    let file = file.unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
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
    fn free_port_is_unique_and_stays_locked() {
        let ports: Vec<u16> = (0..50).map(|_| free_port()).collect();
        let mut distinct = ports.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), ports.len());
        // A lock belongs to the open file: a second lock fails, even in the same process.
        assert!(ports.iter().all(|port| lock(*port).is_none()));
    }

    #[test]
    fn occupied_port_is_not_free() {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a free loopback port");
        assert!(!is_free(listener.local_addr().expect("the listener is bound").port()));
    }
}
