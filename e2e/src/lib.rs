//! The harness of the whole-process tests: real programs on free loopback ports, stopped when
//! dropped.
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

pub use test_ports::free_port;

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
    assert!(
        built.is_file(),
        "{} is missing: run `cargo build --workspace --bins`",
        built.display()
    );
    built
}
