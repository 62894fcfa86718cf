//! The client network that requests without an account are counted against: an IPv4 address, or an
//! IPv6 /64, the size given to one household or host (RFC 6177 section 2).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use backend_store::allowance::Allowance;

use crate::app::App;
use crate::error::ApiError;
use crate::settings::Budget;

/// Clients of a Unix socket without a gateway.
const LOCAL: &str = "local";

/// What a network is counted for, except new accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// A link to open.
    Link,
    /// A request for a link that does not belong to the client.
    Guess,
    /// An attempt to recover an account.
    Recovery,
}

/// The network of a request.
#[derive(Clone)]
pub(crate) struct ClientNetwork(String);

impl ClientNetwork {
    pub(super) fn of(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        Self(of(headers, peer))
    }

    /// The place of its allowance of new accounts.
    pub(super) fn name(&self) -> &str {
        &self.0
    }

    /// Counts the request, before its outcome is known. An error when the allowance is used up.
    pub(crate) async fn spend(&self, app: &App, counted: Counted) -> Result<(), ApiError> {
        let (kind, Budget { burst, per_hour }, detail) = match counted {
            Counted::Link => ("link", app.budgets.links, "Too many links were opened"),
            Counted::Guess => ("guess", app.budgets.guesses, "Too many link codes were tried"),
            Counted::Recovery => {
                ("recovery", app.budgets.recoveries, "Too many recovery codes were tried")
            }
        };
        // A network's name has no space, so the places of different kinds differ.
        let allowance = Allowance { place: format!("{kind} {}", self.0), burst, per_hour };
        match app.store.spend(&allowance).await? {
            None => Ok(()),
            Some(wait) => {
                let detail = format!("{detail} from your network. Try again later.");
                Err(ApiError::over_allowance(wait, detail))
            }
        }
    }
}

impl FromRequestParts<App> for ClientNetwork {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, ApiError> {
        Ok(Self::of(&parts.headers, &parts.extensions))
    }
}

/// The gateway is the only peer and overwrites `X-Forwarded-For`, so the header names the client.
/// Without a gateway the peer is the client.
fn of(headers: &HeaderMap, peer: Option<IpAddr>) -> String {
    let forwarded =
        headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
    // The nearest hop's entry is the last one.
    let client = forwarded
        .and_then(|list| list.rsplit(',').next())
        .and_then(|last| last.trim().parse().ok());
    match client.or(peer).map(|address: IpAddr| address.to_canonical()) {
        None => LOCAL.to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let prefix = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
            format!("{prefix}/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn network(forwarded: &[&'static str], peer: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(
                HeaderName::from_static("x-forwarded-for"),
                HeaderValue::from_static(value),
            );
        }
        of(&headers, peer.map(|peer| peer.parse().unwrap()))
    }

    #[test]
    fn the_gateway_names_the_client() {
        assert_eq!(network(&["192.0.2.7"], Some("10.0.0.1")), "192.0.2.7");
        assert_eq!(network(&["2001:db8:1:2:3:4:5:6"], None), "2001:db8:1:2::/64");
        assert_eq!(network(&["::ffff:192.0.2.7"], None), "192.0.2.7");
        assert_eq!(
            network(&["198.51.100.1, 192.0.2.7"], None),
            "192.0.2.7",
            "a client's own claim counts for nothing"
        );
        assert_eq!(network(&["198.51.100.1", "192.0.2.7"], None), "192.0.2.7");
    }

    #[test]
    fn without_a_gateway_the_peer_is_the_client() {
        assert_eq!(network(&[], Some("192.0.2.8")), "192.0.2.8");
        assert_eq!(network(&["unknown"], Some("2001:db8::1")), "2001:db8::/64");
        assert_eq!(network(&[], None), "local");
    }
}
