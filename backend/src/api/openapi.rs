//! The OpenAPI 3.1 document of `/api`, checked against a committed snapshot.

use axum::Json;
use utoipa::OpenApi;

use super::{chat, conversations, devices, identity, links, me, models, runs, sessions, users};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Gatehouse",
        description = "Chat with an AI assistant and with people. \
                       `POST /api/me` or a first `POST /api/chat` sets the cookie of an account; without it, requests get 401. Errors are problem details (RFC 9457) with stable types.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        chat::ask,
        runs::events,
        runs::stop,
        sessions::list,
        sessions::messages,
        sessions::info,
        sessions::patch,
        sessions::delete,
        models::list,
        me::show,
        me::claim,
        me::logout,
        users::show,
        devices::list,
        devices::register,
        devices::remove,
        identity::put,
        identity::append,
        identity::recover,
        links::open,
        links::post,
        links::messages,
        links::approve,
        links::claim,
        conversations::list,
        conversations::page,
    )
)]
struct Api;

/// Builds the document.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

/// `GET /api/openapi.json`
pub(crate) async fn show() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_openapi_document_matches_its_snapshot() {
        insta::assert_json_snapshot!("openapi", document());
    }
}
