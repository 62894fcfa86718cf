//! The harness of the whole-process tests: real programs on free loopback ports, stopped when dropped.
//!
//! ```text
//! process.rs   any program: its log, its conditions, its end
//! redis.rs  gatehouse.rs  split.rs     Redis · everything in one process · gateway and backends apart
//! client.rs    HTTPS, server-sent events and WebSockets as a visitor, trusting the local CA
//! ```

pub mod client;
pub mod gatehouse;
pub mod process;
pub mod redis;
pub mod split;

use std::net::TcpListener;
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

/// A loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}
