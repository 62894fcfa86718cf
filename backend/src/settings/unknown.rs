//! Misspelt settings: an `OPENAI_…` or `REDIS_…` variable that means nothing here is refused, not
//! ignored.

use clap::CommandFactory;

use super::{Args, SettingsError};

/// The families of settings in which nothing else is expected.
const FAMILIES: [&str; 2] = ["OPENAI_", "REDIS_"];

/// Refuses variables that look like settings and are none.
pub(super) fn refuse(names: impl Iterator<Item = String>) -> Result<(), SettingsError> {
    let command = Args::command();
    let known: Vec<&str> = command
        .get_arguments()
        .filter_map(|argument| argument.get_env())
        .filter_map(|name| name.to_str())
        .collect();
    for name in names {
        let of_family = FAMILIES.iter().any(|family| name.starts_with(family));
        if of_family && !known.contains(&name.as_str()) && !is_service_link(&name) {
            let nearest = nearest(&name, &known);
            return Err(SettingsError::Unknown { name, nearest });
        }
    }
    Ok(())
}

/// What Kubernetes and Docker links set for a service named `redis` or `redis-…`.
fn is_service_link(name: &str) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"].iter().any(|part| name.contains(part))
        || (name.ends_with("_PORT") && name != "REDIS_PORT")
}

/// The known name that a slip of the fingers would make this one.
fn nearest(name: &str, known: &[&str]) -> Option<String> {
    let slips = |other: &&str| strsim::damerau_levenshtein(name, other);
    known.iter().copied().min_by_key(slips).filter(|best| slips(best) <= 4).map(str::to_owned)
}
