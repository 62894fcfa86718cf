//! Fetches responses of a site: over verified HTTPS, without following redirects, within limits of
//! time and size.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, LOCATION};
use reqwest::{Certificate, Client, StatusCode, Url, redirect};
use tokio::time::timeout;

use super::coding::Coding;
use super::report::Problem;

/// Deadline for one response.
const RESPONSE: Duration = Duration::from_secs(30);
/// Deadline for a connection and its TLS handshake.
const CONNECT: Duration = Duration::from_secs(10);

/// A site to check.
pub(super) struct Site {
    url: Url,
    client: Client,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A page that a browser opens.
    Document,
    /// A file that a page loads.
    File,
}

/// A response with status 200.
pub(super) struct Response {
    pub(super) headers: HeaderMap,
    /// The encoding it was requested in.
    pub(super) coding: Coding,
    pub(super) body: Body,
}

/// A decoded body.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Bytes,
    /// Whether there is more: it was cut off at the limit.
    pub(super) cut: bool,
}

/// Why there is nothing to compare.
pub(super) enum Failure {
    /// No connection.
    Unreachable(String),
    /// The site answered something else, or stopped answering.
    Answer(Problem),
}

impl Site {
    pub(super) fn new(url: Url, roots: Vec<Certificate>) -> Result<Self, String> {
        Ok(Self { url, client: client(&roots, redirect::Policy::none())? })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Requests one path in one encoding and reads at most `limit` bytes of it, within `left`.
    pub(super) async fn get(
        &self,
        path: &str,
        kind: Kind,
        coding: Coding,
        limit: u64,
        left: Duration,
    ) -> Result<Response, Failure> {
        let deadline = left.min(RESPONSE);
        let answered = timeout(deadline, self.answer(path, kind, coding, limit)).await;
        answered.unwrap_or_else(|_| {
            Err(unchecked(format!("no complete response within {} s", deadline.as_secs_f32())))
        })
    }

    async fn answer(
        &self,
        path: &str,
        kind: Kind,
        coding: Coding,
        limit: u64,
    ) -> Result<Response, Failure> {
        let mut url = self.url.clone();
        url.set_path(path);
        // As browsers ask, so that the site chooses the same response (Fetch Metadata).
        let (accept, mode) = match kind {
            Kind::Document => ("text/html,application/xhtml+xml", "navigate"),
            Kind::File => ("*/*", "cors"),
        };
        let request = self.client.get(url).header(ACCEPT, accept);
        let request =
            request.header("sec-fetch-mode", mode).header("sec-fetch-site", "same-origin");
        let response = request.header(ACCEPT_ENCODING, coding.name()).send().await;
        let mut response = response.map_err(|error| {
            let reason = chain(&error);
            if error.is_connect() { Failure::Unreachable(reason) } else { unchecked(reason) }
        })?;
        let headers = response.headers().clone();
        if let Some(problem) = unexpected(response.status(), &headers) {
            return Err(Failure::Answer(problem));
        }
        // An encoding never makes a file much larger.
        let (encoded, cut) = read(&mut response, limit).await.map_err(unchecked)?;
        let body = decode(&headers, coding, encoded, cut, limit).map_err(Failure::Answer)?;
        Ok(Response { headers, coding, body })
    }
}

/// Reads a file over https from any site.
pub(super) async fn download(
    url: &str,
    roots: &[Certificate],
    limit: u64,
    left: Duration,
) -> Result<Bytes, String> {
    let failed = |reason: String| format!("--manifest: {url}: {reason}");
    let client = client(roots, redirect::Policy::limited(5))?;
    let fetch = async {
        let mut response = client.get(url).send().await.map_err(|error| chain(&error))?;
        if response.status() != StatusCode::OK {
            return Err(format!("expected status 200, found {}", response.status().as_u16()));
        }
        match read(&mut response, limit).await? {
            (bytes, false) => Ok(bytes),
            (_, true) => Err(format!("expected at most {limit} bytes")),
        }
    };
    match timeout(left.min(RESPONSE), fetch).await {
        Ok(fetched) => fetched.map_err(failed),
        Err(_) => Err(failed("no complete response in time".to_owned())),
    }
}

/// Root certificates from a PEM file.
pub(super) fn roots(file: &Path) -> Result<Vec<Certificate>, String> {
    let failed = |reason: &dyn std::fmt::Display| format!("--ca: {}: {reason}", file.display());
    let pem = std::fs::read(file).map_err(|error| failed(&error))?;
    let roots = Certificate::from_pem_bundle(&pem).map_err(|error| failed(&error))?;
    if roots.is_empty() {
        return Err(failed(&"expected PEM certificates, found none"));
    }
    Ok(roots)
}

fn client(roots: &[Certificate], redirects: redirect::Policy) -> Result<Client, String> {
    let builder = Client::builder()
        .tls_certs_merge(roots.iter().cloned())
        .https_only(true)
        .redirect(redirects)
        .connect_timeout(CONNECT)
        .user_agent(concat!("gatehouse-verify-ui/", env!("CARGO_PKG_VERSION")));
    builder.build().map_err(|error| format!("cannot set up TLS: {}", chain(&error)))
}

/// The problem with a status other than 200.
fn unexpected(status: StatusCode, headers: &HeaderMap) -> Option<Problem> {
    let number = status.as_u16();
    if status == StatusCode::OK {
        return None;
    }
    Some(match number {
        300..400 => {
            let location = headers.get(LOCATION).map(|value| value.as_bytes());
            let location = String::from_utf8_lossy(location.unwrap_or_default()).into_owned();
            Problem::Redirected { status: number, location }
        }
        // Overloaded, restarting, or limiting this client's rate.
        408 | 429 | 500..600 => Problem::Unchecked { reason: format!("status {number}") },
        _ => Problem::Missing { status: number },
    })
}

/// Reads at most `limit` bytes; `true` if there are more.
async fn read(response: &mut reqwest::Response, limit: u64) -> Result<(Bytes, bool), String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut all = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| chain(&error))? {
        let room = limit - all.len();
        if piece.len() > room {
            all.extend_from_slice(&piece.slice(..room));
            return Ok((all.freeze(), true));
        }
        all.extend_from_slice(&piece);
    }
    Ok((all.freeze(), false))
}

fn decode(
    headers: &HeaderMap,
    requested: Coding,
    encoded: Bytes,
    cut: bool,
    limit: u64,
) -> Result<Body, Problem> {
    let stated: Vec<&[u8]> =
        headers.get_all(CONTENT_ENCODING).iter().map(|value| value.as_bytes()).collect();
    let coding = match stated.as_slice() {
        [] => Coding::Identity,
        [name] if *name == requested.name().as_bytes() => requested,
        other => {
            let found = String::from_utf8_lossy(&other.join(&b", "[..])).into_owned();
            let expected = requested.name();
            return Err(Problem::Undecodable {
                reason: format!("expected content-encoding {expected} or none, found {found}"),
            });
        }
    };
    if coding == Coding::Identity {
        return Ok(Body { bytes: encoded, cut });
    }
    if cut {
        let reason = format!("the encoded body has more than {limit} bytes");
        return Err(Problem::Undecodable { reason });
    }
    match coding.decode(&encoded, limit + 1) {
        Ok(mut decoded) => {
            let cut = decoded.len() as u64 > limit;
            decoded.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(Body { bytes: decoded.into(), cut })
        }
        Err(error) => Err(Problem::Undecodable { reason: error.to_string() }),
    }
}

fn unchecked(reason: String) -> Failure {
    Failure::Answer(Problem::Unchecked { reason })
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
