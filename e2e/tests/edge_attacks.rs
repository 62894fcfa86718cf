//! Attacks on a real gateway: each sends raw bytes and checks the status, the end of the
//! connection, and what the backend received.
//!
//! ```text
//! framing.rs  lines.rs  targets.rs  chunks.rs   request smuggling and syntax of HTTP/1.1
//! h2_heads.rs  h2_frames.rs  h2_floods.rs       requests, frames and floods of HTTP/2
//! websocket.rs                                  WebSocket handshakes
//! identity.rs                                   spoofed client addresses and other fields
//! admin.rs                                      the admin address
//! files.rs  conditions.rs                       path traversal, conditional and range requests
//! log.rs  rates.rs                              floods of log lines and of requests
//! handshakes.rs                                 TLS server names and broken client hellos
//! ```
//!
//! Each test ends with `assert_healthy`: the gateway serves, its log is clean, and no descriptors
//! leak.

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
