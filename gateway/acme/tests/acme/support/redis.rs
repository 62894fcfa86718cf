//! Redis for one test: a server, a master with Sentinel, or a cluster.

use std::process::{Command, Stdio};

use gateway_acme::{RedisAddress, RedisStorage};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::time::timeout;

use super::{PATIENCE, Process, eventually, free_port, listening};

pub(crate) const SECRET: &[u8] = b"a secret of thirty-two bytes or more";

pub(crate) struct Redis {
    pub(crate) port: u16,
    options: Vec<String>,
    process: Option<Process>,
    directory: TempDir,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(options: &[&str]) -> Self {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut redis = Self {
            port: free_port(),
            options,
            process: None,
            directory: tempfile::tempdir().unwrap(),
        };
        redis.up().await;
        redis
    }

    /// A server for TLS only, and the authority of its certificate.
    pub(crate) async fn with_tls() -> (Self, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let authority = certify(&directory);
        let options = [
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            "leaf.pem",
            "--tls-key-file",
            "leaf.key",
        ];
        let mut redis = Self { port: free_port(), options: Vec::new(), process: None, directory };
        let tls =
            ["--port", "0", "--tls-port", &redis.port.to_string(), "--tls-ca-cert-file", "ca.pem"];
        redis.options = options.into_iter().chain(tls).map(str::to_owned).collect();
        redis.up().await;
        (redis, authority)
    }

    /// Kills it. Its data is lost.
    pub(crate) fn down(&mut self) {
        self.process = None;
    }

    /// Starts it (again) on the same port.
    pub(crate) async fn up(&mut self) {
        let process = Command::new("redis-server")
            .args([
                "--port",
                &self.port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .args(&self.options)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        self.process = Some(Process(process));
        listening(self.port).await;
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn storage(&self) -> RedisStorage {
        storage(&self.url())
    }

    /// Sends one command over a new connection.
    pub(crate) async fn send(&self, command: &[&str]) -> redis::RedisResult<redis::Value> {
        let mut connection =
            redis::Client::open(self.url())?.get_multiplexed_async_connection().await?;
        redis::cmd(command[0]).arg(&command[1..]).query_async(&mut connection).await
    }
}

pub(crate) fn storage(url: &str) -> RedisStorage {
    RedisStorage::new(&RedisAddress::new(url), "test", SECRET).unwrap()
}

/// Three masters that share the slots.
pub(crate) struct Cluster(pub(crate) Vec<Redis>);

impl Cluster {
    pub(crate) async fn start() -> Self {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let bus = free_port().to_string();
            let options = ["--cluster-enabled", "yes", "--cluster-port", &bus];
            nodes.push((Redis::with(&options).await, bus));
        }
        let slots = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        for ((node, _), (first, last)) in nodes.iter().zip(slots) {
            node.send(&["CLUSTER", "ADDSLOTSRANGE", first, last]).await.unwrap();
            for (other, bus) in &nodes {
                node.send(&["CLUSTER", "MEET", "127.0.0.1", &other.port.to_string(), bus])
                    .await
                    .unwrap();
            }
        }
        for (node, _) in &nodes {
            eventually(|| async {
                let info = format!("{:?}", node.send(&["CLUSTER", "INFO"]).await);
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            })
            .await;
        }
        Self(nodes.into_iter().map(|(node, _)| node).collect())
    }

    pub(crate) fn url(&self) -> String {
        let hosts: Vec<_> = self.0.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis-cluster://{}", hosts.join(","))
    }
}

/// A master, its replica, and a sentinel that monitors them.
pub(crate) struct Sentinel {
    pub(crate) master: Redis,
    pub(crate) replica: Redis,
    port: u16,
    _process: Process,
    _directory: TempDir,
}

impl Sentinel {
    pub(crate) async fn start() -> Self {
        let master = Redis::start().await;
        let replica = Redis::with(&["--replicaof", "127.0.0.1", &master.port.to_string()]).await;
        // Sentinel queries the master once at its start, and then only every ten seconds.
        eventually(|| async {
            format!("{:?}", master.send(&["INFO", "replication"]).await).contains("state=online")
        })
        .await;
        let (port, directory) = (free_port(), tempfile::tempdir().unwrap());
        let watch = format!(
            "bind 127.0.0.1\nport {port}\nsentinel monitor main 127.0.0.1 {} 1\n",
            master.port
        );
        std::fs::write(directory.path().join("sentinel.conf"), watch).unwrap();
        let process = Command::new("redis-server")
            .args(["sentinel.conf", "--sentinel"])
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let sentinel =
            Self { master, replica, port, _process: Process(process), _directory: directory };
        listening(port).await;
        eventually(|| async {
            format!("{:?}", sentinel.send(&["SENTINEL", "REPLICAS", "main"]).await)
                .contains("slave")
        })
        .await;
        sentinel
    }

    pub(crate) fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:{}/main", self.port)
    }

    /// Promotes the replica after it has caught up, and waits until it is the master.
    pub(crate) async fn fail_over(&self) {
        eventually(|| async {
            let (here, there) = (replication(&self.master).await, replication(&self.replica).await);
            there.contains("master_link_status:up")
                && offset(&here).is_some()
                && offset(&here) == offset(&there)
        })
        .await;
        let accepted =
            async { while self.send(&["SENTINEL", "FAILOVER", "main"]).await.is_err() {} };
        timeout(PATIENCE, accepted).await.expect("Sentinel accepts the failover");
        eventually(|| async {
            format!("{:?}", self.replica.send(&["ROLE"]).await).contains("master")
        })
        .await;
        eventually(|| async {
            format!("{:?}", self.master.send(&["ROLE"]).await).contains("slave")
        })
        .await;
    }

    async fn send(&self, command: &[&str]) -> redis::RedisResult<redis::Value> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd(command[0]).arg(&command[1..]).query_async(&mut connection).await
    }
}

async fn replication(server: &Redis) -> String {
    let text = server
        .send(&["INFO", "replication"])
        .await
        .and_then(|value| redis::from_redis_value(value).map_err(Into::into));
    text.unwrap_or_default()
}

fn offset(info: &str) -> Option<&str> {
    info.lines().find_map(|line| line.strip_prefix("master_repl_offset:"))
}

/// Creates an authority and a certificate for `localhost`. Returns the authority.
fn certify(directory: &TempDir) -> Vec<u8> {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::from_params(&authority, &authority_key)).unwrap();
    for (name, text) in
        [("ca.pem", pem.clone()), ("leaf.pem", leaf.pem()), ("leaf.key", key.serialize_pem())]
    {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    pem.into_bytes()
}
