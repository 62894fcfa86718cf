//! Who is asking: the credential in the cookie, and the anonymous account a new visitor gets.
//!
//! Only the credential's hash is kept. The cookie's prefix `__Host-` makes browsers insist on `Secure`, `Path=/` and
//! no `Domain` (RFC 6265bis section 4.1.3.2).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use backend_protocol::id::AccountId;
use backend_protocol::limits::COOKIE;
use backend_store::accounts::{Account, CredentialHash};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::error::ApiError;

/// 180 days: as long as an unused account is kept.
const MAX_AGE: u32 = 180 * 24 * 60 * 60;
/// Bytes of a credential.
const CREDENTIAL_BYTES: usize = 32;

/// 256 random bits in a browser's cookie.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    text: String,
}

impl Credential {
    fn random() -> Self {
        Self { text: URL_SAFE_NO_PAD.encode(rand::random::<[u8; CREDENTIAL_BYTES]>()) }
    }

    /// The credential among the cookies, if there is one of the right form.
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

    /// `Set-Cookie` that keeps it.
    pub(crate) fn keep(&self) -> HeaderValue {
        set_cookie(&self.text, MAX_AGE)
    }

    /// `Set-Cookie` that forgets whatever is there.
    pub(crate) fn forget() -> HeaderValue {
        set_cookie("", 0)
    }
}

fn set_cookie(value: &str, max_age: u32) -> HeaderValue {
    let cookie = format!("{COOKIE}={value}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite=Strict");
    HeaderValue::try_from(cookie).expect("base64url and digits can stand in a header")
}

/// The account of the request, and what opened it: there for every handler behind [`identify`].
#[derive(Clone)]
pub(crate) struct Visitor {
    pub(crate) account: Arc<Account>,
    pub(crate) credential: Credential,
}

/// Finds the visitor's account, or makes an anonymous one and sends its cookie along.
pub(crate) async fn identify(State(app): State<App>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let credential = Credential::from_cookies(request.headers());
    let known = match &credential {
        Some(credential) => app.store.account_by_credential(&credential.hash()).await?,
        None => None,
    };
    if let (Some(account), Some(credential)) = (known, credential) {
        request.extensions_mut().insert(Visitor { account: Arc::new(account), credential });
        return Ok(next.run(request).await);
    }
    let credential = Credential::random();
    let id = AccountId::parse(format!("{:032x}", rand::random::<u128>())).expect("hexadecimal digits make an id");
    app.store.create_account(&id, &credential.hash()).await?;
    let account = Arc::new(Account { id, username: None });
    let cookie = credential.keep();
    request.extensions_mut().insert(Visitor { account, credential });
    let mut response = next.run(request).await;
    response.headers_mut().entry(header::SET_COOKIE).or_insert(cookie);
    Ok(response)
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
        let found = Credential::from_cookies(&cookies(&format!("a=b; {COOKIE}={}; c", credential.text)));
        assert!(found == Some(credential));
        for other in ["", "a=b", "__Host-gatehouse=", "__Host-gatehouse=short", "__Host-gatehouse=<>"] {
            assert!(Credential::from_cookies(&cookies(other)).is_none(), "{other}");
        }
    }

    #[test]
    fn the_cookie_is_closed_to_scripts_and_other_sites() {
        let cookie = Credential::random().keep();
        let cookie = cookie.to_str().unwrap();
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict", "Max-Age=15552000"] {
            assert!(cookie.split("; ").any(|part| part == attribute), "{attribute} is missing in {cookie}");
        }
        assert!(!cookie.contains("Domain"));
    }
}
