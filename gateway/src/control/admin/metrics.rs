//! `/metrics` in the Prometheus text format: the gateway's registry and additional ones.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::{Encoder, TextEncoder};

use crate::control::handle::Handle;

pub(super) async fn serve(State(gateway): State<Handle>) -> Response {
    let others = gateway.registries().iter();
    let families: Vec<_> = [gateway.metrics().registry()]
        .into_iter()
        .chain(others)
        .flat_map(prometheus::Registry::gather)
        .collect();
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&families, &mut text) {
        Ok(()) => {
            ([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
