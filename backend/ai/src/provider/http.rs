//! One HTTP request to the provider: its client, its deadline, and error responses as [`Failure`].

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use reqwest::header::HeaderMap;
use reqwest::{Client, Response, Url};
use rustls::crypto::CryptoProvider;
use tokio::time::timeout;

use super::endpoint::{Endpoint, SetupError};
use super::failure::{Failure, FailureKind};

/// The most bytes read of an error response.
const MAX_REFUSAL: usize = 64 * 1024;
/// Deadline for the body of an error response.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(5);

type Attempt = Pin<Box<dyn Future<Output = Result<Response, OpenAIError>> + Send>>;

/// An HTTP client with the system's root certificates and the process's crypto provider.
pub(super) fn client(
    endpoint: &Endpoint,
    connect_deadline: Duration,
) -> Result<Client, SetupError> {
    let url =
        Url::parse(endpoint.url()).map_err(|_error| SetupError::Url(endpoint.url().to_owned()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(SetupError::Url(endpoint.url().to_owned()));
    }
    // reqwest panics without a provider.
    if CryptoProvider::get_default().is_none() {
        return Err(SetupError::NoCryptoProvider);
    }
    let mut builder = Client::builder()
        .connect_timeout(connect_deadline)
        .tcp_nodelay(true)
        .pool_idle_timeout(Duration::from_secs(60))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("gatehouse/", env!("CARGO_PKG_VERSION")));
    if is_loopback(&url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| SetupError::Http(error.to_string()))
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address =
            host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

/// The service that sends async-openai's requests, in place of its own, which retries.
pub(super) fn service(
    http: Client,
    deadline: Duration,
) -> impl tower::Service<HttpRequestFactory, Response = Response, Error = OpenAIError, Future = Attempt>
+ Clone
+ Send
+ Sync {
    tower::service_fn(move |factory: HttpRequestFactory| -> Attempt {
        let http = http.clone();
        Box::pin(async move { once(&http, factory, deadline).await })
    })
}

async fn once(
    http: &Client,
    factory: HttpRequestFactory,
    deadline: Duration,
) -> Result<Response, OpenAIError> {
    let request = factory.build().await?;
    let response = match timeout(deadline, http.execute(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            return Err(boxed(Failure::new(FailureKind::Unavailable, chain(&error.without_url()))));
        }
        Err(_elapsed) => return Err(boxed(Failure::silent(deadline))),
    };
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let retry_after = retry_after(response.headers());
    let body = timeout(REFUSAL_DEADLINE, beginning(response)).await.unwrap_or_default();
    Err(boxed(Failure::refused(status.as_u16(), retry_after, &body)))
}

fn boxed(failure: Failure) -> OpenAIError {
    OpenAIError::Boxed(Box::new(failure))
}

/// An error with its causes: reqwest's own text omits them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= MAX_REFUSAL {
            break;
        }
    }
    body
}

/// `retry-after-ms` as OpenAI sends it, or `Retry-After` in seconds (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    number("retry-after-ms")
        .map(Duration::from_millis)
        .or_else(|| number("retry-after").map(Duration::from_secs))
}
