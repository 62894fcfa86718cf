//! Requests whose response replaces the client's cookie with that of another account.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::client_network::ClientNetwork;
use crate::app::App;
use crate::error::ApiError;
use crate::middleware::same_origin::may_write;

/// A request of this server's page, or of no browser. The middleware has already checked this; a
/// cookie set for another site's page would replace the client's own, so it is checked again here.
pub(crate) struct FirstParty {
    pub(crate) network: ClientNetwork,
}

impl FromRequestParts<App> for FirstParty {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, ApiError> {
        may_write(&parts.headers, &parts.uri)?;
        Ok(Self { network: ClientNetwork::of(&parts.headers, &parts.extensions) })
    }
}
