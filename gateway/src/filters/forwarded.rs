//! What the upstream learns about the client: from the gateway, whatever the client claimed.

use super::{Exchange, Refusal};
use http::{HeaderName, HeaderValue};

/// Whether this is a name under which clients have claimed to be someone else, or to ask for something else.
fn is_claim(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "forwarded"
            | "x-forwarded-port"
            | "x-forwarded-server"
            | "x-forwarded-prefix"
            | "x-forwarded-scheme"
            | "x-forwarded-ssl"
            | "x-real-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "true-client-ip"
            | "x-original-url"
            | "x-rewrite-url"
            | "x-http-method-override"
            | "x-client-cert-subject"
            // httpoxy, CVE-2016-5385.
            | "proxy"
    )
}

/// Whom the client's certificate names, on listeners that ask for one.
const CLIENT_SUBJECT: HeaderName = HeaderName::from_static("x-client-cert-subject");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

pub(super) fn overwrite(exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
    let headers = &mut exchange.request.headers;
    // One look at each name there is costs less than a search for each name there could be.
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name)).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
    if let Some(subject) = &exchange.facts.client_subject {
        let refused = |_| Refusal::new(400, "The subject of the client certificate cannot be passed on.");
        headers.insert(CLIENT_SUBJECT, HeaderValue::from_str(subject).map_err(refused)?);
    }
    let refused = |_| Refusal::new(400, "The Host is not a valid one.");
    let host = exchange.about.host.as_ref().map(crate::router::Host::authority).unwrap_or_default();
    headers.insert(FORWARDED_HOST, HeaderValue::from_str(host).map_err(refused)?);
    headers.insert(FORWARDED_FOR, HeaderValue::try_from(exchange.about.client.to_string()).map_err(refused)?);
    let scheme = if exchange.about.secure { "https" } else { "http" };
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    Ok(())
}
