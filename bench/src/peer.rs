//! The proxies: each runs with the same certificate, the same backend and one worker, and is
//! measured from outside.

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, fs};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// One proxy of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    Gateway,
    /// Another build of the gateway, given by `--other`, to measure the effect of a change.
    Other,
    Nginx,
    Haproxy,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::Other => "other gateway",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
        })
    }
}

/// Shared by all proxies: a folder with certificate and files, and the backend's address.
pub(crate) struct Site {
    folder: TempDir,
    origin: SocketAddr,
    gateway: PathBuf,
    other_gateway: PathBuf,
    tls: ClientConfig,
}

impl Site {
    /// Creates the certificate and the static files.
    pub(crate) fn new(
        origin: SocketAddr,
        other_gateway: Option<PathBuf>,
    ) -> Result<Self, Box<dyn Error>> {
        let gateway = sibling("gateway")?;
        let folder = TempDir::new()?;
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        fs::write(folder.path().join("cert.pem"), &certificate)?;
        fs::write(folder.path().join("key.pem"), &key)?;
        fs::write(folder.path().join("both.pem"), format!("{certificate}{key}"))?;
        fs::create_dir(folder.path().join("www"))?;
        fs::write(folder.path().join("www/1k.txt"), [b'x'; 1024])?;
        fs::write(folder.path().join("www/index.html"), "<!doctype html><title>bench</title>")?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes())?)?;
        // X25519 is the key exchange that all proxies support. Without resumption every handshake
        // is a full one.
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.kx_groups = vec![kx_group::X25519];
        let mut tls = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.resumption = Resumption::disabled();
        Ok(Self {
            folder,
            origin,
            other_gateway: other_gateway.unwrap_or_else(|| gateway.clone()),
            gateway,
            tls,
        })
    }

    /// Opens a TLS connection to a proxy, with this ALPN protocol.
    pub(crate) async fn connect(
        &self,
        proxy: &Proxy,
        alpn: Option<&[u8]>,
    ) -> Result<TlsStream<TcpStream>, Box<dyn Error + Send + Sync>> {
        let mut tls = self.tls.clone();
        tls.alpn_protocols = alpn.map(|name| vec![name.to_vec()]).unwrap_or_default();
        let stream = TcpStream::connect(("127.0.0.1", proxy.port)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        Ok(TlsConnector::from(Arc::new(tls)).connect(name, stream).await?)
    }
}

/// A running proxy. Dropping it stops it.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    child: Child,
}

impl Peer {
    /// HAProxy serves no files.
    pub(crate) fn serves_files(self) -> bool {
        self != Self::Haproxy
    }

    /// Starts the proxy and waits until it answers.
    pub(crate) async fn start(self, site: &Site) -> Result<Proxy, Box<dyn Error>> {
        let port = free_port()?;
        let (template, file) = match self {
            Self::Gateway | Self::Other => (include_str!("../peers/gateway.toml"), "gateway.toml"),
            Self::Nginx => (include_str!("../peers/nginx.conf"), "nginx.conf"),
            Self::Haproxy => (include_str!("../peers/haproxy.cfg"), "haproxy.cfg"),
        };
        let settings = template
            .replace("{port}", &port.to_string())
            .replace("{admin_port}", &free_port()?.to_string())
            .replace("{origin}", &site.origin.to_string())
            .replace("{folder}", &site.folder.path().display().to_string());
        let path = site.folder.path().join(file);
        fs::write(&path, settings)?;
        let mut command = self.command(&path, site);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let mut proxy = Proxy { port, child };
        let deadline = Instant::now() + Duration::from_secs(20);
        while site.connect(&proxy, None).await.is_err() {
            if let Some(status) = proxy.child.try_wait()? {
                return Err(format!(
                    "{self} exited with {status}; run it by hand to check its configuration"
                )
                .into());
            }
            if Instant::now() > deadline {
                return Err(
                    format!("{self} does not answer on port {port} within 20 seconds").into()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(proxy)
    }

    fn command(self, settings: &Path, site: &Site) -> Command {
        let folder = site.folder.path();
        let mut command = match self {
            Self::Gateway | Self::Other => {
                let mut command = Command::new(if self == Self::Other {
                    &site.other_gateway
                } else {
                    &site.gateway
                });
                command.arg("run").arg("--config").arg(settings);
                // One worker, like the others.
                command.env("TOKIO_WORKER_THREADS", "1");
                command
            }
            Self::Nginx => {
                let mut command = Command::new("nginx");
                command.arg("-c").arg(settings).arg("-p").arg(folder).arg("-e").arg("/dev/null");
                command
            }
            Self::Haproxy => {
                let mut command = Command::new("haproxy");
                command.arg("-f").arg(settings);
                command
            }
        };
        command.current_dir(folder);
        command
    }
}

impl Proxy {
    /// CPU time of the proxy and its worker processes so far.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Box<dyn Error>> {
        let mut ticks = 0;
        for process in self.processes()? {
            let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
            // The name in parentheses may contain spaces. utime and stime are fields 14 and 15
            // (proc_pid_stat(5)).
            let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            ticks += after_name
                .split_whitespace()
                .skip(11)
                .take(2)
                .filter_map(|n| n.parse::<u64>().ok())
                .sum::<u64>();
        }
        // The kernel reports ticks of 10 ms (USER_HZ), independent of its own clock rate.
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Resident bytes of the proxy and its worker processes. A page shared by several of them
    /// counts once (Pss).
    pub(crate) fn resident(&self) -> Result<u64, Box<dyn Error>> {
        let mut kib = 0;
        for process in self.processes()? {
            let sizes = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
            let line = sizes.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
            kib += line.trim().trim_end_matches("kB").trim().parse::<u64>()?;
        }
        Ok(kib * 1024)
    }

    fn processes(&self) -> Result<Vec<u32>, Box<dyn Error>> {
        let main = self.child.id();
        let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children"))?;
        Ok(std::iter::once(main)
            .chain(children.split_whitespace().filter_map(|id| id.parse().ok()))
            .collect())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let id = i32::try_from(self.child.id()).map(nix::unistd::Pid::from_raw);
        if let Ok(id) = id {
            // SIGTERM first, so that worker processes end too.
            let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM);
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::yield_now();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Raises the file descriptor limit for thousands of sockets; the proxies inherit it.
pub(crate) fn raise_file_limit() -> Result<(), Box<dyn Error>> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard.min(100_000), hard)?)
}

fn sibling(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let path = std::env::current_exe()?.with_file_name(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{} does not exist: build it first", path.display()).into())
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
