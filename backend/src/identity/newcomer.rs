//! Clients without an account, and the only code that creates one: as late as possible, after every
//! other check of the request has passed.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri};
use backend_protocol::id::AccountId;
use backend_store::accounts::{Account, NewAccount, Opening};
use backend_store::allowance::Allowance;
use backend_store::username::Username;

use super::client_network::ClientNetwork;
use super::credential::{Credential, Visitor};
use crate::app::App;
use crate::error::ApiError;
use crate::middleware::same_origin::may_write;

/// A request without an account.
#[derive(Clone)]
pub(crate) struct Newcomer {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    network: ClientNetwork,
}

impl Newcomer {
    pub(super) fn at(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            network: ClientNetwork::of(request.headers(), request.extensions()),
        }
    }

    /// The middleware has already checked this. An account created for another site's page would
    /// replace the client's own, so it is checked again here.
    fn check(&self) -> Result<(), ApiError> {
        may_write(&self.headers, &self.uri)?;
        if self.method == Method::POST { Ok(()) } else { Err(ApiError::unauthenticated()) }
    }

    /// Creates an anonymous account, with a username if one was requested. The response must set
    /// its cookie.
    pub(crate) async fn open(
        &self,
        app: &App,
        username: Option<&Username>,
    ) -> Result<Visitor, ApiError> {
        self.check()?;
        let credential = Credential::random();
        let id = AccountId::parse(format!("{:032x}", rand::random::<u128>()))
            .expect("hexadecimal digits make an id");
        let allowance = Allowance {
            place: self.network.name().to_owned(),
            burst: app.accounts.per_address,
            per_hour: app.accounts.per_address_hourly,
        };
        let (username, shown) =
            (username.cloned(), username.map(|username| username.display().to_owned()));
        let new = NewAccount {
            id: id.clone(),
            credential: credential.hash(),
            username,
            allowance: Some(allowance),
        };
        match app.store.open_account(&new).await? {
            Opening::Opened => {
                Ok(Visitor { account: Arc::new(Account { id, username: shown }), credential })
            }
            Opening::Taken => Err(ApiError::username_taken()),
            Opening::HeldBack => Err(ApiError::username_reserved()),
            Opening::OverAllowance(wait) => {
                let detail = "Too many new accounts come from your network. Try again later.";
                Err(ApiError::over_allowance(wait, detail))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn may_open(method: Method, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/api/me");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Newcomer::at(&request.body(Body::empty()).unwrap()).check().is_ok()
    }

    #[test]
    fn an_account_is_made_for_a_write_of_this_server_whatever_the_middleware_let_through() {
        assert!(may_open(Method::POST, &[]));
        assert!(may_open(
            Method::POST,
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")]
        ));
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
            assert!(!may_open(method.clone(), &[]), "{method}");
        }
        for foreign in [
            [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")],
            [("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors")],
            [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "navigate")],
            [("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
            [("origin", "https://evil.example"), ("host", "chat.example")],
        ] {
            assert!(!may_open(Method::POST, &foreign), "{foreign:?}");
        }
    }
}
