//! Pebble 2.4 has no renewal information, rate limits, CAA or profiles. This proxy in front of the
//! real Pebble passes requests through and adds them: the directory entry and responses of RFC 9773
//! and its `replaces` field, errors of RFC 8555 sections 6.6 and 6.7, and profiles. These additions
//! are simulated, so they prove nothing about real servers.

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
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

/// Simulated behaviour, and recorded requests.
#[derive(Default)]
struct State {
    window: Option<(SystemTime, SystemTime)>,
    retry_after: u64,
    limited: Option<u64>,
    refused: Option<(&'static str, &'static str)>,
    profiles: Vec<&'static str>,
    queries: usize,
    replaced: Vec<String>,
    chosen: Vec<String>,
}

impl Proxy {
    pub(crate) async fn before(pebble: &Pebble) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (acceptor, client) = (acceptor(pebble), client(pebble));
        let state = Arc::new(Mutex::new(State { retry_after: 21_600, ..State::default() }));
        let (recorded, behind) = (Arc::clone(&state), pebble.port);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, client, state) =
                    (acceptor.clone(), client.clone(), Arc::clone(&recorded));
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        let (client, state) = (client.clone(), Arc::clone(&state));
                        async move {
                            Ok::<_, Infallible>(
                                respond(request, &client, &state, port, behind).await,
                            )
                        }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { port, state, _tasks: tasks }
    }

    /// Sets the renewal window and the seconds until the next query.
    pub(crate) fn suggest(&self, window: (SystemTime, SystemTime), retry_after: u64) {
        let mut state = self.state.lock().unwrap();
        (state.window, state.retry_after) = (Some(window), retry_after);
    }

    /// Limits orders, with this `Retry-After` in seconds, or stops to.
    pub(crate) fn limit_orders(&self, seconds: Option<u64>) {
        self.state.lock().unwrap().limited = seconds;
    }

    /// Rejects orders with this error type of RFC 8555 section 6.7 and this detail, or stops to.
    pub(crate) fn refuse_orders(&self, reason: Option<(&'static str, &'static str)>) {
        self.state.lock().unwrap().refused = reason;
    }

    /// Offers these profiles and rejects others.
    pub(crate) fn offer_profiles(&self, profiles: &[&'static str]) {
        self.state.lock().unwrap().profiles = profiles.to_vec();
    }

    /// The profiles of accepted orders.
    pub(crate) fn chosen(&self) -> Vec<String> {
        self.state.lock().unwrap().chosen.clone()
    }

    /// The number of queries for renewal information.
    pub(crate) fn queries(&self) -> usize {
        self.state.lock().unwrap().queries
    }

    /// The `replaces` fields of orders.
    pub(crate) fn replaced(&self) -> Vec<String> {
        self.state.lock().unwrap().replaced.clone()
    }
}

async fn respond(
    request: Request<Incoming>,
    client: &Https,
    state: &Mutex<State>,
    port: u16,
    behind: u16,
) -> Response<Full<Bytes>> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let path = parts.uri.path().to_owned();
    if path.starts_with("/renewal-info/") {
        return renewal_info(&mut state.lock().unwrap());
    }
    let ordering = path == "/order-plz";
    if ordering && let Some(error) = rejected(&body, &state.lock().unwrap()) {
        return error;
    }
    let profile = if ordering { field(&body, "profile") } else { None };
    let replaces = if ordering { field(&body, "replaces") } else { None };

    parts.uri = format!("https://localhost:{behind}{path}").parse().unwrap();
    // Pebble builds its URLs from the host header, and signatures cover them: keep our port.
    parts.headers.insert("host", format!("localhost:{port}").parse().unwrap());
    let (mut parts, body) =
        client.request(Request::from_parts(parts, Full::new(body))).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    // Pebble rejects some nonces on purpose, and the client then repeats the order.
    if parts.status.is_success() {
        state.lock().unwrap().chosen.extend(profile);
    }
    let added = match (path.as_str(), replaces) {
        ("/dir", _) => {
            Some(("renewalInfo", json!(format!("https://localhost:{port}/renewal-info"))))
        }
        (_, Some(replaces)) if parts.status.is_success() => {
            state.lock().unwrap().replaced.push(replaces.clone());
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

/// The error for an order, if it is to be rejected.
fn rejected(body: &[u8], state: &State) -> Option<Response<Full<Bytes>>> {
    if let Some(seconds) = state.limited {
        let mut limited = problem(StatusCode::TOO_MANY_REQUESTS, "rateLimited", "too many orders");
        limited.headers_mut().insert("retry-after", seconds.into());
        return Some(limited);
    }
    if let Some((reason, detail)) = state.refused {
        return Some(problem(StatusCode::FORBIDDEN, reason, detail));
    }
    let profile = field(body, "profile")?;
    if !state.profiles.contains(&profile.as_str()) {
        let detail = format!("no profile is named {profile:?}");
        return Some(problem(StatusCode::BAD_REQUEST, "invalidProfile", &detail));
    }
    None
}

fn renewal_info(state: &mut State) -> Response<Full<Bytes>> {
    state.queries += 1;
    let Some((start, end)) = state.window else {
        return Response::builder()
            .status(StatusCode::NOT_FOUND)
            .header("retry-after", 60)
            .body("{}".into())
            .unwrap();
    };
    let text = |at| jiff::Timestamp::try_from(at).unwrap().to_string();
    let body = json!({"suggestedWindow": {"start": text(start), "end": text(end)}}).to_string();
    Response::builder().header("retry-after", state.retry_after).body(body.into()).unwrap()
}

/// A problem document (RFC 8555 section 6.7).
fn problem(status: StatusCode, reason: &str, detail: &str) -> Response<Full<Bytes>> {
    let problem = json!({"type": format!("urn:ietf:params:acme:error:{reason}"), "detail": detail});
    let answer =
        Response::builder().status(status).header("content-type", "application/problem+json");
    answer.body(problem.to_string().into()).unwrap()
}

/// A field in the signed payload of an order (RFC 7515 section 7.2.2).
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
    // By default hyper replaces the host header with the address.
    Client::builder(TokioExecutor::new()).set_host(false).build(connector)
}
