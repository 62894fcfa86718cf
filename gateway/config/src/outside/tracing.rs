//! `[tracing]`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;
use crate::{CollectorUrl, Name};

/// Which requests are traced, and the OpenTelemetry collector that receives their spans.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tracing")]
pub(crate) struct TracingText {
    /// URL of the collector, including the path; spans are sent by OTLP over HTTP as protobuf.
    /// Required.
    pub(crate) endpoint: Text<CollectorUrl>,
    /// Share of requests to trace, from 0 to 1. The sampling flag of a `traceparent` from a trusted
    /// proxy takes precedence. Default: 0.1.
    pub(crate) sample: Option<Text<f64>>,
    /// Timeout of one export attempt. Default: `5s`.
    pub(crate) timeout: Option<Text<Duration>>,
    /// Service name in traces. Default: `gateway`.
    pub(crate) service_name: Option<Text<Name>>,
    /// Environment variable with header fields for the collector, such as a token: `name=value`,
    /// separated by commas. Default: none.
    pub(crate) headers_env: Option<Text<String>>,
    /// File with header fields for the collector, separated by commas or line breaks; read at each
    /// reload. Default: none.
    pub(crate) headers_file: Option<Text<PathBuf>>,
    /// PEM file with the only roots trusted for HTTPS to the collector. Default: the system's
    /// roots.
    pub(crate) ca_file: Option<Text<PathBuf>>,
}
