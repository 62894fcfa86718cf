//! An ACME directory with an adjustable clock.

use std::sync::Arc;

use jiff::Timestamp;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::{install_provider, pebble};

pub(crate) struct Directory {
    port: u16,
    directory: TempDir,
    task: AbortHandle,
}

impl Directory {
    /// Starts a directory with these CAA identities, whose clock is ahead by this many seconds.
    pub(crate) async fn start(identities: &[&str], ahead: i64) -> Self {
        install_provider();
        let directory = tempfile::tempdir().unwrap();
        pebble::https_certificate(&directory);
        let chain = vec![CertificateDer::from_pem_file(directory.path().join("cert.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(directory.path().join("key.pem")).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let text = serde_json::json!({
            "newNonce": "https://localhost/nonce", "newAccount": "https://localhost/account",
            "newOrder": "https://localhost/order", "meta": { "caaIdentities": identities },
        });
        let text = text.to_string();
        let task = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n")
                    && stream.read_buf(&mut request).await.unwrap() > 0
                {}
                let date = Timestamp::now() + jiff::Span::new().seconds(ahead);
                let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT");
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                    text.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                let _closed = stream.shutdown().await;
            }
        });
        Self { port, directory, task: task.abort_handle() }
    }

    /// A URL on its server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// The `ca_file` key that makes its certificate trusted.
    pub(crate) fn ca_file(&self) -> String {
        format!("ca_file = \"{}\"\n", self.directory.path().join("root.pem").display())
    }

    /// The keys of a `[[certificate]]` that is ordered from it.
    pub(crate) fn keys(&self) -> String {
        format!("directory = \"{}\"\n{}", self.url("/dir"), self.ca_file())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.task.abort();
    }
}
