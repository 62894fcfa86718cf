//! Attacks from outside on the real gateway: raw bytes in; a status, the end of the connection, and
//! what the backend saw, out.
//!
//! ```text
//! framing.rs  lines.rs  targets.rs  chunks.rs     request smuggling and syntax of HTTP/1.1, as tables
//! h2_heads.rs  h2_frames.rs  h2_floods.rs     requests, frames and floods of HTTP/2
//! websocket.rs  identity.rs  admin.rs     upgrades · who a client claims to be · the admin address
//! files.rs  conditions.rs     paths out of the site · conditional and range requests
//! log.rs  rates.rs  handshakes.rs     floods of the log · of requests · TLS names and broken hellos
//! ```
//!
//! Each test ends with `assert_well`: the gateway serves, its log is clean, its descriptors are
//! closed.

mod edge_attacks {
    mod admin;
    mod chunks;
    mod conditions;
    mod files;
    mod framing;
    mod h2_floods;
    mod h2_frames;
    mod h2_heads;
    mod handshakes;
    mod identity;
    mod lines;
    mod log;
    mod rates;
    mod targets;
    mod websocket;
}
