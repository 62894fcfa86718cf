//! HTTPS client for one ACME server: deadlines, bounded responses, `Retry-After`.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::Request;
use http::header::RETRY_AFTER;
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{Account, AccountBuilder, BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

use crate::settings::{Authority, SettingsError};

type Body = BodyWrapper<hyper::body::Bytes>;
type Https = Client<HttpsConnector<HttpConnector>, Body>;

/// A connection pool for one authority. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connection {
    https: Https,
    advice: RetryAdvice,
}

/// The `Retry-After` of the last error response.
#[derive(Clone, Debug, Default)]
pub(crate) struct RetryAdvice(Arc<Mutex<Option<Duration>>>);

impl Connection {
    pub(crate) fn new(authority: &Authority) -> Result<Self, SettingsError> {
        let refused = |reason: String| SettingsError::Client { url: authority.url.clone(), reason };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = HttpsConnectorBuilder::new();
        let builder = match &authority.roots {
            None => builder.with_provider_and_platform_verifier(provider).map_err(|error| {
                refused(format!(
                    "no trusted roots on this machine (install ca-certificates): {error}"
                ))
            })?,
            Some(roots) => {
                let mut store = RootCertStore::empty();
                for root in roots {
                    store
                        .add(root.clone())
                        .map_err(|error| refused(format!("a trusted root: {error}")))?;
                }
                let config = ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()
                    .map_err(|error| refused(error.to_string()))?;
                builder.with_tls_config(config.with_root_certificates(store).with_no_client_auth())
            }
        };
        let connector = builder.https_only().enable_http1().enable_http2().build();
        let https = Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build(connector);
        Ok(Self { https, advice: RetryAdvice::default() })
    }

    /// For the ACME library.
    pub(crate) fn builder(&self) -> AccountBuilder {
        Account::builder_with_http(Box::new(self.clone()))
    }

    /// When the last error response allows another attempt, counted from `now`. Returned once.
    pub(crate) fn take_advice(&self, now: SystemTime) -> Option<SystemTime> {
        self.advice.take().and_then(|delay| now.checked_add(delay.min(LONGEST_ADVICE)))
    }
}

impl HttpClient for Connection {
    fn request(
        &self,
        request: Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (response, advice) = (self.https.request(request), self.advice.clone());
        Box::pin(async move {
            let exchange = async {
                let (parts, body) = response.await.map_err(other)?.into_parts();
                let body = Limited::new(body, LARGEST_RESPONSE).collect().await;
                Ok::<_, Error>((parts, body.map_err(Error::Other)?.to_bytes()))
            };
            let (parts, body) = match tokio::time::timeout(DEADLINE, exchange).await {
                Ok(response) => response?,
                Err(_) => {
                    return Err(Error::Other("no response from the authority within 30 s".into()));
                }
            };
            if !parts.status.is_success() {
                advice.note(parts.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()));
                // A proxy's error page is not an ACME problem document: report its status, not a
                // JSON error.
                if parts.status.is_server_error() && !body.starts_with(b"{") {
                    return Err(Error::Other(
                        format!("the authority responded with {}", parts.status).into(),
                    ));
                }
            }
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}

impl RetryAdvice {
    /// Seconds or a date (RFC 9110 section 10.2.3).
    fn note(&self, value: Option<&str>) {
        let seconds = value.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let delay = seconds.or_else(|| value.and_then(until_date));
        if delay.is_some() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = delay;
        }
    }

    fn take(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn until_date(text: &str) -> Option<Duration> {
    let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    SystemTime::from(date.timestamp()).duration_since(SystemTime::now()).ok()
}

fn other(error: hyper_util::client::legacy::Error) -> Error {
    Error::Other(Box::new(error))
}

const DEADLINE: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(30);
const LONGEST_ADVICE: Duration = Duration::from_secs(7 * 24 * 3600);
/// In bytes. Chains and problem documents take a few kilobytes.
const LARGEST_RESPONSE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_parsed_in_both_forms_and_returned_once() {
        let advice = RetryAdvice::default();
        advice.note(Some("120"));
        assert_eq!(advice.take(), Some(Duration::from_secs(120)));
        assert_eq!(advice.take(), None);
        advice.note(Some("Fri, 31 Dec 2100 23:59:59 GMT"));
        assert!(advice.take().is_some_and(|delay| delay > Duration::from_secs(1_000_000)));
        advice.note(Some("soon"));
        assert_eq!(advice.take(), None);
    }
}
