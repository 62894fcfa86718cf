//! What the upstream learns about the client: from the gateway, whatever the client claimed.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::exchange::{Exchange, Refusal};
use crate::serving::snapshot::Route;

/// Whether this is a name under which clients have claimed to be someone else, or to ask for
/// something else; beside each, who believes it.
fn is_claim(name: &str) -> bool {
    matches!(
        name,
        // RFC 7239: the standard form of what follows.
        "forwarded"
            // Links and cookies are built from these: Rails, Spring, ASP.NET, Traefik.
            | "x-forwarded-port"
            | "x-forwarded-server"
            | "x-forwarded-prefix"
            | "x-forwarded-scheme"
            | "x-forwarded-ssl"
            // The client's address, for access rules and limits: nginx' realip, Tomcat, Rails,
            // Spring Cloud.
            | "x-real-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            // The same as CDNs send it: Akamai and Cloudflare, Cloudflare, Fastly.
            | "true-client-ip"
            | "cf-connecting-ip"
            | "fastly-client-ip"
            // The client's certificate: Envoy and the meshes made of it take whom it names for who
            // asks.
            | "x-forwarded-client-cert"
            // The same in this gateway's words.
            | "x-client-cert-subject"
            // Another host than the one that was routed by: IIS ARR and Symfony, Akamai and old PHP
            // applications.
            | "x-original-host"
            | "x-host"
            // Another path than the one that was routed by: IIS, Symfony, Zend.
            | "x-original-url"
            | "x-rewrite-url"
            // Another method than the one that was routed by: Microsoft, Google and Rails, IBM.
            | "x-http-method"
            | "x-http-method-override"
            | "x-method-override"
            // httpoxy, CVE-2016-5385: CGI makes HTTP_PROXY of it.
            | "proxy"
    )
}

/// Whether the gateway sends this in its own words.
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

/// Whether a field does not go to services. `trusted`: a proxy of ours sends it; `underscores`:
/// names may have them.
fn is_removed(name: &str, trusted: bool, underscores: bool) -> bool {
    let unknown = |name: &str| name.starts_with("x-forwarded-") && !trusted;
    if is_own(name) {
        return false;
    }
    if is_claim(name) || unknown(name) {
        return true;
    }
    // CGI and what has its rules (WSGI, Rack, PHP) read `_`, and some of them any other sign, as
    // `-`.
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

/// Whom the client's certificate names, on listeners that ask for one.
const CLIENT_SUBJECT: HeaderName = HeaderName::from_static("x-client-cert-subject");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

pub(super) fn overwrite(exchange: &mut Exchange<'_>, _: &Route) -> Result<(), Refusal> {
    let underscores = exchange.snapshot.config().trust.underscores_in_headers;
    let trusted = exchange.snapshot.trusts(exchange.facts.client.ip());
    let headers = &mut exchange.request.headers;
    // One look at each name there is costs less than a search for each name there could be.
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
            |_| Refusal::new(400, "The subject of the client certificate cannot be passed on.");
        headers.insert(CLIENT_SUBJECT, HeaderValue::from_str(subject).map_err(refused)?);
    }
    let refused = |_| Refusal::new(400, "The Host is not a valid one.");
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

/// A client must not remove what the gateway sends by calling it its connection's own, which RFC
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
    fn claims_are_removed_under_every_spelling_that_a_service_may_read_them_by() {
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
