//! Address and trust of Redis, as an operator gives them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use redis::ProtocolVersion;
use redis::aio::AsyncPushSender;
use redis_connection::{Address, Options, Target};

use crate::error::{Result, StoreError};

/// RESP3, because pub/sub messages are pushes. The deadline of a call is reached only when several
/// of its attempts are slow.
const OPTIONS: Options = Options {
    protocol: ProtocolVersion::RESP3,
    connect: Duration::from_secs(2),
    reply: Duration::from_secs(2),
    call: Duration::from_secs(10),
};

/// How to reach Redis (7 or newer) or Valkey.
#[derive(Clone, Default)]
pub struct RedisSettings {
    /// `redis://[user:password@]host[:port]` · `rediss://…` (TLS) ·
    /// `redis-sentinel://host[:port],host…/master` · `redis-cluster://host[:port],host…`; with TLS
    /// `rediss-sentinel://` and `rediss-cluster://`.
    pub url: String,
    /// Replaces a password in the URL.
    pub password: Option<String>,
    /// PEM file of the certificate authorities to trust. Without it: the public web PKI.
    pub ca_file: Option<PathBuf>,
    /// Replicas that must have a covered write before it is acknowledged; 0 waits for none. Not
    /// with a cluster.
    pub wait_replicas: u32,
}

impl RedisSettings {
    /// The URL without credentials, for logs.
    pub fn address(&self) -> &str {
        self.url.rsplit_once('@').map_or(self.url.as_str(), |(_, place)| place)
    }

    /// A delivery in a cluster writes to up to three masters, and `WAIT` asks one.
    pub(super) fn refuse_waiting_in_a_cluster(&self) -> Result<()> {
        if self.wait_replicas > 0 && self.url.contains("-cluster://") {
            return Err(StoreError::Setup(
                "REDIS_WAIT_REPLICAS needs one server or Sentinel, not a cluster: remove it, or use redis:// or redis-sentinel://"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Reads the certificate authorities and validates the URL. `pushes` receives what Redis
    /// pushes.
    pub(super) fn target(&self, pushes: Option<Arc<dyn AsyncPushSender>>) -> Result<Target> {
        let address = Address {
            url: self.url.clone(),
            password: self.password.clone(),
            authorities: self.ca_file.as_deref().map(read_authorities).transpose()?,
        };
        let target = Target::new(&address, OPTIONS, pushes).map_err(|error| invalid(&error))?;
        match target.database() {
            0 => Ok(target),
            // As in a cluster, which has no other.
            _ => Err(invalid(&"only database 0 is used")),
        }
    }
}

impl std::fmt::Debug for RedisSettings {
    /// Without credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSettings")
            .field("address", &self.address())
            .field("ca_file", &self.ca_file)
            .field("wait_replicas", &self.wait_replicas)
            .finish_non_exhaustive()
    }
}

fn read_authorities(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        StoreError::Setup(format!(
            "cannot read the certificate authorities for Redis, {}: {error}",
            path.display()
        ))
    })
}

/// Without the URL, which may hold a password.
fn invalid(why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Setup(format!(
        "the Redis URL cannot be used: {why}; expected redis://, rediss://, redis-sentinel://…/master or redis-cluster://"
    ))
}
