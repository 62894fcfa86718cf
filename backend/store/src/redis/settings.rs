//! Which Redis, and how to trust it: parsed once, before anything connects.

use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, TlsCertificates, TlsMode,
};
use tokio::sync::Mutex;

use super::broker::Hearing;
use crate::error::{Result, StoreError};

/// One attempt at anything takes no longer.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);

/// How to reach Redis (7 or newer) or Valkey.
#[derive(Clone)]
pub struct RedisSettings {
    /// `redis://[user:password@]host[:port]` · `rediss://…` (TLS) ·
    /// `redis-sentinel://host[:port],host…/master` · `redis-cluster://host[:port],host…`; with TLS
    /// `rediss-sentinel://` and `rediss-cluster://`.
    pub url: String,
    /// Goes before one in the URL.
    pub password: Option<String>,
    /// PEM file of the certificate authorities to trust instead of the web's.
    pub ca_file: Option<PathBuf>,
}

impl RedisSettings {
    /// Where Redis is expected, without the secrets that the URL may hold: for logs.
    pub fn place(&self) -> &str {
        self.url.rsplit_once('@').map_or(self.url.as_str(), |(_, place)| place)
    }
}

impl std::fmt::Debug for RedisSettings {
    /// Without secrets: the URL may hold one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSettings")
            .field("place", &self.place())
            .field("ca_file", &self.ca_file)
            .finish_non_exhaustive()
    }
}

/// What a URL and its settings lead to.
pub(super) enum Target {
    /// One server.
    Single(Client),
    /// The master that the sentinels name.
    Sentinel(Mutex<SentinelClient>),
    /// The nodes of a cluster.
    Cluster(ClusterClient),
}

impl Target {
    /// Builds the client; `hearing` takes what is pushed to it. Connects to nothing yet.
    pub(super) fn build(settings: &RedisSettings, hearing: Option<Hearing>) -> Result<Self> {
        let parts = Parts::parse(settings)?;
        let certificates = settings.ca_file.as_deref().map(read_certificates).transpose()?;
        match parts.kind {
            Kind::Single => {
                let info =
                    parts.infos.into_iter().next().ok_or_else(|| refuse("it names no host"))?;
                let client = match certificates.filter(|_| parts.tls) {
                    Some(certificates) => Client::build_with_tls(info, certificates),
                    None => Client::open(info),
                };
                client.map(Self::Single)
            }
            Kind::Sentinel { master } => {
                let addresses = parts.infos.iter().map(|info| info.addr().clone());
                let mut builder =
                    SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)
                        .map_err(|error| refuse(&error.to_string()))?
                        .set_client_to_redis_protocol(ProtocolVersion::RESP3);
                if let Some(user) = &parts.user {
                    builder = builder.set_client_to_redis_username(user);
                }
                if let Some(password) = &parts.password {
                    builder = builder.set_client_to_redis_password(password);
                }
                if parts.tls {
                    builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
                    if let Some(certificates) = certificates {
                        builder = builder
                            .set_client_to_sentinel_certificates(certificates.clone())
                            .set_client_to_redis_certificates(certificates);
                    }
                }
                builder.build().map(|client| Self::Sentinel(Mutex::new(client)))
            }
            Kind::Cluster => {
                let mut builder = ClusterClientBuilder::new(parts.infos)
                    .use_protocol(ProtocolVersion::RESP3)
                    .retries(3)
                    .min_retry_wait(20)
                    .max_retry_wait(300)
                    .connection_timeout(DEADLINE)
                    .response_timeout(DEADLINE);
                if let Some(certificates) = certificates.filter(|_| parts.tls) {
                    builder = builder.certs(certificates);
                }
                if let Some(hearing) = hearing {
                    builder = builder.push_sender(hearing);
                }
                builder.build().map(Self::Cluster)
            }
        }
        .map_err(|error| refuse(&error.to_string()))
    }
}

enum Kind {
    Single,
    Sentinel { master: String },
    Cluster,
}

/// A URL, taken apart. The `url` crate knows no lists of hosts, so each host becomes a URL of its
/// own.
struct Parts {
    kind: Kind,
    tls: bool,
    user: Option<String>,
    password: Option<String>,
    infos: Vec<ConnectionInfo>,
}

impl Parts {
    fn parse(settings: &RedisSettings) -> Result<Self> {
        let (scheme, rest) =
            settings.url.split_once("://").ok_or_else(|| refuse("it has no scheme"))?;
        let tls = scheme.starts_with("rediss");
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = authority
            .rsplit_once('@')
            .map_or((None, authority), |(login, hosts)| (Some(login), hosts));
        let (kind, default_port) = match scheme {
            "redis" | "rediss" => (Kind::Single, 6379),
            "redis-sentinel" | "rediss-sentinel" => {
                let master = Some(path).filter(|name| !name.is_empty());
                let master = master.ok_or_else(|| {
                    refuse("redis-sentinel:// needs the name of the master as its path")
                })?;
                (Kind::Sentinel { master: master.to_owned() }, 26379)
            }
            "redis-cluster" | "rediss-cluster" => (Kind::Cluster, 6379),
            _ => return Err(refuse(&format!("the scheme `{scheme}` is not known"))),
        };
        if !matches!(kind, Kind::Sentinel { .. }) && !matches!(path, "" | "0") {
            return Err(refuse("only database 0 is used"));
        }
        let infos = hosts
            .split(',')
            .map(|host| one_host(tls, login, host, default_port))
            .collect::<Result<Vec<_>>>()?;
        let first =
            infos.first().ok_or_else(|| refuse("it names no host"))?.redis_settings().clone();
        let user = first.username().map(str::to_owned);
        let password = settings.password.clone().or_else(|| first.password().map(str::to_owned));
        let is_sentinel = matches!(kind, Kind::Sentinel { .. });
        let infos = infos.into_iter().map(|info| {
            let mut login = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
            // The login is for the servers that hold data, not for the sentinels.
            if let Some(user) = user.as_ref().filter(|_| !is_sentinel) {
                login = login.set_username(user);
            }
            if let Some(password) = password.as_ref().filter(|_| !is_sentinel) {
                login = login.set_password(password);
            }
            info.set_redis_settings(login)
        });
        Ok(Self { kind, tls, infos: infos.collect(), user, password })
    }
}

fn one_host(
    tls: bool,
    login: Option<&str>,
    host: &str,
    default_port: u16,
) -> Result<ConnectionInfo> {
    let scheme = if tls { "rediss" } else { "redis" };
    let login = login.map(|login| format!("{login}@")).unwrap_or_default();
    // An IPv6 address has colons of its own, inside brackets.
    let after_address = host.rsplit_once(']').map_or(host, |(_, after)| after);
    let port = if after_address.contains(':') { String::new() } else { format!(":{default_port}") };
    let info = format!("{scheme}://{login}{host}{port}").into_connection_info();
    let info = info.map_err(|error| refuse(&format!("a host is malformed: {error}")))?;
    match info.addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } if !host.is_empty() => {
            Ok(info)
        }
        _ => Err(refuse("it names no host")),
    }
}

fn read_certificates(path: &Path) -> Result<TlsCertificates> {
    let pem = std::fs::read(path).map_err(|error| {
        StoreError::Setup(format!(
            "cannot read the certificate authorities for Redis, {}: {error}",
            path.display()
        ))
    })?;
    Ok(TlsCertificates { client_tls: None, root_cert: Some(pem) })
}

/// Never repeats the URL: it may hold a password.
fn refuse(why: &str) -> StoreError {
    StoreError::Setup(format!(
        "the Redis URL cannot be used: {why}; expected redis://, rediss://, redis-sentinel://…/master or redis-cluster://"
    ))
}
