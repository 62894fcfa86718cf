//! Overwrites what the upstream receives about the client: it comes from the gateway, never from
//! the client.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::exchange::{Exchange, Refusal};
use crate::serving::snapshot::Route;

/// Whether clients use this field to claim another identity or another target; each group names the
/// software that trusts it.
fn is_claim(name: &str) -> bool {
    matches!(
        name,
        // RFC 7239: the standard form of the fields below.
        "forwarded"
            // Used for links and cookies: Rails, Spring, ASP.NET, Traefik.
            | "x-forwarded-port"
            | "x-forwarded-server"
            | "x-forwarded-prefix"
            | "x-forwarded-scheme"
            | "x-forwarded-ssl"
            // The client's address, used for access rules and limits: nginx realip, Tomcat, Rails,
            // Spring Cloud.
            | "x-real-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            // The client's address from CDNs: Akamai and Cloudflare, Cloudflare, Fastly.
            | "true-client-ip"
            | "cf-connecting-ip"
            | "fastly-client-ip"
            // The client's certificate: Envoy and the meshes built on it take its subject as the
            // caller.
            | "x-forwarded-client-cert"
            // The client's certificate, as this gateway sends it.
            | "x-client-cert-subject"
            // A host other than the routed one: IIS ARR and Symfony, Akamai and old PHP
            // applications.
            | "x-original-host"
            | "x-host"
            // A path other than the routed one: IIS, Symfony, Zend.
            | "x-original-url"
            | "x-rewrite-url"
            // A method other than the routed one: Microsoft, Google and Rails, IBM.
            | "x-http-method"
            | "x-http-method-override"
            | "x-method-override"
            // httpoxy, CVE-2016-5385: CGI turns it into HTTP_PROXY.
            | "proxy"
    )
}

/// Whether the gateway sets this field.
fn is_own(name: &str) -> bool {
    matches!(
        name,
        "x-forwarded-for"
            | "x-forwarded-proto"
            | "x-forwarded-host"
            | "x-request-id"
            | "traceparent"
            | "tracestate"
    )
}

/// Whether a field is removed before the request is forwarded. `trusted`: the peer is a trusted
/// proxy; `underscores`: names may contain them.
fn is_removed(name: &str, trusted: bool, underscores: bool) -> bool {
    let unknown = |name: &str| name.starts_with("x-forwarded-") && !trusted;
    if is_own(name) {
        return false;
    }
    if is_claim(name) || unknown(name) {
        return true;
    }
    // CGI and interfaces with its rules (WSGI, Rack, PHP) read `_` as `-`, and some of them any
    // other character.
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return false;
    }
    let read_as: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    (name.contains('_') && !underscores)
        || is_claim(&read_as)
        || is_own(&read_as)
        || unknown(&read_as)
}

/// The subject of the client certificate, on listeners that request one.
const CLIENT_SUBJECT: HeaderName = HeaderName::from_static("x-client-cert-subject");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

pub(super) fn overwrite(exchange: &mut Exchange<'_>, _: &Route) -> Result<(), Refusal> {
    let underscores = exchange.snapshot.config().trust.underscores_in_headers;
    let trusted = exchange.snapshot.trusts(exchange.facts.client.ip());
    let headers = &mut exchange.request.headers;
    // Checking each name that is present is cheaper than searching for each name on the lists.
    let removed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_removed(name.as_str(), trusted, underscores))
        .cloned()
        .collect();
    for name in removed {
        headers.remove(name);
    }
    keep_own(headers);
    if let Some(subject) = &exchange.facts.client_subject {
        let refused =
            |_| Refusal::new(400, "The subject of the client certificate cannot be forwarded.");
        headers.insert(CLIENT_SUBJECT, HeaderValue::from_str(subject).map_err(refused)?);
    }
    let refused = |_| Refusal::new(400, "The Host is not valid.");
    let host = HeaderValue::from_str(exchange.host().authority()).map_err(refused)?;
    let headers = &mut exchange.request.headers;
    headers.insert(FORWARDED_HOST, host);
    headers.insert(
        FORWARDED_FOR,
        HeaderValue::try_from(exchange.about.client.to_string()).map_err(refused)?,
    );
    let scheme = if exchange.about.secure { "https" } else { "http" };
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    Ok(())
}

/// Prevents clients from removing the gateway's fields by naming them in `Connection`, which RFC
/// 9110 section 7.6.1 forbids for fields that are for all recipients.
fn keep_own(headers: &mut HeaderMap) {
    let names_own = |token: &&[u8]| {
        let name = String::from_utf8_lossy(token).to_ascii_lowercase();
        is_own(&name) || name == CLIENT_SUBJECT.as_str()
    };
    let fields = headers.get_all(header::CONNECTION).iter();
    let tokens = fields
        .flat_map(|field| field.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii);
    let (own, others): (Vec<&[u8]>, Vec<&[u8]>) = tokens.partition(names_own);
    if own.is_empty() {
        return;
    }
    match HeaderValue::from_bytes(&others.join(&b", "[..])) {
        Ok(others) if !others.is_empty() => headers.insert(header::CONNECTION, others),
        _ => headers.remove(header::CONNECTION),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_removed_in_every_spelling_that_a_service_may_accept() {
        for name in [
            "x-real-ip",
            "x_real_ip",
            "x-real_ip",
            "x.real.ip",
            "x~real~ip",
            "x_forwarded_for",
            "x.request.id",
        ] {
            for (trusted, underscores) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                assert!(is_removed(name, trusted, underscores), "{name} {trusted} {underscores}");
            }
        }
        for name in ["x-forwarded-for", "x-request-id", "tracestate", "x.custom", "accept"] {
            assert!(!is_removed(name, false, false), "{name}");
        }
        assert!(is_removed("x_custom", true, false) && !is_removed("x_custom", false, true));
        assert!(
            is_removed("x-forwarded-user", false, true)
                && !is_removed("x-forwarded-user", true, false)
        );
    }
}
