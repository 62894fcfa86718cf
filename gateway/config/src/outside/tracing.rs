//! `[tracing]`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;
use crate::{CollectorUrl, Name};

/// Which requests are traced, and the OpenTelemetry collector that gets their spans.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tracing")]
pub(crate) struct TracingText {
    /// Where spans are sent, by OTLP over HTTP in protobuf: the whole URL, path included. Required.
    pub(crate) endpoint: Text<CollectorUrl>,
    /// Share of requests that are traced, from 0 to 1; where a trusted proxy sends `traceparent`,
    /// its flag decides. Default: 0.1.
    pub(crate) sample: Option<Text<f64>>,
    /// Deadline for one try to send. Default: `5s`.
    pub(crate) timeout: Option<Text<Duration>>,
    /// The name of this service in traces. Default: `gateway`.
    pub(crate) service_name: Option<Text<Name>>,
    /// The environment variable with headers for the collector, such as a token: `name=value`,
    /// several with commas between. Default: none.
    pub(crate) headers_env: Option<Text<String>>,
    /// A file with such headers, several with commas or line ends between; read again at each
    /// reload. Default: none.
    pub(crate) headers_file: Option<Text<PathBuf>>,
    /// A PEM file with the only roots trusted for the https of the collector. Default: those of the
    /// machine.
    pub(crate) ca_file: Option<Text<PathBuf>>,
}
