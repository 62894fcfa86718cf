//! Redis URLs: parsing and validation.

use std::fmt;

use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
};

/// Where Redis is, and the credentials for it.
#[derive(Clone, Default)]
pub struct Address {
    /// One server: `redis://[user:password@]host[:port][/database]`, `rediss://` (TLS) or
    /// `unix:///path`. Several: `redis-sentinel://host[:port],…/MASTER` or
    /// `redis-cluster://host[:port],…`, with `rediss-` for TLS.
    pub url: String,
    /// Password of the servers that hold data. Replaces one in the URL.
    pub password: Option<String>,
    /// PEM of the certificate authorities to trust for TLS. Without it: the public web PKI.
    pub authorities: Option<Vec<u8>>,
}

impl Address {
    /// A server that needs nothing but its URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }
}

/// Without fields: the URL may hold a password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").finish_non_exhaustive()
    }
}

/// Why an address cannot be used. Never contains the URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `://`.
    #[error("it has no scheme")]
    NoScheme,
    /// A scheme other than those of [`Address::url`].
    #[error("the scheme `{0}` is not supported")]
    UnknownScheme(String),
    /// An empty host, alone or in a list.
    #[error("it names no host")]
    NoHost,
    /// A list of hosts for one server.
    #[error("it names several hosts: use redis-sentinel://…/MASTER or redis-cluster://")]
    SeveralHosts,
    /// Malformed URL of one server.
    #[error("it is malformed: {0}")]
    Malformed(String),
    /// Malformed entry in a list of hosts.
    #[error("a host is malformed: {0}")]
    MalformedHost(String),
    /// Sentinel without the name of a master.
    #[error("redis-sentinel:// needs the name of the master as its path")]
    NoMaster,
    /// Cluster with a database.
    #[error("a cluster has database 0 only")]
    ClusterDatabase,
    /// The TLS certificates or the client configuration are invalid.
    #[error("{0}")]
    Client(String),
}

/// A parsed address.
pub(crate) struct Endpoint {
    pub(crate) kind: Kind,
    pub(crate) tls: bool,
    /// The servers to connect to; for Sentinel, the sentinels, without credentials. Never empty.
    pub(crate) servers: Vec<ConnectionInfo>,
    /// For the servers that hold data.
    pub(crate) user: Option<String>,
    /// For the servers that hold data.
    pub(crate) password: Option<String>,
}

/// How many servers, and who names the one to write to.
pub(crate) enum Kind {
    Single,
    Sentinel { master: String },
    Cluster,
}

impl Endpoint {
    pub(crate) fn parse(
        address: &Address,
        protocol: ProtocolVersion,
    ) -> Result<Self, AddressError> {
        let (scheme, rest) = address.url.split_once("://").ok_or(AddressError::NoScheme)?;
        let tls = scheme.starts_with("rediss");
        let (kind, servers) = match scheme {
            "redis" | "rediss" | "unix" => {
                (Kind::Single, vec![single(&address.url, scheme, rest)?])
            }
            "redis-sentinel" | "rediss-sentinel" => {
                let (hosts, master) = rest.split_once('/').unwrap_or((rest, ""));
                if master.is_empty() {
                    return Err(AddressError::NoMaster);
                }
                (Kind::Sentinel { master: master.to_owned() }, list(hosts, tls, 26379)?)
            }
            "redis-cluster" | "rediss-cluster" => {
                let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
                if !matches!(database, "" | "0") {
                    return Err(AddressError::ClusterDatabase);
                }
                (Kind::Cluster, list(hosts, tls, 6379)?)
            }
            other => return Err(AddressError::UnknownScheme(other.to_owned())),
        };
        let login = servers.first().ok_or(AddressError::NoHost)?.redis_settings();
        let user = login.username().map(str::to_owned);
        let password = address.password.clone().or_else(|| login.password().map(str::to_owned));
        let servers = match kind {
            // The credentials are for the servers that hold data, not for the sentinels.
            Kind::Sentinel { .. } => {
                let bare = RedisConnectionInfo::default().set_protocol(protocol);
                servers.into_iter().map(|info| info.set_redis_settings(bare.clone())).collect()
            }
            Kind::Single | Kind::Cluster => servers
                .into_iter()
                .map(|info| with_login(info, password.as_deref(), protocol))
                .collect(),
        };
        Ok(Self { kind, tls, servers, user, password })
    }

    /// The database of a single server; 0 for Sentinel and Cluster.
    pub(crate) fn database(&self) -> i64 {
        self.servers.first().map_or(0, |info| info.redis_settings().db())
    }
}

fn with_login(
    info: ConnectionInfo,
    password: Option<&str>,
    protocol: ProtocolVersion,
) -> ConnectionInfo {
    let mut login = info.redis_settings().clone().set_protocol(protocol);
    if let Some(password) = password {
        login = login.set_password(password);
    }
    info.set_redis_settings(login)
}

/// One server. The `redis` crate parses the whole URL, parameters included.
fn single(url: &str, scheme: &str, rest: &str) -> Result<ConnectionInfo, AddressError> {
    if scheme != "unix" {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if host.is_empty() || host.starts_with(':') {
            return Err(AddressError::NoHost);
        }
        if host.contains(',') {
            return Err(AddressError::SeveralHosts);
        }
    }
    url.into_connection_info().map_err(|error| AddressError::Malformed(error.to_string()))
}

/// One server for each host of a list. The credentials before the list are for all of them. URL
/// parsers reject lists of hosts, so each host becomes a URL.
fn list(hosts: &str, tls: bool, default_port: u16) -> Result<Vec<ConnectionInfo>, AddressError> {
    let scheme = if tls { "rediss" } else { "redis" };
    let (login, hosts) = match hosts.rsplit_once('@') {
        Some((login, hosts)) => (format!("{login}@"), hosts),
        None => (String::new(), hosts),
    };
    let server = |host: &str| {
        // The colons of an IPv6 address are inside brackets.
        let after_address = host.rsplit_once(']').map_or(host, |(_, after)| after);
        let port =
            if after_address.contains(':') { String::new() } else { format!(":{default_port}") };
        if host.is_empty() || host.starts_with(':') {
            return Err(AddressError::NoHost);
        }
        let info = format!("{scheme}://{login}{host}{port}")
            .into_connection_info()
            .map_err(|error| AddressError::MalformedHost(error.to_string()))?;
        match info.addr() {
            ConnectionAddr::Tcp(..) | ConnectionAddr::TcpTls { .. } => Ok(info),
            _ => Err(AddressError::NoHost),
        }
    };
    hosts.split(',').map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Endpoint, AddressError> {
        Endpoint::parse(&Address::new(url), ProtocolVersion::RESP3)
    }

    fn kind(url: &str) -> &'static str {
        match parse(url).unwrap_or_else(|error| panic!("{url}: {error}")).kind {
            Kind::Single => "single",
            Kind::Sentinel { .. } => "sentinel",
            Kind::Cluster => "cluster",
        }
    }

    #[test]
    fn the_scheme_selects_the_kind_of_redis() {
        for (url, expected) in [
            ("redis://localhost", "single"),
            ("redis://127.0.0.1", "single"),
            ("redis://user:secret@[::1]:6380/0", "single"),
            ("rediss://:secret@cache.example.org:6380", "single"),
            ("rediss://user:word@redis.example:6380/2", "single"),
            ("unix:///run/redis.sock", "single"),
            ("redis-sentinel://a.example,b.example:1,[::1]:2/main", "sentinel"),
            ("redis-sentinel://one,two:26380,[::1]/mymaster", "sentinel"),
            ("redis-sentinel://:secret@one/mymaster", "sentinel"),
            ("rediss-sentinel://one,two/mymaster", "sentinel"),
            ("rediss-sentinel://user:word@a.example/main", "sentinel"),
            ("redis-cluster://a.example,b.example", "cluster"),
            ("redis-cluster://one:7000,two:7001", "cluster"),
            ("redis-cluster://user:secret@one/0", "cluster"),
            ("rediss-cluster://one", "cluster"),
            ("rediss-cluster://:word@a.example:6380", "cluster"),
        ] {
            assert_eq!(kind(url), expected, "{url}");
        }
    }

    #[test]
    fn an_invalid_url_is_rejected_with_a_reason_that_does_not_contain_its_password() {
        for (url, reason) in [
            ("localhost:6379", "no scheme"),
            (":word@a.example", "no scheme"),
            ("http://:word@a.example", "the scheme `http`"),
            ("redis://:word@", "no host"),
            ("redis://:word@:6379", "no host"),
            ("redis://:word@one,two", "several hosts"),
            ("redis://:word@localhost:port", "malformed"),
            ("redis://:word@localhost/first", "malformed"),
            ("redis-sentinel://:word@a.example", "the name of the master"),
            ("redis-cluster://:word@a.example/1", "database 0 only"),
            ("redis-cluster://:word@one,,two", "no host"),
            ("redis-cluster://:word@one,two:port", "a host is malformed"),
        ] {
            let error = parse(url).err().unwrap_or_else(|| panic!("{url} is rejected")).to_string();
            assert!(error.contains(reason) && !error.contains("word"), "{url}: {error}");
        }
        let debug = format!("{:?}", Address::new("redis://:word@a.example"));
        assert!(!debug.contains("word"), "{debug}");
    }

    #[test]
    fn hosts_of_a_list_share_the_credentials_and_get_the_default_port() {
        let endpoint = parse("rediss-cluster://user:word@one,two:7001").unwrap();
        let servers: Vec<_> = endpoint.servers.iter().map(|info| info.addr().to_string()).collect();
        assert_eq!(servers, ["one:6379", "two:7001"]);
        assert!(
            endpoint.servers.iter().all(|info| info.redis_settings().username() == Some("user"))
        );
        assert!(endpoint.tls);
    }

    #[test]
    fn sentinels_get_no_credentials_and_a_separate_password_replaces_the_one_in_the_url() {
        let address = Address {
            password: Some("separate".into()),
            ..Address::new("redis-sentinel://user:word@a.example/main")
        };
        let endpoint = Endpoint::parse(&address, ProtocolVersion::RESP2).unwrap();
        let login = endpoint.servers[0].redis_settings();
        assert_eq!((login.username(), login.password()), (None, None));
        assert_eq!(endpoint.user.as_deref(), Some("user"));
        assert_eq!(endpoint.password.as_deref(), Some("separate"));
    }

    #[test]
    fn only_a_single_server_has_a_database() {
        assert_eq!(parse("redis://a.example/3").unwrap().database(), 3);
        assert_eq!(parse("redis-sentinel://a.example/main").unwrap().database(), 0);
    }
}
