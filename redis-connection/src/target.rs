//! What to connect to: one server, the master that Sentinel names, or a cluster.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::AsyncPushSender;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ProtocolVersion, RedisError, RedisResult, TlsCertificates,
    TlsMode,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::address::{Address, AddressError, Endpoint, Kind};
use crate::error::Error;
use crate::established::{Established, Transport};

/// Protocol version and deadlines.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// RESP3 (Redis 6 or newer) is required for pushes.
    pub protocol: ProtocolVersion,
    /// To connect to one server: TCP, TLS, login. Twice as long for the whole path, which may query
    /// sentinels or several nodes first.
    pub connect: Duration,
    /// For the reply to one attempt.
    pub reply: Duration,
    /// For one call: all attempts and connecting included.
    pub call: Duration,
}

/// Clients of the `redis` crate for one address. Connects only in [`open`](Self::open).
pub struct Target {
    clients: Clients,
    pub(crate) options: Options,
    database: i64,
    pushes: Option<Arc<dyn AsyncPushSender>>,
}

enum Clients {
    Single(Client),
    /// Queried for each new connection, because the master may have changed.
    Sentinel(Mutex<SentinelClient>),
    Cluster(ClusterClient),
}

impl Target {
    /// Validates the address. `pushes` receives what the server pushes (pub/sub); it must not
    /// block.
    pub fn new(
        address: &Address,
        options: Options,
        pushes: Option<Arc<dyn AsyncPushSender>>,
    ) -> Result<Self, AddressError> {
        let endpoint = Endpoint::parse(address, options.protocol)?;
        let database = endpoint.database();
        let certificates = address
            .authorities
            .as_ref()
            .filter(|_| endpoint.tls)
            .map(|pem| TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) });
        let clients = match &endpoint.kind {
            Kind::Single => single(endpoint, certificates),
            Kind::Sentinel { master } => {
                let master = master.clone();
                sentinel(endpoint, master, certificates, options)
            }
            Kind::Cluster => cluster(endpoint, certificates, options, pushes.clone()),
        };
        let clients = clients.map_err(|error| AddressError::Client(error.to_string()))?;
        Ok(Self { clients, options, database, pushes })
    }

    /// The database of a single server; 0 for Sentinel and Cluster.
    pub fn database(&self) -> i64 {
        self.database
    }

    /// Connects.
    pub async fn open(&self) -> Result<Established, Error> {
        let limit = 2 * self.options.connect;
        let late = Error::no_connection(limit);
        match timeout(limit, self.connect()).await {
            Ok(Ok(transport)) => Ok(Established::new(transport, self.options.reply)),
            Ok(Err(error)) => Err(Error::new(&error, late)),
            Err(_) => Err(late),
        }
    }

    async fn connect(&self) -> RedisResult<Transport> {
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.options.connect))
            .set_response_timeout(Some(self.options.reply))
            .set_pipeline_buffer_size(1024);
        if let Some(pushes) = &self.pushes {
            config = config.set_push_sender(Arc::clone(pushes));
        }
        match &self.clients {
            Clients::Single(client) => {
                let opened = client.get_multiplexed_async_connection_with_config(&config).await;
                opened.map(Transport::Single)
            }
            Clients::Sentinel(client) => {
                let mut client = client.lock().await;
                let opened = client.get_async_connection_with_config(&config).await;
                opened.map(Transport::Single)
            }
            Clients::Cluster(client) => client.get_async_connection().await.map(Transport::Cluster),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("options", &self.options).finish_non_exhaustive()
    }
}

fn single(
    endpoint: Endpoint,
    certificates: Option<TlsCertificates>,
) -> Result<Clients, RedisError> {
    let server = endpoint.servers.into_iter().next().expect("an endpoint has a server");
    let client = match certificates {
        Some(certificates) => Client::build_with_tls(server, certificates),
        None => Client::open(server),
    };
    client.map(Clients::Single)
}

fn sentinel(
    endpoint: Endpoint,
    master: String,
    certificates: Option<TlsCertificates>,
    options: Options,
) -> Result<Clients, RedisError> {
    let sentinels = endpoint.servers.iter().map(|info| info.addr().clone());
    let mut builder = SentinelClientBuilder::new(sentinels, master, SentinelServerType::Master)?
        .set_client_to_redis_protocol(options.protocol);
    if let Some(user) = &endpoint.user {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = &endpoint.password {
        builder = builder.set_client_to_redis_password(password);
    }
    if endpoint.tls {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(certificates) = certificates {
        builder = builder
            .set_client_to_sentinel_certificates(certificates.clone())
            .set_client_to_redis_certificates(certificates);
    }
    builder.build().map(|client| Clients::Sentinel(Mutex::new(client)))
}

fn cluster(
    endpoint: Endpoint,
    certificates: Option<TlsCertificates>,
    options: Options,
    pushes: Option<Arc<dyn AsyncPushSender>>,
) -> Result<Clients, RedisError> {
    let mut builder = ClusterClientBuilder::new(endpoint.servers)
        .use_protocol(options.protocol)
        .retries(3)
        .min_retry_wait(20)
        .max_retry_wait(300)
        .connection_timeout(options.connect)
        .response_timeout(options.reply);
    if let Some(certificates) = certificates {
        builder = builder.certs(certificates);
    }
    if let Some(pushes) = pushes {
        builder = builder.push_sender(pushes);
    }
    builder.build().map(Clients::Cluster)
}
