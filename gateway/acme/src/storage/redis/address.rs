//! Which Redis: one server, the master that Sentinel names, or a cluster.

use std::fmt;

use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates, TlsMode};
use tokio::sync::Mutex;

use super::DEADLINE;
use crate::StorageError;

/// Which Redis, and how to be let in.
#[derive(Clone, Default)]
pub struct RedisAddress {
    /// One server: `redis://[user:password@]host[:port][/database]`, `rediss://` (TLS) or
    /// `unix:///path`. Several: `redis-sentinel://host[:port],…/MASTER` or
    /// `redis-cluster://host[:port],…`, with `rediss-` for TLS.
    pub url: String,
    /// The password of the servers that hold data, instead of one in the URL.
    pub password: Option<String>,
    /// PEM: trust only these authorities for TLS; none: those of the web.
    pub authorities: Option<Vec<u8>>,
}

impl RedisAddress {
    /// A server that the URL alone describes.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }
}

/// The URL may hold a password.
impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisAddress").finish_non_exhaustive()
    }
}

/// What to connect to.
pub(super) enum Target {
    Single(Client),
    /// Asked anew for each connection: it knows who is master now.
    Sentinel(Mutex<SentinelClient>),
    Cluster(ClusterClient),
}

impl Target {
    pub(super) fn new(address: &RedisAddress) -> Result<Self, StorageError> {
        let (scheme, rest) =
            address.url.split_once("://").ok_or_else(|| refuse("it has no scheme"))?;
        let tls = scheme
            .starts_with("rediss")
            .then(|| TlsCertificates { client_tls: None, root_cert: address.authorities.clone() });
        match scheme {
            "redis" | "rediss" | "unix" => single(address, tls),
            "redis-sentinel" | "rediss-sentinel" => sentinel(address, rest, tls),
            "redis-cluster" | "rediss-cluster" => cluster(address, rest, tls),
            _ => Err(refuse(format_args!("the scheme `{scheme}` is not known"))),
        }
    }
}

fn single(address: &RedisAddress, tls: Option<TlsCertificates>) -> Result<Target, StorageError> {
    let info = with_password(address.url.as_str().into_connection_info().map_err(refuse)?, address);
    let client = match tls {
        Some(certificates) if certificates.root_cert.is_some() => {
            Client::build_with_tls(info, certificates)
        }
        _ => Client::open(info),
    };
    client.map(Target::Single).map_err(refuse)
}

fn sentinel(
    address: &RedisAddress,
    rest: &str,
    tls: Option<TlsCertificates>,
) -> Result<Target, StorageError> {
    let (hosts, master) = rest.split_once('/').unwrap_or((rest, ""));
    if master.is_empty() {
        return Err(refuse("Sentinel needs the name of the master as the path of the URL"));
    }
    let infos = infos(hosts, tls.is_some(), 26379)?;
    let login = infos.first().map(ConnectionInfo::redis_settings).cloned().unwrap_or_default();
    let sentinels = infos.iter().map(|info| info.addr().clone());
    let mut builder = SentinelClientBuilder::new(sentinels, master, SentinelServerType::Master)
        .map_err(refuse)?;
    // The login is for the servers that hold data, not for the sentinels.
    if let Some(user) = login.username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = address.password.as_deref().or(login.password()) {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(certificates) = tls {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        if certificates.root_cert.is_some() {
            builder = builder
                .set_client_to_sentinel_certificates(certificates.clone())
                .set_client_to_redis_certificates(certificates);
        }
    }
    builder.build().map(|client| Target::Sentinel(Mutex::new(client))).map_err(refuse)
}

fn cluster(
    address: &RedisAddress,
    rest: &str,
    tls: Option<TlsCertificates>,
) -> Result<Target, StorageError> {
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !matches!(path, "" | "0") {
        return Err(refuse("a cluster has database 0 only"));
    }
    let nodes: Vec<_> = infos(hosts, tls.is_some(), 6379)?
        .into_iter()
        .map(|info| with_password(info, address))
        .collect();
    let mut builder = ClusterClientBuilder::new(nodes)
        .retries(3)
        .min_retry_wait(20)
        .max_retry_wait(300)
        .connection_timeout(DEADLINE)
        .response_timeout(DEADLINE);
    if let Some(certificates) = tls.filter(|certificates| certificates.root_cert.is_some()) {
        builder = builder.certs(certificates);
    }
    builder.build().map(Target::Cluster).map_err(refuse)
}

/// One address for each host of a list; a login before the list is everyone's.
fn infos(hosts: &str, tls: bool, default_port: u16) -> Result<Vec<ConnectionInfo>, StorageError> {
    let (login, hosts) =
        hosts.rsplit_once('@').map_or(("", hosts), |(login, hosts)| (login, hosts));
    let (scheme, at) =
        (if tls { "rediss" } else { "redis" }, if login.is_empty() { "" } else { "@" });
    let info = |host: &str| {
        // An IPv6 address has colons of its own, inside brackets.
        let after_address = host.rsplit_once(']').map_or(host, |(_, after)| after);
        let port =
            if after_address.contains(':') { String::new() } else { format!(":{default_port}") };
        let info =
            format!("{scheme}://{login}{at}{host}{port}").into_connection_info().map_err(refuse)?;
        match info.addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. }
                if !host.is_empty() =>
            {
                Ok(info)
            }
            _ => Err(refuse("it names no host")),
        }
    };
    hosts.split(',').map(info).collect()
}

fn with_password(info: ConnectionInfo, address: &RedisAddress) -> ConnectionInfo {
    match &address.password {
        Some(password) => {
            let login = info.redis_settings().clone().set_password(password);
            info.set_redis_settings(login)
        }
        None => info,
    }
}

/// Never repeats the URL: it may hold a password.
fn refuse(why: impl fmt::Display) -> StorageError {
    let expected =
        "expected redis://, rediss://, unix://, redis-sentinel://…/MASTER or redis-cluster://";
    StorageError::unavailable("use", "the Redis URL", format_args!("{why}; {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(url: &str) -> Result<&'static str, String> {
        match Target::new(&RedisAddress::new(url)) {
            Ok(Target::Single(_)) => Ok("single"),
            Ok(Target::Sentinel(_)) => Ok("sentinel"),
            Ok(Target::Cluster(_)) => Ok("cluster"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_scheme_tells_which_kind_of_redis_it_is() {
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        for (url, expected) in [
            ("redis://127.0.0.1", "single"),
            ("rediss://user:word@redis.example:6380/2", "single"),
            ("redis-sentinel://a.example,b.example:1,[::1]:2/main", "sentinel"),
            ("rediss-sentinel://user:word@a.example/main", "sentinel"),
            ("redis-cluster://a.example,b.example", "cluster"),
            ("rediss-cluster://:word@a.example:6380", "cluster"),
        ] {
            assert_eq!(kind(url).as_deref(), Ok(expected), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_without_the_url() {
        for (url, reason) in [
            ("redis-sentinel://:word@a.example", "the name of the master"),
            ("redis-cluster://:word@a.example/1", "database 0 only"),
            ("http://:word@a.example", "the scheme `http`"),
            (":word@a.example", "no scheme"),
        ] {
            let error = kind(url).unwrap_err();
            assert!(error.contains(reason) && !error.contains("word@"), "{url}: {error}");
        }
        let debug = format!("{:?}", RedisAddress::new("redis://:word@a.example"));
        assert!(!debug.contains("word"), "{debug}");
    }
}
