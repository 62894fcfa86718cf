//! Traces of requests, and the collector they are sent to.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::{Name, Secret};

/// `[tracing]`: which requests are traced, and where their spans go.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// Where spans are sent, by OTLP over HTTP.
    pub endpoint: CollectorUrl,
    /// Share of requests that are traced when no trusted proxy has decided, from 0 to 1.
    pub sample: f64,
    /// Deadline for one try to send.
    pub timeout: Duration,
    /// The name of this service in traces.
    pub service_name: Name,
    /// Headers for the collector, `name=value`, several with commas or line ends between.
    pub headers: Option<Secret>,
    /// PEM roots that alone are trusted for https; `None`: those of the machine.
    pub ca_file: Option<PathBuf>,
}

impl Eq for Tracing {}

/// The URL that takes an `ExportTraceServiceRequest` (OTLP 1.x, "OTLP/HTTP Request").
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
        let expected = "expected a URL with its path and without password or query, such as \
                        `http://127.0.0.1:4318/v1/traces`";
        if right { Ok(Self(text.to_owned())) } else { Err(expected.to_owned()) }
    }
}
