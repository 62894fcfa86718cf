//! Provider endpoints and their credentials.

use std::sync::Arc;

use async_openai::config::{AzureConfig, Config, OpenAIConfig};
use backend_protocol::api::Model;
use reqwest::header::HeaderValue;

/// The client configuration of one model.
pub(super) type ClientConfig = Arc<dyn Config>;

/// Where the models are. API keys are never printed.
#[derive(Clone)]
pub enum Endpoint {
    /// OpenAI, or a compatible server.
    Compatible {
        /// Including `/v1`.
        base_url: String,
        /// Sent as a bearer token; many local servers need none.
        api_key: Option<String>,
        /// The models to choose from.
        models: Vec<String>,
        /// True for the built-in demo model.
        demo: bool,
    },
    /// Azure OpenAI: each deployment is a model.
    Azure {
        /// `https://NAME.openai.azure.com`.
        endpoint: String,
        /// Sent as `api-key`.
        api_key: String,
        /// Such as `2024-10-21`.
        api_version: String,
        /// The deployments to choose from.
        deployments: Vec<String>,
    },
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url()).finish_non_exhaustive()
    }
}

/// Why the provider cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The key is not a valid header value.
    #[error("the API key has characters that cannot be sent in an HTTP header")]
    Key,
    /// No models are configured.
    #[error("no model is configured: expected at least one")]
    NoModel,
    /// Not an HTTP URL.
    #[error("expected an http or https URL, found `{0}`")]
    Url(String),
    /// A bug in the program that uses this crate.
    #[error("the process has no rustls CryptoProvider: install one first")]
    NoCryptoProvider,
    /// The HTTP client cannot be created.
    #[error("cannot create the HTTP client: {0}")]
    Http(String),
}

impl Endpoint {
    /// The URL of the provider.
    pub fn url(&self) -> &str {
        match self {
            Self::Compatible { base_url, .. } => base_url.trim_end_matches('/'),
            Self::Azure { endpoint, .. } => endpoint.trim_end_matches('/'),
        }
    }

    pub(super) fn client_configs(&self) -> Result<Vec<(Model, ClientConfig)>, SetupError> {
        let (models, demo, key) = match self {
            Self::Compatible { api_key, models, demo, .. } => {
                (models, *demo, api_key.as_deref().unwrap_or("none"))
            }
            Self::Azure { api_key, deployments, .. } => (deployments, false, api_key.as_str()),
        };
        // async-openai panics on invalid header values.
        if HeaderValue::from_str(key).is_err() {
            return Err(SetupError::Key);
        }
        if models.is_empty() {
            return Err(SetupError::NoModel);
        }
        Ok(models
            .iter()
            .map(|id| (Model { id: id.clone(), demo }, self.client_config(id, key)))
            .collect())
    }

    fn client_config(&self, model: &str, key: &str) -> ClientConfig {
        match self {
            // Sets every field, so that async-openai reads none from the environment.
            Self::Compatible { .. } => Arc::new(
                OpenAIConfig::new()
                    .with_api_base(self.url())
                    .with_api_key(key)
                    .with_org_id("")
                    .with_project_id(""),
            ),
            Self::Azure { api_version, .. } => Arc::new(
                AzureConfig::new()
                    .with_api_base(self.url())
                    .with_api_key(key)
                    .with_api_version(api_version)
                    .with_deployment_id(model),
            ),
        }
    }
}
