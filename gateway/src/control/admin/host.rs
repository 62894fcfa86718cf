//! Checks the host of admin requests. With DNS rebinding, a web page points its own name at this
//! address: the browser treats the request as same-origin and sends no `Origin`, but `Host` still
//! contains the page's name.

use std::net::Ipv4Addr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gateway_config::HostPattern;

use crate::control::handle::Handle;
use crate::serving::router::Host;

/// Why a request is rejected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Refused {
    /// RFC 9112 section 3.2.
    #[error("expected exactly one Host, found {0}")]
    Count(usize),
    #[error("expected a Host such as `127.0.0.1:9090`, found a malformed one")]
    Malformed,
    #[error(
        "the host `{0}` is not accepted: use the IP address or `localhost`, or add the name to `hosts` in `[admin]`"
    )]
    Foreign(String),
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::Count(_) | Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Foreign(_) => StatusCode::MISDIRECTED_REQUEST,
        }
    }
}

/// Accepts requests for an IP address, `localhost`, or a configured name.
pub(super) async fn check(State(gateway): State<Handle>, request: Request, next: Next) -> Response {
    let config = gateway.config();
    let known = config.admin.as_ref().map(|admin| &*admin.hosts).unwrap_or_default();
    let fields: Vec<&HeaderValue> = request.headers().get_all(header::HOST).iter().collect();
    match judge(request.version(), request.uri().authority(), &fields, known) {
        Ok(()) => next.run(request).await,
        Err(refused) => {
            let hardening = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
            (refused.status(), [hardening], format!("{refused}\n")).into_response()
        }
    }
}

fn judge(
    version: Version,
    authority: Option<&Authority>,
    fields: &[&HeaderValue],
    known: &[HostPattern],
) -> Result<(), Refused> {
    // HTTP/1.0 has no Host, and browsers do not use it.
    if fields.len() > 1 || (fields.is_empty() && version > Version::HTTP_10) {
        return Err(Refused::Count(fields.len()));
    }
    let named = fields.iter().map(|field| field.to_str().map_err(|_| Refused::Malformed));
    // The host of an absolute target takes precedence over the field (RFC 9112 section 3.2.2); both
    // are checked.
    for text in named.chain(authority.map(|authority| Ok(authority.as_str()))) {
        let host = Host::parse(text?).ok_or(Refused::Malformed)?;
        if !is_ours(host.as_str(), known) {
            return Err(Refused::Foreign(host.as_str().to_owned()));
        }
    }
    Ok(())
}

/// An IP address cannot be rebound: a page with this host was loaded from it.
fn is_ours(host: &str, known: &[HostPattern]) -> bool {
    let is_address = host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok();
    is_address || host == "localhost" || known.iter().any(|pattern| pattern.matches(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(version: Version, authority: Option<&'static str>, fields: &[&'static str]) -> u16 {
        let known =
            ["gateway.example".parse().expect("a host"), "*.svc.example".parse().expect("a host")];
        let fields: Vec<HeaderValue> =
            fields.iter().map(|field| HeaderValue::from_static(field)).collect();
        let authority = authority.map(Authority::from_static);
        let judged = judge(version, authority.as_ref(), &fields.iter().collect::<Vec<_>>(), &known);
        judged.map_or_else(|refused| refused.status().as_u16(), |()| 200)
    }

    #[test]
    fn only_addresses_localhost_and_configured_names_are_accepted() {
        for (host, status) in [
            ("127.0.0.1:9090", 200),
            ("10.1.2.3", 200),
            ("[::1]:9090", 200),
            ("[fe80::1]", 200),
            ("localhost", 200),
            ("LocalHost.:9090", 200),
            ("gateway.example:9090", 200),
            ("Gateway.Example", 200),
            ("a.svc.example", 200),
            ("svc.example", 421),
            ("evil.example:9090", 421),
            ("localhost.evil.example", 421),
            ("evil.example.localhost", 421),
            ("127.0.0.1.evil.example", 421),
            ("127.1", 421),
            ("2130706433", 421),
            ("xgateway.example", 421),
            ("", 400),
            ("a b", 400),
            ("[::1", 400),
            ("user@127.0.0.1", 400),
            ("127.0.0.1:x", 400),
        ] {
            assert_eq!(asked(Version::HTTP_11, None, &[host]), status, "{host:?}");
        }
    }

    #[test]
    fn exactly_one_host_is_required_and_an_absolute_target_is_checked_too() {
        assert_eq!(asked(Version::HTTP_11, None, &[]), 400);
        assert_eq!(asked(Version::HTTP_11, Some("127.0.0.1"), &[]), 400);
        assert_eq!(asked(Version::HTTP_11, None, &["127.0.0.1", "127.0.0.1"]), 400);
        assert_eq!(asked(Version::HTTP_10, None, &[]), 200);
        assert_eq!(asked(Version::HTTP_10, None, &["evil.example"]), 421);
        assert_eq!(asked(Version::HTTP_11, Some("127.0.0.1:9090"), &["localhost"]), 200);
        assert_eq!(asked(Version::HTTP_11, Some("evil.example"), &["localhost"]), 421);
        assert_eq!(asked(Version::HTTP_11, Some("localhost"), &["evil.example"]), 421);
    }
}
