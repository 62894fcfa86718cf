//! The backend in this process: all roles, on a Unix socket in the data directory.

use std::error::Error;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backend::{ListenAddress, Listener, Role, Settings};
use prometheus::Registry;

/// Drain deadline for live connections and running answers. It is short, because there is no other
/// node to move to.
const DRAIN: Duration = Duration::from_secs(8);

/// `sun_path` has 108 bytes including the closing NUL: unix(7).
const LONGEST_SOCKET_PATH: usize = 107;

pub(crate) struct Services {
    running: backend::Running,
    registry: Registry,
}

/// The path of the socket on which the services listen.
pub(crate) fn socket(data: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let path = std::path::absolute(data)?.join("backend.sock");
    if path.as_os_str().len() > LONGEST_SOCKET_PATH {
        let reason = format!(
            "--data {}: path too long for a Unix socket in this directory; choose a shorter one",
            data.display()
        );
        return Err(reason.into());
    }
    Ok(path)
}

impl Services {
    pub(crate) async fn start(data: &Path) -> Result<Self, Box<dyn Error>> {
        let settings = Settings { data_dir: data.to_owned(), admin: None, ..Settings::from_env()? };
        // Only this user may connect: the services trust the gateway's header fields.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(data);
        made.map_err(|error| refused(data, &error))?;
        let path = socket(data)?;
        let listener = Listener::bind(&ListenAddress::Unix(path.clone()))
            .await
            .map_err(|error| refused(&path, &error))?;
        let registry = Registry::new();
        let running = backend::start(settings, Role::All, vec![listener], registry.clone()).await?;
        Ok(Self { running, registry })
    }

    /// The services' metrics.
    pub(crate) fn registry(&self) -> Registry {
        self.registry.clone()
    }

    pub(crate) async fn drain(self) {
        self.running.drain(DRAIN).await;
    }
}

fn refused(path: &Path, error: &io::Error) -> String {
    format!("--data: {}: {error}", path.display())
}
