//! Checks the request target: exactly one host, one spelling of the path, and a safe method.

use http::{Method, header};

use super::exchange::{Exchange, Refusal};
use crate::serving::router::{Host, normalise};

/// Maximum length of the target in bytes; browsers stay far below.
const TARGET_MAX: usize = 8 * 1024;

pub(super) fn check(exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
    let request = &mut *exchange.request;
    // TRACE would echo cookies (RFC 9110 section 9.3.8); CONNECT is for proxies.
    if matches!(request.method, Method::TRACE | Method::CONNECT) {
        return Err(Refusal::new(405, "This method is not accepted here."));
    }
    let target =
        request.uri.path_and_query().map(http::uri::PathAndQuery::as_str).unwrap_or_default();
    if target.len() > TARGET_MAX {
        return Err(Refusal::new(414, "The request target is too long."));
    }
    let mut hosts =
        request.headers.get_all(header::HOST).iter().filter_map(|host| host.to_str().ok());
    let authority = request.uri.authority().map(http::uri::Authority::as_str);
    let text = match (authority, hosts.next(), hosts.next()) {
        (None, Some(host), None) => host,
        (Some(authority), None, None) => authority,
        // RFC 9113 section 8.3.1: if both are present, they must agree.
        (Some(authority), Some(host), None) if authority.eq_ignore_ascii_case(host) => authority,
        _ => return Err(Refusal::new(400, "Exactly one Host is required.")),
    };
    let host = Host::parse(text).ok_or_else(|| Refusal::new(400, "The Host is not valid."))?;
    let (path, query) =
        target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let clean = normalise(path).map_err(|_| bad_path())?;
    let changed = *clean != *path;
    let clean = clean.into_owned();
    if changed {
        let target = query.map_or_else(|| clean.clone(), |query| format!("{clean}?{query}"));
        let mut parts = request.uri.clone().into_parts();
        parts.path_and_query = Some(target.parse().map_err(|_| bad_path())?);
        request.uri = http::Uri::from_parts(parts).map_err(|_| bad_path())?;
    }
    exchange.about.path = clean;
    exchange.about.host = Some(host);
    Ok(())
}

fn bad_path() -> Refusal {
    Refusal::new(400, "The path is not valid.")
}
