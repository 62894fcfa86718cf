//! Intervals, deadlines and sizes of live connections. The defaults are the published protocol.

use std::time::Duration;

use backend_protocol::limits::{HELLO_SECONDS, PING_SECONDS, PONG_SECONDS, PRESENCE_SECONDS};

/// How the hub treats its connections.
#[derive(Debug, Clone)]
pub struct HubSettings {
    /// A new connection says `hello` within this time.
    pub hello: Duration,
    /// Between two pings.
    pub ping: Duration,
    /// A ping is answered within this time.
    pub pong: Duration,
    /// A frame is taken by the peer within this time, and a full queue drained.
    pub write: Duration,
    /// After a close frame the peer has this long to answer it.
    pub linger: Duration,
    /// A session looks into its inbox by itself at least this often, in case a wake-up was lost.
    pub look: Duration,
    /// Whether the credential is still good is asked at least this often.
    pub credential: Duration,
    /// Presence is renewed this often …
    pub presence_refresh: Duration,
    /// … and fades this long after the last time.
    pub presence_ttl: Duration,
    /// Presence and lobby are read again at least this often, to notice who faded.
    pub presence_look: Duration,
    /// Bytes that may wait for one peer.
    pub queue_bytes: usize,
    /// Connections of one account in this hub.
    pub connections_per_account: usize,
    /// Frames an account may send at once …
    pub rate_burst: u32,
    /// … and per second in the long run.
    pub rate_per_second: u32,
    /// Frames beyond the rate (each refused) that end the connection.
    pub rate_abuse: u32,
}

impl Default for HubSettings {
    fn default() -> Self {
        Self {
            hello: Duration::from_secs(HELLO_SECONDS),
            ping: Duration::from_secs(PING_SECONDS),
            pong: Duration::from_secs(PONG_SECONDS),
            write: Duration::from_secs(10),
            linger: Duration::from_secs(2),
            look: Duration::from_secs(15),
            credential: Duration::from_secs(5 * 60),
            presence_refresh: Duration::from_secs(25),
            presence_ttl: Duration::from_secs(PRESENCE_SECONDS),
            presence_look: Duration::from_secs(30),
            queue_bytes: 256 * 1024,
            connections_per_account: 16,
            rate_burst: 100,
            rate_per_second: 20,
            rate_abuse: 500,
        }
    }
}
