//! Pebble 2.4 has no renewal information, no rate limits, no CAA and no profiles: this proxy stands
//! before the real Pebble, passes everything on unchanged, and adds those (the directory entry and
//! answers of RFC 9773, its `replaces` field, refusals of RFC 8555 sections 6.6 and 6.7, the choice
//! among profiles). What it adds is made up here and is no proof of any real server.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::pebble::Pebble;

type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

pub(crate) struct Proxy {
    pub(crate) port: u16,
    said: Arc<Mutex<Said>>,
    _tasks: JoinSet<()>,
}

/// What it is told to say, and what it heard.
#[derive(Default)]
struct Said {
    window: Option<(SystemTime, SystemTime)>,
    retry_after: u64,
    limited: Option<u64>,
    refused: Option<(&'static str, &'static str)>,
    profiles: Vec<&'static str>,
    asked: usize,
    replaced: Vec<String>,
    chosen: Vec<String>,
}

impl Proxy {
    pub(crate) async fn before(pebble: &Pebble) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (acceptor, client) = (acceptor(pebble), client(pebble));
        let said = Arc::new(Mutex::new(Said { retry_after: 21_600, ..Said::default() }));
        let (heard, behind) = (Arc::clone(&said), pebble.port);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, client, said) =
                    (acceptor.clone(), client.clone(), Arc::clone(&heard));
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        let (client, said) = (client.clone(), Arc::clone(&said));
                        async move {
                            Ok::<_, Infallible>(answer(request, &client, &said, port, behind).await)
                        }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { port, said, _tasks: tasks }
    }

    /// Suggests to renew between these, and to ask again after so many seconds.
    pub(crate) fn suggest(&self, window: (SystemTime, SystemTime), retry_after: u64) {
        let mut said = self.said.lock().unwrap();
        (said.window, said.retry_after) = (Some(window), retry_after);
    }

    /// Refuses orders for so many seconds, or no longer.
    pub(crate) fn limit_orders(&self, seconds: Option<u64>) {
        self.said.lock().unwrap().limited = seconds;
    }

    /// Refuses orders for this reason of RFC 8555 section 6.7, in these words; or no longer.
    pub(crate) fn refuse_orders(&self, reason: Option<(&'static str, &'static str)>) {
        self.said.lock().unwrap().refused = reason;
    }

    /// Offers these profiles, and refuses others.
    pub(crate) fn offer_profiles(&self, profiles: &[&'static str]) {
        self.said.lock().unwrap().profiles = profiles.to_vec();
    }

    /// The profiles of the orders that Pebble accepted.
    pub(crate) fn chosen(&self) -> Vec<String> {
        self.said.lock().unwrap().chosen.clone()
    }

    /// How often it was asked when to renew.
    pub(crate) fn asked(&self) -> usize {
        self.said.lock().unwrap().asked
    }

    /// The certificates that orders said they replace.
    pub(crate) fn replaced(&self) -> Vec<String> {
        self.said.lock().unwrap().replaced.clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    client: &Https,
    said: &Mutex<Said>,
    port: u16,
    behind: u16,
) -> Response<Full<Bytes>> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let path = parts.uri.path().to_owned();
    if path.starts_with("/renewal-info/") {
        return renewal_info(&mut said.lock().unwrap());
    }
    let ordering = path == "/order-plz";
    if let (true, Some(seconds)) = (ordering, said.lock().unwrap().limited) {
        let problem =
            json!({"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many orders"});
        let refusal = Response::builder()
            .status(StatusCode::TOO_MANY_REQUESTS)
            .header("retry-after", seconds);
        return refusal.body(problem.to_string().into()).unwrap();
    }
    if ordering && let Some((reason, detail)) = said.lock().unwrap().refused {
        return problem(StatusCode::FORBIDDEN, reason, detail);
    }
    let profile = if ordering { field(&body, "profile") } else { None };
    if let Some(profile) = &profile
        && !said.lock().unwrap().profiles.contains(&profile.as_str())
    {
        let detail = format!("no profile is named {profile:?}");
        return problem(StatusCode::BAD_REQUEST, "invalidProfile", &detail);
    }
    let replaces = if ordering { field(&body, "replaces") } else { None };

    parts.uri = format!("https://localhost:{behind}{path}").parse().unwrap();
    // Its URLs follow the host it is asked for, and signatures cover them: they stay ours.
    parts.headers.insert("host", format!("localhost:{port}").parse().unwrap());
    let (mut parts, body) =
        client.request(Request::from_parts(parts, Full::new(body))).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    // Pebble rejects some nonces on purpose, and the client then repeats the order.
    if parts.status.is_success() {
        said.lock().unwrap().chosen.extend(profile);
    }
    let added = match (path.as_str(), replaces) {
        ("/dir", _) => {
            Some(("renewalInfo", json!(format!("https://localhost:{port}/renewal-info"))))
        }
        (_, Some(replaces)) if parts.status.is_success() => {
            said.lock().unwrap().replaced.push(replaces.clone());
            Some(("replaces", json!(replaces)))
        }
        _ => None,
    };
    let body = added.map_or(body.clone(), |(name, value)| {
        let mut object: Value = serde_json::from_slice(&body).unwrap();
        object[name] = value;
        object.to_string().into()
    });
    parts.headers.remove("content-length");
    parts.headers.remove("transfer-encoding");
    Response::from_parts(parts, Full::new(body))
}

fn renewal_info(said: &mut Said) -> Response<Full<Bytes>> {
    said.asked += 1;
    let Some((start, end)) = said.window else {
        return Response::builder()
            .status(StatusCode::NOT_FOUND)
            .header("retry-after", 60)
            .body("{}".into())
            .unwrap();
    };
    let text = |at| jiff::Timestamp::try_from(at).unwrap().to_string();
    let body = json!({"suggestedWindow": {"start": text(start), "end": text(end)}}).to_string();
    Response::builder().header("retry-after", said.retry_after).body(body.into()).unwrap()
}

/// An answer of RFC 8555 section 6.7.
fn problem(status: StatusCode, reason: &str, detail: &str) -> Response<Full<Bytes>> {
    let problem = json!({"type": format!("urn:ietf:params:acme:error:{reason}"), "detail": detail});
    let answer =
        Response::builder().status(status).header("content-type", "application/problem+json");
    answer.body(problem.to_string().into()).unwrap()
}

/// A field of an order, from inside its signature (RFC 7515 section 7.2.2).
fn field(body: &[u8], name: &str) -> Option<String> {
    let signed: Value = serde_json::from_slice(body).ok()?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(signed["payload"].as_str()?).ok()?;
    serde_json::from_slice::<Value>(&payload).ok()?[name].as_str().map(str::to_owned)
}

fn acceptor(pebble: &Pebble) -> TlsAcceptor {
    let (cert, key) = pebble.https_files();
    let chain = CertificateDer::pem_file_iter(cert).unwrap().map(Result::unwrap).collect();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn client(pebble: &Pebble) -> Https {
    let mut roots = RootCertStore::empty();
    roots.add(pebble.root.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build();
    // Hyper fills in the host from the address unless it is told to keep ours.
    Client::builder(TokioExecutor::new()).set_host(false).build(connector)
}
