//! The routes.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, patch, post, put};
use backend_protocol::problem::ProblemType;

use crate::api::{
    chat, conversations, devices, identity, links, me, models, openapi, runs, sessions, users,
};
use crate::app::App;
use crate::error::ApiError;
use crate::identity::identify;
use crate::middleware::deadline;

/// `/api`: most routes need an account; `identity.rs` defines which requests create one.
pub(crate) fn api(app: App) -> Router {
    let streams = Router::new()
        .route("/api/chat", post(chat::ask))
        .route("/api/runs/{id}/events", get(runs::events));
    let quick = Router::new()
        .route("/api/runs/{id}/stop", post(runs::stop))
        .route("/api/sessions", get(sessions::list))
        .route("/api/sessions/{id}", patch(sessions::patch).delete(sessions::delete))
        .route("/api/sessions/{id}/messages", get(sessions::messages))
        .route("/api/sessions/{id}/info", get(sessions::info))
        .route("/api/me", get(me::show).post(me::claim))
        .route("/api/logout", post(me::logout))
        .route("/api/users/{username}", get(users::show))
        .route("/api/accounts/{account}/devices", get(devices::list))
        .route("/api/devices/{device}", put(devices::register).merge(delete(devices::remove)))
        .route("/api/devices/log", post(identity::append))
        .route("/api/identity", put(identity::put))
        .route("/api/links/{code}/approval", post(links::approve))
        .route("/api/conversations", get(conversations::list))
        .route("/api/conversations/{id}/messages", get(conversations::page))
        // Streams last as long as the answer; other requests have a deadline.
        .route_layer(from_fn(deadline::limit));
    // The handlers identify the client: a link by its token, an account by its recovery token.
    let joining = Router::new()
        .route("/api/links", post(links::open))
        .route("/api/links/{code}/messages", get(links::messages).post(links::post))
        .route("/api/links/{code}/claim", post(links::claim))
        .route("/api/recovery", post(identity::recover))
        .route_layer(from_fn(deadline::limit));
    let anonymous = Router::new()
        .route("/api/models", get(models::list))
        .route("/api/openapi.json", get(openapi::show));
    streams
        .merge(quick)
        .route_layer(from_fn_with_state(app.clone(), identify))
        .merge(joining)
        .merge(anonymous)
        .with_state(app)
}

/// Responses to unknown paths and methods.
pub(crate) fn with_fallbacks(router: Router) -> Router {
    router
        .fallback(|| async { ApiError::new(ProblemType::NotFound, "No such path.") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                ProblemType::MethodNotAllowed,
                "The `Allow` header lists the methods of this path.",
            )
        })
}
