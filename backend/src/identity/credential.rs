//! The credential in a browser's cookie, and the account it opens.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use backend_protocol::limits::COOKIE;
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
        for value in headers.get_all(header::COOKIE) {
            let Ok(cookies) = value.to_str() else { continue };
            for cookie in cookies.split(';') {
                if let Some((COOKIE, value)) = cookie.trim().split_once('=')
                    && let Some(credential) = Self::parse(value)
                {
                    return Some(credential);
                }
            }
        }
        None
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == CREDENTIAL_BYTES).then(|| Self { text: text.to_owned() })
    }

    pub(crate) fn hash(&self) -> CredentialHash {
        CredentialHash(Sha256::digest(&self.text).into())
    }

    /// `Set-Cookie` that stores the credential.
    pub(crate) fn set_cookie(&self) -> HeaderValue {
        cookie_header(&self.text, MAX_AGE)
    }

    /// `Set-Cookie` that clears the credential.
    pub(crate) fn clear_cookie() -> HeaderValue {
        cookie_header("", 0)
    }
}

fn cookie_header(value: &str, max_age: u32) -> HeaderValue {
    let cookie =
        format!("{COOKIE}={value}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite=Strict");
    HeaderValue::try_from(cookie).expect("base64url and digits are valid in a header")
}

/// The account of a request and its credential; available to every handler behind
/// [`identify`](super::identify).
#[derive(Clone)]
pub(crate) struct Visitor {
    pub(crate) account: Arc<Account>,
    pub(crate) credential: Credential,
}

impl Visitor {
    /// The account of the request's cookie.
    pub(super) async fn of(app: &App, headers: &HeaderMap) -> Result<Self, ApiError> {
        let credential = Credential::from_cookies(headers).ok_or_else(ApiError::unauthenticated)?;
        match app.store.access(&credential.hash()).await? {
            Access::Account(account) => Ok(Self { account: Arc::new(account), credential }),
            Access::Removed => Err(ApiError::device_removed()),
            Access::Unknown => Err(ApiError::unauthenticated()),
        }
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
        let cookie = Credential::random().set_cookie();
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
