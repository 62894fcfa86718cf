//! Intervals, deadlines and sizes of live connections. The defaults are those of the published
//! protocol.

use std::time::Duration;

use backend_protocol::limits::{HELLO_SECONDS, PING_SECONDS, PONG_SECONDS, PRESENCE_SECONDS};

/// Settings of the hub's connections.
#[derive(Debug, Clone)]
pub struct HubSettings {
    /// Deadline for `hello` on a new connection.
    pub hello: Duration,
    /// Interval between pings.
    pub ping: Duration,
    /// Deadline for a pong.
    pub pong: Duration,
    /// Deadline for writing a frame to the peer, and for draining a full queue.
    pub write: Duration,
    /// Deadline for the peer's close frame after ours.
    pub linger: Duration,
    /// Interval between polls of the inbox, in case a wake-up was lost.
    pub poll: Duration,
    /// Interval between checks of the credential.
    pub credential: Duration,
    /// Presence is renewed at this interval …
    pub presence_refresh: Duration,
    /// … and expires this long after the last renewal.
    pub presence_ttl: Duration,
    /// Interval between polls of presence and lobby, to find expired entries.
    pub presence_poll: Duration,
    /// Bytes queued for one peer.
    pub queue_bytes: usize,
    /// Connections of one account in this hub.
    pub connections_per_account: usize,
    /// Frames an account may send in a burst …
    pub rate_burst: u32,
    /// … and per second in the long run.
    pub rate_per_second: u32,
    /// Rejected frames after which the connection is closed.
    pub rate_abuse: u32,
    /// Interval at which a device replaces its encryption key, sent in `welcome`.
    pub key_rotation: Duration,
    /// Retention of private messages, sent in `welcome`.
    pub retention: Duration,
}

impl Default for HubSettings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            hello: Duration::from_secs(HELLO_SECONDS),
            ping: Duration::from_secs(PING_SECONDS),
            pong: Duration::from_secs(PONG_SECONDS),
            write: Duration::from_secs(10),
            linger: Duration::from_secs(2),
            poll: Duration::from_secs(15),
            credential: Duration::from_secs(5 * 60),
            presence_refresh: Duration::from_secs(25),
            presence_ttl: Duration::from_secs(PRESENCE_SECONDS),
            presence_poll: Duration::from_secs(30),
            queue_bytes: 256 * 1024,
            connections_per_account: 16,
            rate_burst: 100,
            rate_per_second: 20,
            rate_abuse: 500,
            key_rotation: DAY * 7,
            retention: DAY * 30,
        }
    }
}
