//! ACME certificates: what the storage contains, and the result of the last order.

use std::time::SystemTime;

use gateway_acme::{Source, Status};
use gateway_config::Config;
use jiff::Timestamp;

use super::Finding;
use crate::control::acme::{Acme, CertificateInputs};
use crate::control::certificates::{Loaded, Purpose};

pub(super) async fn orders(config: &Config) -> Vec<Finding> {
    if config.certificate_storage.is_none() {
        return Vec::new();
    }
    let storage = "certificate storage";
    let inputs = match CertificateInputs::read(config, Purpose::DryRun) {
        Ok(inputs) => inputs,
        Err(error) => return vec![Finding::bad(storage, error.to_string())],
    };
    match Acme::default().plan(inputs, &mut Loaded::default(), Purpose::DryRun).await {
        Ok(plan) => {
            let trouble =
                plan.trouble.iter().map(|trouble| Finding::bad(storage, trouble.as_str()));
            trouble
                .chain(plan.statuses().iter().map(|(name, status)| finding(name.as_str(), status)))
                .collect()
        }
        Err(error) => vec![Finding::bad(storage, error.to_string())],
    }
}

fn finding(name: &str, status: &Status) -> Finding {
    let subject = format!("certificate {name}");
    let held = match status.not_after {
        Some(until) => format!("the stored certificate is valid until {}", time(until)),
        None => "no certificate is stored yet".to_owned(),
    };
    match &status.last_error {
        Some(failure) => {
            let next = status
                .next_attempt
                .map_or_else(String::new, |at| format!("; next attempt at {}", time(at)));
            Finding::bad(subject, format!("the last attempt failed: {failure}{next}; {held}"))
        }
        None if status.source == Source::Missing => {
            Finding::odd(subject, "is not ordered yet: it will be ordered after startup")
        }
        None => Finding::good(subject, held),
    }
}

fn time(at: SystemTime) -> String {
    Timestamp::try_from(at).map_or_else(|_| "an unknown time".to_owned(), |at| format!("{at:.0}"))
}
