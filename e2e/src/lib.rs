//! The harness of the whole-process tests: real programs on free loopback ports, stopped when dropped.
//!
//! ```text
//! process.rs   any program: its log, its conditions, its end
//! redis.rs  gatehouse.rs  split.rs     Redis · everything in one process · gateway and backends apart
//! edge.rs  echo.rs     the gateway alone · a backend that answers what it was sent, in the test itself
//! pebble.rs  balancer.rs  gate.rs     an ACME authority · HAProxy before gateways · a door that keeps callers waiting
//! handshakes.rs   new connections without pause, and which certificate they saw
//! client.rs    HTTPS, server-sent events and WebSockets as a visitor, trusting the local CA
//! load.rs  strict.rs   requests without pause, each accounted for · clients that forgive nothing
//! attack.rs  frames.rs     a gateway under attack, raw connections · HTTP/2 frame by frame
//! between.rs  scrape.rs     in the middle of an upgrade · metrics as text
//! ```

pub mod attack;
pub mod balancer;
pub mod between;
pub mod client;
pub mod echo;
pub mod edge;
pub mod frames;
pub mod gate;
pub mod gatehouse;
pub mod handshakes;
pub mod load;
pub mod pebble;
pub mod process;
pub mod redis;
pub mod scrape;
pub mod split;
pub mod strict;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is inside the workspace")
}

/// One of the workspace's own programs, built beside this test.
///
/// # Panics
/// When it was not built: the test runner builds all programs first, see `.config/nextest.toml`.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let built = test.ancestors().nth(2).expect("tests are built in PROFILE/deps").join(name);
    assert!(built.is_file(), "{} is missing: run `cargo build --workspace --bins`", built.display());
    built
}

/// A loopback port that nobody listens on and that the system gives to nobody who asks for any port.
///
/// Ports from the system's own range would be taken again, by another program's port 0, before they are used.
pub fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests are processes of their own: each begins elsewhere. Linux's own range begins at 32768.
    let start = std::process::id() % 20_000;
    loop {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(12_000 + (start * 13 + step) % 20_000).expect("it is below 32000");
        let both = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        if both.iter().all(|address| TcpListener::bind((*address, port)).is_ok()) {
            return port;
        }
    }
}
