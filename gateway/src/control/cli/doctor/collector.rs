//! The trace collector: whether it accepts an empty export request.

use gateway_config::Config;

use super::Finding;
use crate::serving::traces::{Collector, Verdict};

pub(super) async fn collector(config: &Config) -> Option<Finding> {
    let tracing = config.tracing.as_ref()?;
    let subject = format!("collector {}", tracing.endpoint.as_str());
    let collector = match Collector::read(tracing) {
        Ok(collector) => collector,
        Err(reason) => return Some(Finding::bad(subject, reason)),
    };
    Some(match collector.send_nothing().await {
        Verdict::Taken { .. } => Finding::good(subject, "takes traces"),
        Verdict::Refused(reason) => Finding::bad(
            subject,
            format!("{reason}: are the path of the URL and the headers what it wants?"),
        ),
        Verdict::Later { reason, .. } => {
            Finding::bad(subject, format!("{reason}: is it running, and does it listen there?"))
        }
    })
}
