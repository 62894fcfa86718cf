//! Settings of Redis: by URL, or by host, port, password and TLS.

use backend_store::redis::RedisSettings;

use super::args::Args;
use super::error::SettingsError;
use super::secret::{self, given};

const SCHEMES: [&str; 6] = [
    "redis://",
    "rediss://",
    "redis-sentinel://",
    "rediss-sentinel://",
    "redis-cluster://",
    "rediss-cluster://",
];
/// The TLS port of Azure Cache for Redis.
const DEFAULT_PORT: u16 = 6380;

/// The Redis settings; `None` means the embedded store.
pub(super) fn address(args: &Args) -> Result<Option<RedisSettings>, SettingsError> {
    let contradiction = |text: &str| Err(SettingsError::Contradiction(text.to_owned()));
    let url = secret::read("REDIS_URL", args.redis_url.as_ref(), args.redis_url_file.as_ref())?;
    let password = secret::read(
        "REDIS_PASSWORD",
        args.redis_password.as_ref(),
        args.redis_password_file.as_ref(),
    )?;
    let ca_file = args.redis_ca_file.clone().filter(|path| !path.as_os_str().is_empty());
    let wait_replicas = args.redis_wait_replicas;
    let host = given(args.redis_host.as_ref());
    let port = given(args.redis_port.as_ref()).map(port).transpose()?;
    let tls = given(args.redis_ssl.as_ref()).map(boolean).transpose()?;
    match (url, host) {
        (Some(_), Some(_)) => contradiction("REDIS_URL and REDIS_HOST are both set: remove one"),
        (Some(_), None) if port.is_some() || tls.is_some() => contradiction(
            "REDIS_PORT and REDIS_SSL need REDIS_HOST: with REDIS_URL, put them into the URL",
        ),
        (Some(url), None) if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) => {
            // The URL may contain a password, so it is not shown.
            contradiction(
                "REDIS_URL must begin with redis://, rediss://, redis-sentinel:// or redis-cluster://",
            )
        }
        (Some(url), None) => Ok(Some(RedisSettings { url, password, ca_file, wait_replicas })),
        (None, Some(host)) => {
            let scheme = if tls.unwrap_or(true) { "rediss" } else { "redis" };
            let host = if host.contains(':') && !host.starts_with('[') {
                format!("[{host}]")
            } else {
                host.to_owned()
            };
            let url = format!("{scheme}://{host}:{}", port.unwrap_or(DEFAULT_PORT));
            Ok(Some(RedisSettings { url, password, ca_file, wait_replicas }))
        }
        (None, None)
            if port.is_some()
                || tls.is_some()
                || password.is_some()
                || ca_file.is_some()
                || wait_replicas > 0 =>
        {
            contradiction(
                "REDIS_PORT, REDIS_SSL, REDIS_PASSWORD, REDIS_CA_FILE and REDIS_WAIT_REPLICAS need REDIS_HOST or REDIS_URL",
            )
        }
        (None, None) => Ok(None),
    }
}

fn port(text: &str) -> Result<u16, SettingsError> {
    text.parse().map_err(|_error| SettingsError::Value {
        name: "REDIS_PORT",
        expected: "a port (Kubernetes sets tcp://… for a service named redis: set enableServiceLinks: false)",
        found: text.to_owned(),
    })
}

fn boolean(text: &str) -> Result<bool, SettingsError> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(SettingsError::Value {
            name: "REDIS_SSL",
            expected: "true or false",
            found: text.to_owned(),
        }),
    }
}
