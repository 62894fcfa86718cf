//! Looking up people.

use axum::Json;
use axum::extract::State;
use backend_protocol::api::User;
use backend_protocol::problem::Problem;
use backend_store::username::Username;

use crate::app::App;
use crate::error::ApiError;
use crate::extract::PathId;
use crate::identity::Visitor;

/// Look up a username
#[utoipa::path(
    get, path = "/api/users/{username}", tag = "people",
    params(("username" = String, Path, description = "The username, or one that looks the same")),
    responses(
        (status = 200, body = User),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    _: Visitor,
    PathId(name): PathId<String>,
) -> Result<Json<User>, ApiError> {
    let not_found = || ApiError::not_found("username");
    // A text that is not a valid username belongs to no account.
    let username = Username::parse(&name).map_err(|_invalid| not_found())?;
    let account = app.store.account_by_username(&username).await?.ok_or_else(not_found)?;
    let username = account.username.unwrap_or_else(|| username.display().to_owned());
    Ok(Json(User { account_id: account.id, username }))
}
