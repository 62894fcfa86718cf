//! Where the models are and how to be let in.

use std::sync::Arc;

use async_openai::config::{AzureConfig, Config, OpenAIConfig};
use backend_protocol::api::Model;
use reqwest::header::HeaderValue;

/// A model of the picker, with what reaches it.
pub(super) type Connection = Arc<dyn Config>;

/// Where the models are. Keys are held as given and never printed.
#[derive(Clone)]
pub enum Endpoint {
    /// OpenAI, or a server that speaks like it.
    Compatible {
        /// Up to and with `/v1`.
        base_url: String,
        /// Sent as a bearer token; many local servers need none.
        api_key: Option<String>,
        /// For the picker.
        models: Vec<String>,
        /// The built-in demo model, labelled as such.
        demo: bool,
    },
    /// Azure OpenAI: each deployment is a model of the picker.
    Azure {
        /// `https://NAME.openai.azure.com`.
        endpoint: String,
        /// Sent as `api-key`.
        api_key: String,
        /// Such as `2024-10-21`.
        api_version: String,
        /// For the picker.
        deployments: Vec<String>,
    },
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url()).finish_non_exhaustive()
    }
}

/// The provider cannot be used as it is set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Something that cannot stand in a header.
    #[error("the API key holds characters that cannot be sent in an HTTP header")]
    Key,
    /// Nothing to offer.
    #[error("no model is named: expected at least one")]
    NoModel,
    /// Not a URL.
    #[error("`{0}` is not an http or https URL")]
    Url(String),
    /// A fault of the program that uses this crate.
    #[error("the process has no rustls CryptoProvider: install one first")]
    NoCryptoProvider,
    /// The HTTP client could not be made.
    #[error("cannot prepare the HTTP client: {0}")]
    Http(String),
}

impl Endpoint {
    /// The address of the provider.
    pub fn url(&self) -> &str {
        match self {
            Self::Compatible { base_url, .. } => base_url.trim_end_matches('/'),
            Self::Azure { endpoint, .. } => endpoint.trim_end_matches('/'),
        }
    }

    pub(super) fn connections(&self) -> Result<Vec<(Model, Connection)>, SetupError> {
        let (models, demo, key) = match self {
            Self::Compatible { api_key, models, demo, .. } => {
                (models, *demo, api_key.as_deref().unwrap_or("none"))
            }
            Self::Azure { api_key, deployments, .. } => (deployments, false, api_key.as_str()),
        };
        // async-openai unwraps when it makes headers of these.
        if HeaderValue::from_str(key).is_err() {
            return Err(SetupError::Key);
        }
        if models.is_empty() {
            return Err(SetupError::NoModel);
        }
        Ok(models
            .iter()
            .map(|id| (Model { id: id.clone(), demo }, self.connection(id, key)))
            .collect())
    }

    fn connection(&self, model: &str, key: &str) -> Connection {
        match self {
            // Everything is set, so that nothing is taken from the environment behind the settings'
            // back.
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
