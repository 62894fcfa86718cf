//! Secrets that the configuration refers to but does not contain.

use gateway_config::Secret;

/// Reads a secret. Errors contain its location, never its value.
pub(crate) fn read(secret: &Secret) -> Result<String, String> {
    let text = match secret {
        Secret::Environment(name) => std::env::var(name)
            .map_err(|_| format!("expected a secret in the environment variable `{name}`"))?,
        Secret::File(path) => {
            std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?
        }
    };
    match text.trim() {
        "" => Err("expected a secret, found nothing".to_owned()),
        text => Ok(text.to_owned()),
    }
}
