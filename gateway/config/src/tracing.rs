//! Traces of requests, and the collector that receives them.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::{Name, Secret};

/// `[tracing]`: which requests are traced, and where spans are sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// URL of the collector, for OTLP over HTTP.
    pub endpoint: CollectorUrl,
    /// Share of requests to trace, from 0 to 1, when no trusted proxy has made a sampling decision.
    pub sample: f64,
    /// Timeout of one export attempt.
    pub timeout: Duration,
    /// Service name in traces.
    pub service_name: Name,
    /// Header fields for the collector as `name=value`, separated by commas or line breaks.
    pub headers: Option<Secret>,
    /// PEM file with the only roots trusted for HTTPS to the collector; `None`: the system's roots.
    pub ca_file: Option<PathBuf>,
}

impl Eq for Tracing {}

/// URL that accepts an `ExportTraceServiceRequest` (OTLP 1.x, "OTLP/HTTP Request").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorUrl(String);

impl CollectorUrl {
    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CollectorUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = text.parse::<http::Uri>().ok();
        let right = url.is_some_and(|url| {
            let authority = url.authority().map(http::uri::Authority::as_str).unwrap_or_default();
            let bare = !authority.is_empty() && !authority.contains('@') && url.query().is_none();
            bare && matches!(url.scheme_str(), Some("http" | "https")) && url.path().len() > 1
        });
        let expected = "expected an http or https URL with a path and without a password or query, such as \
                        `http://127.0.0.1:4318/v1/traces`";
        if right { Ok(Self(text.to_owned())) } else { Err(expected.to_owned()) }
    }
}
