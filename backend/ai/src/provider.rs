//! The model provider: OpenAI, Azure OpenAI or any compatible server, all through async-openai and
//! one code path.
//!
//! ```text
//! request ──> attempt ──> endpoint.rs (URL, key) ──> http.rs (one request, its deadline, its error)
//!   └─ retry.rs: only before the first token        └─> answer.rs (pieces, idle deadline)
//! ```

mod endpoint;
mod wire;
mod http;
mod answer;
mod retry;
mod failure;

pub use answer::{Answer, Piece};
pub use endpoint::{Endpoint, SetupError};
pub use failure::{Failure, FailureKind};
pub use wire::{PromptMessage, PromptRole};

use async_openai::Client;
use backend_protocol::api::Model;
use tokio::time::timeout;

use crate::metrics::AssistantMetrics;
use crate::settings::ProviderSettings;
use endpoint::ClientConfig;
use wire::{Chunk, Completion};

/// A configured provider with its models.
pub struct Provider {
    models: Vec<(Model, Client<ClientConfig>)>,
    settings: ProviderSettings,
    metrics: AssistantMetrics,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.models()).finish()
    }
}

impl Provider {
    /// Creates clients for the endpoint's models; opens no connection.
    ///
    /// The process must have installed a rustls `CryptoProvider`.
    pub fn new(
        endpoint: &Endpoint,
        settings: ProviderSettings,
        metrics: AssistantMetrics,
    ) -> Result<Self, SetupError> {
        let http = http::client(endpoint, settings.connect_deadline)?;
        let models = endpoint
            .client_configs()?
            .into_iter()
            .map(|(model, config)| {
                let service = http::service(http.clone(), settings.first_token_deadline);
                (model, Client::build(http.clone(), config).with_http_service(service))
            })
            .collect();
        Ok(Self { models, settings, metrics })
    }

    /// The models to choose from; the first one is the default.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.iter().map(|(model, _)| model)
    }

    /// The model to use unless another one is chosen.
    pub fn default_model(&self) -> &Model {
        self.models().next().expect("an endpoint has at least one model")
    }

    /// Sends a request to a model and waits for its first token. Dropping the future or the answer
    /// cancels the request at the provider.
    pub async fn request(
        &self,
        model: &str,
        prompt: &[PromptMessage],
        max_tokens: u32,
    ) -> Result<Answer, Failure> {
        let Some((_, client)) = self.models.iter().find(|(known, _)| known.id == model) else {
            return Err(Failure::new(
                FailureKind::Misconfigured,
                format!("unknown model `{model}`"),
            ));
        };
        let completion = Completion::new(model, prompt, max_tokens);
        let mut attempt = 0;
        loop {
            let failure = match self.attempt(client, &completion).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let Some(pause) = retry::pause(&failure, attempt, &self.settings) else {
                return Err(failure);
            };
            tracing::warn!(model, attempt, pause_ms = pause.as_millis() as u64, %failure, "retrying the request to the model");
            self.metrics.retries.with_label_values(&[failure.kind.name()]).inc();
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        client: &Client<ClientConfig>,
        completion: &Completion<'_>,
    ) -> Result<Answer, Failure> {
        let first_token = async {
            let chunks = client
                .chat()
                .create_stream_byot::<_, Chunk>(completion)
                .await
                .map_err(Failure::from)?;
            Answer::begin(chunks, self.settings.idle_deadline).await
        };
        let deadline = self.settings.first_token_deadline;
        timeout(deadline, first_token)
            .await
            .unwrap_or_else(|_elapsed| Err(Failure::silent(deadline)))
    }
}
