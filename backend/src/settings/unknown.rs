//! Misspelt settings: an unknown `OPENAI_…` or `REDIS_…` variable is an error.

use clap::CommandFactory;

use super::args::Args;
use super::error::SettingsError;

/// Prefixes under which every variable must be a setting.
const FAMILIES: [&str; 2] = ["OPENAI_", "REDIS_"];

/// Rejects unknown variables with one of these prefixes.
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

/// Variables that Kubernetes and Docker links set for a service named `redis` or `redis-…`.
fn is_service_link(name: &str) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"].iter().any(|part| name.contains(part))
        || (name.ends_with("_PORT") && name != "REDIS_PORT")
}

/// The most similar known name, if it is similar enough.
fn nearest(name: &str, known: &[&str]) -> Option<String> {
    let slips = |other: &&str| strsim::damerau_levenshtein(name, other);
    known.iter().copied().min_by_key(slips).filter(|best| slips(best) <= 4).map(str::to_owned)
}
