//! Traces.

use std::time::Duration;

use toml::Spanned;

use super::Check;
use super::acme::secret;
use crate::Tracing;
use crate::outside::tracing::TracingText;

/// Default share of requests to trace: enough to find slow requests at a low cost.
const SAMPLE: f64 = 0.1;

pub(super) fn tracing(
    check: &mut Check<'_, '_>,
    section: Option<&Spanned<TracingText>>,
) -> Option<Tracing> {
    let section = section?;
    let text = section.get_ref();
    let span = section.span();
    let service_name = text.service_name.as_ref().and_then(|name| check.take(name));
    let (least, most) = (Duration::from_millis(10), Duration::from_secs(60));
    Some(Tracing {
        sample: check.within(text.sample.as_ref(), SAMPLE, 0.0, 1.0),
        timeout: check.within(text.timeout.as_ref(), Duration::from_secs(5), least, most),
        service_name: service_name.or_else(|| "gateway".parse().ok())?,
        headers: secret(
            check,
            &span,
            "headers",
            text.headers_env.as_ref(),
            text.headers_file.as_ref(),
        ),
        ca_file: text.ca_file.as_ref().and_then(|path| check.path(path)),
        endpoint: check.take(&text.endpoint)?,
    })
}
