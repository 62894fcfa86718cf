//! Identity: the credential in the cookie, and the account it opens. Only a write creates an
//! anonymous account (`newcomer.rs`), within the allowance of the client's network
//! (`client_network.rs`).
//!
//! Only the credential's hash is stored. The cookie prefix `__Host-` makes browsers require
//! `Secure`, `Path=/` and no `Domain` (RFC 6265bis section 4.1.3.2).

mod newcomer;
mod place;

pub(crate) use newcomer::Newcomer;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use backend_protocol::limits::COOKIE;
use backend_protocol::problem::{Problem, ProblemType};
use backend_store::accounts::{Access, Account, CredentialHash};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::error::ApiError;

/// 180 days, the retention of an unused account.
const MAX_AGE: u32 = 180 * 24 * 60 * 60;
/// Length of a credential in bytes.
const CREDENTIAL_BYTES: usize = 32;

/// 256 random bits in a browser's cookie, as base64url.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    text: String,
}

impl Credential {
    pub(crate) fn random() -> Self {
        Self { text: URL_SAFE_NO_PAD.encode(rand::random::<[u8; CREDENTIAL_BYTES]>()) }
    }

    /// The first valid credential among the cookies.
    pub(crate) fn from_cookies(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(name, _)| *name == COOKIE)
            .find_map(|(_, value)| Self::parse(value))
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == CREDENTIAL_BYTES).then(|| Self { text: text.to_owned() })
    }

    pub(crate) fn hash(&self) -> CredentialHash {
        CredentialHash(Sha256::digest(&self.text).into())
    }

    /// `Set-Cookie` that stores the credential.
    pub(crate) fn keep(&self) -> HeaderValue {
        set_cookie(&self.text, MAX_AGE)
    }

    /// `Set-Cookie` that clears the credential.
    pub(crate) fn forget() -> HeaderValue {
        set_cookie("", 0)
    }
}

fn set_cookie(value: &str, max_age: u32) -> HeaderValue {
    let cookie =
        format!("{COOKIE}={value}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite=Strict");
    HeaderValue::try_from(cookie).expect("base64url and digits are valid in a header")
}

/// The account of a request and its credential; available to every handler behind [`identify`].
#[derive(Clone)]
pub(crate) struct Visitor {
    pub(crate) account: Arc<Account>,
    pub(crate) credential: Credential,
}

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
const DOORS: [(Method, &str); 2] = [(Method::POST, "/api/me"), (Method::POST, "/api/chat")];
/// The only request allowed with the credential of a removed device.
const WAY_OUT: (Method, &str) = (Method::POST, "/api/logout");

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
    let (opens, leaves) = {
        let is = |(method, path): &(Method, &str)| {
            request.method() == method && request.uri().path() == *path
        };
        (DOORS.iter().any(is), is(&WAY_OUT))
    };
    let caller = match (access, credential) {
        (Access::Account(account), Some(credential)) => {
            Caller::Visitor(Visitor { account: Arc::new(account), credential })
        }
        (Access::Removed, Some(credential)) if leaves => Caller::Removed(credential),
        (Access::Removed, _) => return Err(removed().into()),
        (Access::Unknown | Access::Account(_), _) if opens => {
            Caller::Newcomer(Box::new(Newcomer::at(&request)))
        }
        (Access::Unknown | Access::Account(_), _) => return Err(unauthenticated()),
    };
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// The error of a request without an account.
pub(crate) fn unauthenticated() -> ApiError {
    ApiError::new(
        ProblemType::Unauthenticated,
        "This request has no account: create one with POST /api/me.",
    )
}

/// The error of a request with the credential of a removed device.
pub(crate) fn removed() -> Problem {
    let detail = "This device was removed from its account. POST /api/logout clears its cookie.";
    Problem::new(ProblemType::DeviceRemoved).detail(detail)
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        match parts.extensions.get::<Caller>() {
            Some(Caller::Visitor(visitor)) => Ok(visitor.clone()),
            _ => Err(unauthenticated()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(unauthenticated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(text).unwrap())])
    }

    #[test]
    fn the_credential_is_found_among_other_cookies() {
        let credential = Credential::random();
        let found =
            Credential::from_cookies(&cookies(&format!("a=b; {COOKIE}={}; c", credential.text)));
        assert!(found == Some(credential));
        for other in
            ["", "a=b", "__Host-gatehouse=", "__Host-gatehouse=short", "__Host-gatehouse=<>"]
        {
            assert!(Credential::from_cookies(&cookies(other)).is_none(), "{other}");
        }
    }

    #[test]
    fn the_cookie_is_closed_to_scripts_and_other_sites() {
        let cookie = Credential::random().keep();
        let cookie = cookie.to_str().unwrap();
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict", "Max-Age=15552000"] {
            assert!(
                cookie.split("; ").any(|part| part == attribute),
                "{attribute} is missing in {cookie}"
            );
        }
        assert!(!cookie.contains("Domain"));
    }
}
