//! `/ws`: checks of the WebSocket request, and the socket as a transport of the hub.
//!
//! ```text
//! GET /ws ──> live/origin.rs ──> identity (cookie → account) ──> subprotocol ──> live/socket.rs ──> hub
//! ```
//!
//! A rejected request gets problem+json; after the handshake, errors are close codes.

mod origin;
mod socket;
#[cfg(all(test, target_os = "linux"))]
mod memory;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use backend_hub::Hub;
use backend_protocol::limits::{MAX_FRAME, SUBPROTOCOL};
use backend_protocol::problem::{Problem, ProblemType};
use backend_store::accounts::Access;
use backend_store::{Store, StoreError};

use crate::error::ApiError;
use crate::identity::Credential;

/// Bytes of tungstenite's buffers per connection; its defaults are 128 KiB each.
const READ_BUFFER: usize = 4 * 1024;

/// Frames are written immediately: the hub's queue is the buffer.
const WRITE_BUFFER: usize = 0;

/// Room for one frame that the peer does not accept at once, and its header.
const MAX_WRITE_BUFFER: usize = 2 * MAX_FRAME;

/// State of `/ws`.
#[derive(Clone)]
pub struct LiveState {
    /// Runs the connections.
    pub hub: Hub,
    /// Finds the account of a credential.
    pub store: Arc<dyn Store>,
    /// Origins accepted besides the request's host, such as `https://chat.example`.
    pub allowed_origins: Arc<[String]>,
}

/// `GET /ws`.
pub fn router(state: LiveState) -> Router {
    Router::new().route("/ws", get(handshake)).with_state(state)
}

async fn handshake(
    State(state): State<LiveState>,
    headers: HeaderMap,
    request: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let request = request
        .map_err(|rejection| ApiError::new(ProblemType::BadRequest, rejection.body_text()))?;
    if !origin::is_own(&headers, &state.allowed_origins) {
        let detail = "Origin must match the requested host";
        return Err(ApiError::new(ProblemType::CrossOrigin, detail));
    }
    let credential =
        Credential::from_cookies(&headers).ok_or_else(ApiError::unauthenticated)?.hash();
    let account = match state.store.access(&credential).await.map_err(unavailable)? {
        Access::Account(account) => account,
        Access::Removed => return Err(ApiError::device_removed()),
        Access::Unknown => return Err(ApiError::unauthenticated()),
    };
    let handshake = request.protocols([SUBPROTOCOL]);
    if handshake.selected_protocol().is_none() {
        let detail = format!("Sec-WebSocket-Protocol must offer {SUBPROTOCOL}");
        return Err(ApiError::new(ProblemType::BadRequest, detail));
    }
    let hub = state.hub;
    Ok(handshake
        .max_message_size(MAX_FRAME)
        .max_frame_size(MAX_FRAME)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        // The hub counts the connection and waits for it when draining.
        .on_upgrade(move |socket| async move {
            hub.run(account.id, credential, socket::Socket::new(socket)).await
        }))
}

fn unavailable(error: StoreError) -> ApiError {
    let retry_after = match &error {
        StoreError::Unavailable { retry_after, .. } => {
            u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX).max(1)
        }
        StoreError::Corrupt { .. } | StoreError::Setup(_) => 60,
    };
    tracing::warn!(%error, "WebSocket request rejected");
    Problem::new(ProblemType::StoreUnavailable).retry_after(retry_after).into()
}
