//! What the upstream learns about the client: from the gateway, whatever the client claimed.

use super::{Exchange, Refusal};
use http::HeaderValue;

/// Names under which clients have claimed to be someone else, or to ask for something else.
const CLAIMS: [&str; 14] = [
    "forwarded",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-forwarded-prefix",
    "x-forwarded-scheme",
    "x-forwarded-ssl",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    // httpoxy, CVE-2016-5385.
    "proxy",
];

pub(super) fn overwrite(exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
    for name in CLAIMS {
        exchange.request.remove_header(name);
    }
    let scheme = if exchange.about.secure { "https" } else { "http" };
    let host = exchange.about.host.as_ref().map(crate::router::Host::authority).unwrap_or_default();
    let told = [
        ("x-forwarded-for", HeaderValue::try_from(exchange.about.client.to_string())),
        ("x-forwarded-proto", Ok(HeaderValue::from_static(scheme))),
        ("x-forwarded-host", HeaderValue::from_str(host)),
    ];
    for (name, value) in told {
        let value = value.map_err(|_| Refusal::new(400, "The Host is not a valid one."))?;
        exchange.request.insert_header(name, value).map_err(|_| Refusal::new(400, "The Host is not a valid one."))?;
    }
    Ok(())
}
