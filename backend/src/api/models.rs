//! The available models.

use axum::Json;
use axum::extract::State;
use backend_protocol::api::ModelList;

use crate::app::App;

/// List the models; the first one is the default
#[utoipa::path(get, path = "/api/models", tag = "assistant", responses((status = 200, body = ModelList)))]
pub(crate) async fn list(State(app): State<App>) -> Json<ModelList> {
    Json(ModelList { models: app.assistant.models() })
}
