//! The parties of a link: the new device with the link's token, which needs no account, and a
//! device of an account with its cookie.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use backend_protocol::id::AccountId;
use backend_store::links::{LinkCode, Party, TokenHash};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::client_network::{ClientNetwork, Counted};
use super::credential::Visitor;
use super::first_party::FirstParty;
use crate::app::App;
use crate::error::ApiError;

/// Length of a token in bytes.
const TOKEN_BYTES: usize = 32;

/// 256 random bits, as base64url. Opens one link for the new device.
pub(crate) struct LinkToken {
    text: String,
}

impl LinkToken {
    pub(crate) fn random() -> Self {
        Self { text: URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_BYTES]>()) }
    }

    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(&self.text).into())
    }

    /// The token for the new device.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// The token in `Authorization: Bearer` (RFC 6750 section 2.1); `None` without that header.
    fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
        let text = value.to_str().ok().and_then(|value| value.split_once(' '));
        let token = text.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        token.and_then(|(_, text)| Self::parse(text)).map(Some).ok_or_else(ApiError::no_link_token)
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == TOKEN_BYTES).then(|| Self { text: text.to_owned() })
    }
}

/// A party, as far as the request shows: whether the link is theirs, the store decides.
pub(crate) struct LinkParty {
    party: Party,
    network: ClientNetwork,
}

impl LinkParty {
    /// A device of this account.
    pub(crate) fn old(account: AccountId, network: ClientNetwork) -> Self {
        Self { party: Party::Old(account), network }
    }

    pub(crate) fn party(&self) -> &Party {
        &self.party
    }

    /// Counts the request as a guess unless the link is theirs, before anything is disclosed.
    pub(crate) async fn count(&self, app: &App, code: &LinkCode) -> Result<(), ApiError> {
        if app.store.is_party(code, &self.party).await? {
            return Ok(());
        }
        self.network.spend(app, Counted::Guess).await
    }
}

impl FromRequestParts<App> for LinkParty {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let network = ClientNetwork::of(&parts.headers, &parts.extensions);
        let party = match LinkToken::from_headers(&parts.headers)? {
            Some(token) => Party::New(token.hash()),
            None => Party::Old(Visitor::of(app, &parts.headers).await?.account.id.clone()),
        };
        Ok(Self { party, network })
    }
}

/// The new device of a link, in a request that sets its cookie.
pub(crate) struct NewDevice {
    pub(crate) token: TokenHash,
    party: LinkParty,
}

impl NewDevice {
    /// Like [`LinkParty::count`].
    pub(crate) async fn count(&self, app: &App, code: &LinkCode) -> Result<(), ApiError> {
        self.party.count(app, code).await
    }
}

impl FromRequestParts<App> for NewDevice {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let FirstParty { network } = FirstParty::from_request_parts(parts, app).await?;
        let token = LinkToken::from_headers(&parts.headers)?.ok_or_else(ApiError::no_link_token)?;
        let token = token.hash();
        Ok(Self { token, party: LinkParty { party: Party::New(token), network } })
    }
}
