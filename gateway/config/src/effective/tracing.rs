//! Writes `[tracing]`.

use super::Writer;
use crate::Tracing;

impl Writer {
    pub(super) fn tracing(&mut self, tracing: &Tracing) {
        self.section("tracing");
        self.string("endpoint", tracing.endpoint.as_str());
        // `Debug` keeps the decimal point that makes the number a float.
        self.plain("sample", format!("{:?}", tracing.sample));
        self.duration("timeout", tracing.timeout);
        self.string("service_name", &tracing.service_name);
        if let Some(headers) = &tracing.headers {
            self.secret("headers", headers);
        }
        if let Some(path) = &tracing.ca_file {
            self.path("ca_file", path);
        }
    }
}
