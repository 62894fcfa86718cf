//! Secrets that the configuration names and does not hold.

use gateway_config::Secret;

/// The secret itself; errors say where it should be and not what it is.
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
