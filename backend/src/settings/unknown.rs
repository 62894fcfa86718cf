//! Misspelt settings: an `OPENAI_…` or `REDIS_…` variable that means nothing here is refused, not ignored.

use clap::CommandFactory;

use super::{Args, SettingsError};

/// The families of settings in which nothing else is expected.
const FAMILIES: [&str; 2] = ["OPENAI_", "REDIS_"];

/// Refuses variables that look like settings and are none.
pub(super) fn refuse(names: impl Iterator<Item = String>) -> Result<(), SettingsError> {
    let command = Args::command();
    let known: Vec<&str> =
        command.get_arguments().filter_map(|argument| argument.get_env()).filter_map(|name| name.to_str()).collect();
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

/// The known name with the longest common beginning, if that is more than the family.
fn nearest(name: &str, known: &[&str]) -> Option<String> {
    let common = |other: &&str| name.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let family = FAMILIES.iter().find(|family| name.starts_with(**family)).map_or(0, |family| family.len());
    known.iter().copied().max_by_key(common).filter(|best| common(best) > family).map(str::to_owned)
}
