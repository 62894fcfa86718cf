//! Test harness: one gateway in this process, one backend, and clients.

mod backend;
mod client;
mod collector;
mod directory;
mod dns;
pub(crate) mod pebble;
mod program;
pub(crate) mod tls;

pub(crate) use backend::Backend;
pub(crate) use client::{trusting, websocket};
pub(crate) use collector::{Collector, attribute, spans_of};
pub(crate) use directory::Directory;
pub(crate) use dns::NameServer;
pub(crate) use program::{Program, next, program};

use std::fmt::Debug;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::{ConfigError, ConfigSource, Drained, Gateway, Handle, Options, RunningGateway};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long a condition may take to become true.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Listeners, a certificate and an admin address, on free ports; the routes are added after it.
pub(crate) const FRONT: &str = r#"
[[listener]]
name = "https"
address = "localhost:0"
protocol = "https"

[[certificate]]
name = "local"
source = "self-signed"

[admin]
address = "127.0.0.1:0"

[log]
level = "error"
access = false
"#;

/// A route with a fixed response.
pub(crate) fn fixed_route(word: &str) -> String {
    format!(
        "\n[[route]]\nname = \"word\"\npath = \"/word\"\nrespond = {{ status = 200, body = \"{word}\" }}\n"
    )
}

/// Routes to a backend.
pub(crate) fn backend_routes(backend: &Backend) -> String {
    let target = backend.address;
    format!(
        "\n[[route]]\nname = \"live\"\npath = \"/ws\"\nupstream = \"backend\"\nwebsocket = true\n\
         \n[[route]]\nname = \"api\"\npath_prefix = \"/api\"\nupstream = \"backend\"\n\
         \n[[upstream]]\nname = \"backend\"\ntargets = [\"{target}\"]\n"
    )
}

/// A running gateway that stops when dropped.
pub(crate) struct TestGateway {
    pub(crate) handle: Handle,
    pub(crate) directory: TempDir,
    pub(crate) running: JoinHandle<Drained>,
}

impl TestGateway {
    /// Starts a gateway that reloads on request, not when its file changes.
    pub(crate) async fn start(config: &str) -> Self {
        let options = Options { ignore_files: true, ..Options::default() };
        Self::try_start(config, options).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts a gateway that watches its file.
    pub(crate) async fn following(config: &str) -> Self {
        Self::try_start(config, Options::default()).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) async fn try_start(config: &str, options: Options) -> Result<Self, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("gateway.toml"), config).unwrap();
        Self::start_in(directory, "gateway.toml", options).await
    }

    pub(crate) async fn start_in(
        directory: TempDir,
        file: &str,
        options: Options,
    ) -> Result<Self, ConfigError> {
        install_provider();
        let source = ConfigSource::File(directory.path().join(file));
        let gateway: RunningGateway = Gateway::start(source, options).await?;
        Ok(Self { handle: gateway.handle(), directory, running: tokio::spawn(gateway.run()) })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces the configuration file by writing and renaming, as an editor does.
    pub(crate) fn write_config(&self, config: &str) {
        replace(&self.path("gateway.toml"), config);
    }

    /// Replaces the configuration and reloads through the admin address.
    pub(crate) async fn reload(&self, config: &str) -> (u16, serde_json::Value) {
        self.write_config(config);
        let url = format!("http://{}/reload", self.admin().await);
        let answer = reqwest::Client::new().post(url).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) async fn address(&self, listener: &str) -> SocketAddr {
        let all = self.handle.addresses().await;
        let found = all.iter().find(|(name, _)| name.as_str() == listener);
        found.unwrap_or_else(|| panic!("no listener {listener} in {all:?}")).1
    }

    pub(crate) async fn admin(&self) -> SocketAddr {
        self.handle.admin_address().await.expect("the configuration must have an admin address")
    }

    /// A client that trusts the local authority, with a connection pool of its own.
    pub(crate) fn client(&self) -> reqwest::Client {
        trusting(&self.path("certs/local-ca.pem"))
    }

    /// The body of a response.
    pub(crate) async fn get(&self, path: &str) -> String {
        let port = self.address("https").await.port();
        self.client()
            .get(format!("https://localhost:{port}{path}"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    /// Status and body of a response of the admin address.
    pub(crate) async fn get_admin(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.admin().await)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The value of a series, by its text in `/metrics`.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        let (_, text) = self.get_admin("/metrics").await;
        let line = text
            .lines()
            .find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    pub(crate) async fn stop(self) -> Drained {
        self.handle.request_drain();
        within(SOON, self.running).await.unwrap()
    }
}

/// Writes a temporary file and renames it over the target.
pub(crate) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("replacement");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, path).unwrap();
}

/// Waits until a condition holds.
pub(crate) async fn eventually<T: PartialEq + Debug, F: Future<Output = T>>(
    expected: T,
    mut now: impl FnMut() -> F,
) {
    let deadline = Instant::now() + SOON;
    loop {
        let found = now().await;
        if found == expected {
            return;
        }
        assert!(Instant::now() < deadline, "expected {expected:?}, found {found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn within<T>(deadline: Duration, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(deadline, work).await.expect("timed out")
}

pub(crate) fn install_provider() {
    // All tests of this process install the same provider; only the first call succeeds.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
