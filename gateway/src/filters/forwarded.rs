//! What the upstream learns about the client: from the gateway, whatever the client claimed.

use super::{Exchange, Refusal};
use http::HeaderValue;

/// Names under which clients have claimed to be someone else, or to ask for something else.
const CLAIMS: [&str; 15] = [
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
    CLIENT_SUBJECT,
    // httpoxy, CVE-2016-5385.
    "proxy",
];

/// Whom the client's certificate names, on listeners that ask for one.
const CLIENT_SUBJECT: &str = "x-client-cert-subject";

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
    if let Some(subject) = &exchange.facts.client_subject {
        let refused = || Refusal::new(400, "The subject of the client certificate cannot be passed on.");
        let value = HeaderValue::from_str(subject).map_err(|_| refused())?;
        exchange.request.insert_header(CLIENT_SUBJECT, value).map_err(|_| refused())?;
    }
    for (name, value) in told {
        let value = value.map_err(|_| Refusal::new(400, "The Host is not a valid one."))?;
        exchange.request.insert_header(name, value).map_err(|_| Refusal::new(400, "The Host is not a valid one."))?;
    }
    Ok(())
}
