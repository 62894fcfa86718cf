//! Azure OpenAI: the same client, with each deployment's path, the key and the API version.

#![expect(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, in shared test code too"
)]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use backend_ai::metrics::AssistantMetrics;
use backend_ai::provider::{
    Endpoint, FailureKind, Piece, PromptMessage, PromptRole, Provider, SetupError,
};
use backend_ai::settings::ProviderSettings;
use backend_protocol::api::Usage;
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A stream as Azure sends it: filter results first and without a choice, the usage last.
const STREAM: &str = concat!(
    "data: {\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":{}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"},\"content_filter_results\":{}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4}}\n\n",
    "data: [DONE]\n\n",
);

/// Azure's error when its content filter blocks a request.
const FILTERED: &str = r#"{"error":{"message":"The response was filtered …","type":null,"param":"prompt",
    "code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#;

#[derive(Debug, Default)]
struct Seen {
    requests: Vec<(String, String, String, Value)>,
}

async fn azure() -> (String, Arc<Mutex<Seen>>) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let record = Arc::clone(&seen);
    let answer = async move |Path(deployment): Path<String>,
                             RawQuery(query): RawQuery,
                             request: Request|
                -> Response {
        let key = request
            .headers()
            .get("api-key")
            .and_then(|key| key.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let filtered = deployment == "strict";
        record.lock().unwrap().requests.push((deployment, query.unwrap_or_default(), key, body));
        match filtered {
            true => (StatusCode::BAD_REQUEST, FILTERED).into_response(),
            false => {
                ([(header::CONTENT_TYPE, "text/event-stream")], Body::from(STREAM)).into_response()
            }
        }
    };
    let router =
        Router::new().route("/openai/deployments/{deployment}/chat/completions", post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, seen)
}

fn provider(endpoint: &Endpoint) -> Result<Provider, SetupError> {
    Provider::new(
        endpoint,
        ProviderSettings::default(),
        AssistantMetrics::new(&Registry::new()).unwrap(),
    )
}

fn endpoint(url: String, key: &str) -> Endpoint {
    Endpoint::Azure {
        endpoint: url,
        api_key: key.into(),
        api_version: "2024-10-21".into(),
        deployments: vec!["gpt-4o-mini".into(), "strict".into()],
    }
}

#[tokio::test]
async fn each_deployment_is_requested_at_its_path_with_key_and_version() {
    let (url, seen) = azure().await;
    let provider = provider(&endpoint(url, "azure-key")).unwrap();
    let prompt = [PromptMessage { role: PromptRole::User, content: "Hi".into() }];
    let mut answer = provider.request("gpt-4o-mini", &prompt, 100).await.unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = answer.next().await {
        pieces.push(piece.unwrap());
    }
    let usage = Usage { prompt_tokens: 3, completion_tokens: 1 };
    assert_eq!(pieces, [Piece::Text("Hello".into()), Piece::Usage(usage)]);

    let seen = seen.lock().unwrap();
    let (deployment, query, key, body) = seen.requests.first().unwrap();
    assert_eq!(
        (deployment.as_str(), query.as_str(), key.as_str()),
        ("gpt-4o-mini", "api-version=2024-10-21", "azure-key")
    );
    assert_eq!(body["messages"], json!([{"role": "user", "content": "Hi"}]));
    assert_eq!(
        (&body["stream"], &body["stream_options"]),
        (&json!(true), &json!({"include_usage": true}))
    );
}

#[tokio::test]
async fn azures_content_filter_is_reported_and_not_retried() {
    let (url, seen) = azure().await;
    let provider = provider(&endpoint(url, "azure-key")).unwrap();
    let prompt = [PromptMessage { role: PromptRole::User, content: "Hi".into() }];
    let failure = provider.request("strict", &prompt, 100).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::ContentFiltered);
    assert_eq!(seen.lock().unwrap().requests.len(), 1);
}

#[tokio::test]
async fn an_invalid_key_or_url_is_rejected_at_startup() {
    let (url, _seen) = azure().await;
    assert!(matches!(provider(&endpoint(url, "a\nb")), Err(SetupError::Key)));
    assert!(matches!(provider(&endpoint("not a url".into(), "key")), Err(SetupError::Url(_))));
}
