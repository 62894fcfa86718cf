//! The collector: OTLP over HTTP (opentelemetry.io/docs/specs/otlp, "OTLP/HTTP").

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use gateway_config::Tracing;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, StatusCode};

use crate::secret;

/// `[tracing]`, including the contents of the files and variables it names.
#[derive(PartialEq)]
pub(super) struct Settings {
    pub(super) config: Tracing,
    headers: HeaderMap,
    roots: Option<Vec<u8>>,
}

/// Sends spans to the collector.
pub(crate) struct Collector {
    client: Client,
    settings: (String, HeaderMap, Duration),
}

/// The result of an export.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Accepted, except for some spans; the collector may send a message.
    Taken { rejected: u64, message: String },
    /// Rejected; a retry is useless.
    Refused(String),
    /// Failed; a retry may succeed. Some collectors send a delay.
    Later { reason: String, after: Option<Duration> },
}

/// Maximum size of a response that is read.
const ANSWER_MAX: usize = 64 * 1024;

impl Settings {
    /// Reads the files and variables; errors contain their location, never their value.
    pub(super) fn read(config: &Tracing) -> Result<Self, String> {
        let headers = config.headers.as_ref().map(secret::read).transpose()?;
        let headers = headers.as_deref().map(headers_of).transpose()?.unwrap_or_default();
        let read = |path: &std::path::PathBuf| {
            std::fs::read(path).map_err(|error| format!("ca_file: {}: {error}", path.display()))
        };
        let roots = config.ca_file.as_ref().map(read).transpose()?;
        Ok(Self { config: config.clone(), headers, roots })
    }
}

impl Collector {
    /// As configured.
    pub(crate) fn read(config: &Tracing) -> Result<Self, String> {
        Self::new(&Settings::read(config)?)
    }

    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let config = &settings.config;
        let mut client = Client::builder()
            .user_agent(concat!("gatehouse-gateway/", env!("CARGO_PKG_VERSION")))
            // The header fields are only for this collector.
            .redirect(Policy::none());
        if let Some(pem) = &settings.roots {
            let roots = Certificate::from_pem_bundle(pem).ok().filter(|roots| !roots.is_empty());
            client = client
                .tls_certs_only(roots.ok_or("ca_file: expected PEM certificates, found none")?);
        }
        let client = client
            .build()
            .map_err(|error| format!("cannot create a client for the collector: {error}"))?;
        let endpoint = config.endpoint.as_str().to_owned();
        Ok(Self { client, settings: (endpoint, settings.headers.clone(), config.timeout) })
    }

    /// Its URL.
    pub(super) fn endpoint(&self) -> &str {
        &self.settings.0
    }

    /// Sends an empty export request, to check that the collector accepts it.
    pub(crate) async fn send_nothing(&self) -> Verdict {
        // An empty body is a valid empty message.
        self.send(Bytes::new()).await
    }

    /// Sends an export request, within the configured timeout.
    pub(super) async fn send(&self, body: Bytes) -> Verdict {
        let (endpoint, headers, timeout) = &self.settings;
        let request = self.client.post(endpoint).headers(headers.clone()).timeout(*timeout);
        let request = request.header(CONTENT_TYPE, "application/x-protobuf").body(body);
        match request.send().await {
            Ok(answer) if answer.status().is_success() => taken(answer).await,
            Ok(answer) => refused(&answer),
            Err(error) => Verdict::Later { reason: said(&error.without_url()), after: None },
        }
    }
}

async fn taken(mut answer: Response) -> Verdict {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_MAX {
            break;
        }
    }
    // A 2xx status means accepted, regardless of the body.
    let said =
        ExportTraceServiceResponse::decode(body.as_slice()).unwrap_or_default().partial_success;
    let said = said.unwrap_or_default();
    Verdict::Taken {
        rejected: u64::try_from(said.rejected_spans).unwrap_or(0),
        message: said.error_message,
    }
}

/// Status codes to retry, as defined by the protocol ("Retryable Response Codes").
fn refused(answer: &Response) -> Verdict {
    let reason = format!("the collector returns {}", answer.status());
    match answer.status() {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            let after = answer
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| retry_after(value.to_str().ok()?));
            Verdict::Later { reason, after }
        }
        _ => Verdict::Refused(reason),
    }
}

/// RFC 9110 section 10.2.3: seconds or a date.
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default())
}

/// Parses `name=value` pairs, separated by commas or line breaks. Errors do not contain values.
fn headers_of(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let pairs = text.split([',', '\n']).map(str::trim).filter(|pair| !pair.is_empty());
    for (index, pair) in pairs.enumerate() {
        let wrong = |what: &str| {
            format!("header {} for the collector: expected `name=value`, found {what}", index + 1)
        };
        let (name, value) = pair.split_once('=').ok_or_else(|| wrong("no `=`"))?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong("an invalid header name"))?;
        let mut value: HeaderValue =
            value.trim().parse().map_err(|_| wrong("an invalid header value"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// An error and its causes.
fn said(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_parsed_and_errors_do_not_contain_values() {
        let headers = headers_of("authorization=Bearer a=b, x-scope=one\nx-scope = two\n")
            .expect("valid headers");
        assert_eq!(headers["authorization"], "Bearer a=b");
        assert_eq!(headers.get_all("x-scope").iter().count(), 2);
        for wrong in ["secret", "sec ret=value", "a=sec\u{1}ret"] {
            let error = headers_of(wrong).expect_err(wrong);
            assert!(error.contains("expected `name=value`") && !error.contains("ret"), "{error}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
        let far = retry_after("Fri, 31 Dec 2100 23:59:59 GMT").expect("a date");
        assert!(far > Duration::from_secs(86_400), "{far:?}");
        assert_eq!(retry_after("soon"), None);
    }
}
