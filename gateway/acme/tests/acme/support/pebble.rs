//! Pebble, Let's Encrypt's test authority, in strict mode and with some nonces rejected.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gateway_acme::Authority;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::CertificateDer;
use tempfile::TempDir;

use super::front::Front;
use super::{Process, free_port, listening};

/// The authority and its name server, where every name resolves to this machine.
pub(crate) struct Pebble {
    pub(crate) port: u16,
    pub(crate) root: CertificateDer<'static>,
    directory: TempDir,
    _names: Process,
    server: Option<Process>,
}

/// Settings that differ between tests.
#[derive(Default)]
pub(crate) struct Options {
    /// Key id and HMAC key (base64url) that accounts must be bound with.
    pub(crate) external_account: Option<(&'static str, &'static str)>,
    /// Names it will not issue for.
    pub(crate) blocked: Vec<&'static str>,
}

impl Pebble {
    /// Starts it. It validates against `front`.
    pub(crate) async fn start(front: &Front) -> Self {
        Self::with(front, Options::default()).await
    }

    pub(crate) async fn with(front: &Front, options: Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = https_certificate(directory.path());
        let (port, names) = (free_port(), free_port());
        write_config(directory.path(), port, front, &options);
        let resolver = Command::new("pebble-challtestsrv")
            .args([
                "-defaultIPv4",
                "127.0.0.1",
                "-defaultIPv6",
                "",
                "-http01",
                "",
                "-https01",
                "",
                "-tlsalpn01",
                "",
            ])
            .args(["-dns01", &format!("127.0.0.1:{names}")])
            .args(["-management", &format!("127.0.0.1:{}", free_port())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pebble-challtestsrv is installed");
        let resolver = Process(resolver);
        listening(names).await;
        let mut pebble = Self { port, root, directory, _names: resolver, server: None };
        fs::write(pebble.directory.path().join("names"), names.to_string()).unwrap();
        pebble.up().await;
        pebble
    }

    /// Stops the server.
    pub(crate) fn down(&mut self) {
        self.server = None;
    }

    /// Starts it (again) on the same port, without its earlier state.
    pub(crate) async fn up(&mut self) {
        let names = fs::read_to_string(self.directory.path().join("names")).unwrap();
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let server = Command::new("pebble")
            .args(["-strict", "-dnsserver", &format!("127.0.0.1:{names}")])
            .arg("-config")
            .arg(self.directory.path().join("config.json"))
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", "5")
            .env("PEBBLE_AUTHZREUSE", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("pebble is installed");
        self.server = Some(Process(server));
        listening(self.port).await;
    }

    /// Its settings as an authority.
    pub(crate) fn authority(&self) -> Authority {
        self.authority_at(self.port)
    }

    /// Its settings as an authority on another port.
    pub(crate) fn authority_at(&self, port: u16) -> Authority {
        Authority {
            roots: Some(vec![self.root.clone()]),
            ..Authority::new(format!("https://localhost:{port}/dir"))
        }
    }

    /// The number of log lines that contain this text.
    pub(crate) fn logged(&self, text: &str) -> usize {
        fs::read_to_string(self.log_path())
            .unwrap()
            .lines()
            .filter(|line| line.contains(text))
            .count()
    }

    /// The number of issued certificates in its log.
    pub(crate) fn issued(&self) -> usize {
        self.logged("Issued certificate serial")
    }

    /// Certificate and key for another server on `localhost`.
    pub(crate) fn https_files(&self) -> (PathBuf, PathBuf) {
        (self.directory.path().join("cert.pem"), self.directory.path().join("key.pem"))
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

fn write_config(directory: &Path, port: u16, front: &Front, options: &Options) {
    let blocked =
        options.blocked.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(",");
    let (required, keys) = match options.external_account {
        Some((id, key)) => (true, format!(r#""{id}":"{key}""#)),
        None => (false, String::new()),
    };
    let config = format!(
        r#"{{"pebble":{{
            "listenAddress":"127.0.0.1:{port}",
            "managementListenAddress":"127.0.0.1:{management}",
            "certificate":"{cert}","privateKey":"{key}",
            "httpPort":{http},"tlsPort":{tls},
            "ocspResponderURL":"",
            "externalAccountBindingRequired":{required},
            "externalAccountMACKeys":{{{keys}}},
            "domainBlocklist":[{blocked}]
        }}}}"#,
        management = free_port(),
        cert = directory.join("cert.pem").display(),
        key = directory.join("key.pem").display(),
        http = front.http,
        tls = front.tls,
    );
    fs::write(directory.join("config.json"), config).unwrap();
}

/// Creates a root and Pebble's HTTPS certificate. Returns the root.
fn https_certificate(directory: &Path) -> CertificateDer<'static> {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(vec!["Test root".to_owned()]).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = root.self_signed(&root_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::from_params(&root, &root_key))
        .unwrap();
    fs::write(directory.join("cert.pem"), leaf.pem()).unwrap();
    fs::write(directory.join("key.pem"), key.serialize_pem()).unwrap();
    certificate.der().clone()
}
