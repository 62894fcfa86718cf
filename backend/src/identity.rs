//! Identity: the credential in the cookie, and the account it opens. Only a write creates an
//! anonymous account (`newcomer.rs`), within the allowance of the client's network
//! (`client_network.rs`). The parties of a link are in `link_party.rs`.
//!
//! Only the credential's hash is stored. The cookie prefix `__Host-` makes browsers require
//! `Secure`, `Path=/` and no `Domain` (RFC 6265bis section 4.1.3.2).

mod credential;
mod client_network;
mod newcomer;
mod first_party;
mod link_party;

pub(crate) use client_network::{ClientNetwork, Counted};
pub(crate) use credential::{Credential, Visitor};
pub(crate) use first_party::FirstParty;
pub(crate) use link_party::{LinkParty, LinkToken, NewDevice};
pub(crate) use newcomer::Newcomer;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use backend_store::accounts::Access;

use crate::app::App;
use crate::error::ApiError;

/// The client of a request, as identified by [`identify`].
#[derive(Clone)]
pub(crate) enum Caller {
    /// A client with an account.
    Visitor(Visitor),
    /// A client without an account, in a request that may create one.
    Newcomer(Box<Newcomer>),
    /// A client with the credential of a removed device, in a logout.
    Removed(Credential),
}

/// The only requests that may create an account.
const MAY_CREATE_ACCOUNT: [(Method, &str); 2] =
    [(Method::POST, "/api/me"), (Method::POST, "/api/chat")];
/// The only request allowed with the credential of a removed device.
const LOGOUT: (Method, &str) = (Method::POST, "/api/logout");

/// Finds the client's account. Without one, only requests that may create an account pass, as
/// [`Newcomer`].
pub(crate) async fn identify(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let credential = Credential::from_cookies(request.headers());
    let access = match &credential {
        Some(credential) => app.store.access(&credential.hash()).await?,
        None => Access::Unknown,
    };
    let (may_create, is_logout) = {
        let is = |(method, path): &(Method, &str)| {
            request.method() == method && request.uri().path() == *path
        };
        (MAY_CREATE_ACCOUNT.iter().any(is), is(&LOGOUT))
    };
    let caller = match (access, credential) {
        (Access::Account(account), Some(credential)) => {
            Caller::Visitor(Visitor { account: Arc::new(account), credential })
        }
        (Access::Removed, Some(credential)) if is_logout => Caller::Removed(credential),
        (Access::Removed, _) => return Err(ApiError::device_removed()),
        (Access::Unknown | Access::Account(_), _) if may_create => {
            Caller::Newcomer(Box::new(Newcomer::at(&request)))
        }
        (Access::Unknown | Access::Account(_), _) => return Err(ApiError::unauthenticated()),
    };
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        match parts.extensions.get::<Caller>() {
            Some(Caller::Visitor(visitor)) => Ok(visitor.clone()),
            _ => Err(ApiError::unauthenticated()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(ApiError::unauthenticated)
    }
}
