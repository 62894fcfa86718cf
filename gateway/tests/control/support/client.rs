//! Clients that trust the local authority.

use std::path::Path;
use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::TestGateway;

pub(crate) fn trusting(authority: &Path) -> reqwest::Client {
    let authority = reqwest::Certificate::from_pem(&std::fs::read(authority).unwrap()).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([authority])
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

pub(crate) struct WebSocket(WebSocketStream<TlsStream<TcpStream>>);

impl WebSocket {
    /// Sends a message and returns its echo; `None` if the connection is closed.
    pub(crate) async fn echo(&mut self, text: &str) -> Option<String> {
        self.0.send(Message::text(text)).await.ok()?;
        match self.0.next().await? {
            Ok(Message::Text(echo)) => Some(echo.to_string()),
            _ => None,
        }
    }
}

/// Opens `/ws` through the gateway, over TLS.
pub(crate) async fn websocket(gateway: &TestGateway) -> WebSocket {
    let address = gateway.address("https").await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(gateway.path("certs/local-ca.pem")).unwrap()).unwrap();
    let config =
        rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let authority = format!("localhost:{}", address.port());
    let mut request = format!("wss://{authority}/ws").into_client_request().unwrap();
    let origin = HeaderValue::from_str(&format!("https://{authority}")).unwrap();
    request.headers_mut().insert("origin", origin);
    let (socket, _answer) = tokio_tungstenite::client_async(request, tls).await.unwrap();
    WebSocket(socket)
}
