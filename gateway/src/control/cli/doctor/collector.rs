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
        Verdict::Taken { .. } => Finding::good(subject, "accepts traces"),
        Verdict::Refused(reason) => {
            Finding::bad(subject, format!("{reason}: check the path of the URL and the headers"))
        }
        Verdict::Later { reason, .. } => {
            Finding::bad(subject, format!("{reason}: is it running and listening there?"))
        }
    })
}
