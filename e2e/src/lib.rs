//! Test harness for whole processes: real programs on free loopback ports, stopped on drop.
//!
//! ```text
//! process.rs       any program: start, log, conditions, exit
//! redis.rs         a Redis server
//! gatehouse.rs     everything in one process
//! split.rs         a gateway in front of two backend processes
//! edge.rs          the gateway alone
//! echo.rs          an echo backend inside the test
//! pebble.rs        an ACME authority
//! balancer.rs      HAProxy in front of several gateways
//! gate.rs          a TCP proxy that can hold connections
//! handshakes.rs    a stream of new connections, and the certificates they saw
//! client.rs        an HTTPS, event stream and WebSocket client that trusts the local CA
//! load.rs          a stream of requests, each accounted for
//! strict.rs        HTTP/1.1 clients that never retry
//! attack.rs        a gateway under attack, raw connections
//! frames.rs        HTTP/2 frame by frame
//! handover.rs      an upgrade stopped in the middle
//! scrape.rs        metrics as text
//! ```

pub mod attack;
pub mod balancer;
pub mod client;
pub mod echo;
pub mod edge;
pub mod frames;
pub mod gate;
pub mod gatehouse;
pub mod handover;
pub mod handshakes;
pub mod load;
pub mod pebble;
pub mod process;
pub mod redis;
pub mod scrape;
pub mod split;
pub mod strict;

pub use test_ports::free_port;

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is inside the workspace")
}

/// The path of one of the workspace's programs, in the same target directory as this test.
///
/// # Panics
/// If the program is not built. The test runner builds all programs first: `.config/nextest.toml`.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("find the test's own path");
    let built = test.ancestors().nth(2).expect("tests are built in PROFILE/deps").join(name);
    assert!(
        built.is_file(),
        "{} does not exist: run `cargo build --workspace --bins`",
        built.display()
    );
    built
}
