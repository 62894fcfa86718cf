//! Requests and responses of the provider. Parsing is lenient: compatible servers omit fields that
//! OpenAI requires.

use serde::{Deserialize, Serialize};

/// One message of the prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromptMessage {
    /// The author.
    pub role: PromptRole,
    /// The text.
    pub content: String,
}

/// The author of a prompt message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptRole {
    /// The system prompt.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// `POST /chat/completions`.
#[derive(Debug, Serialize)]
pub(super) struct Completion<'a> {
    model: &'a str,
    messages: &'a [PromptMessage],
    stream: bool,
    stream_options: StreamOptions,
    max_completion_tokens: u32,
}

#[derive(Debug, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl<'a> Completion<'a> {
    pub(super) fn new(
        model: &'a str,
        messages: &'a [PromptMessage],
        max_completion_tokens: u32,
    ) -> Self {
        let stream_options = StreamOptions { include_usage: true };
        Self { model, messages, stream: true, stream_options, max_completion_tokens }
    }
}

/// One server-sent event of the answer.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Chunk {
    #[serde(default)]
    pub(super) choices: Vec<Choice>,
    #[serde(default)]
    pub(super) usage: Option<TokenUsage>,
    #[serde(default)]
    pub(super) error: Option<ProviderError>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    pub(super) delta: Option<ChoiceDelta>,
    #[serde(default)]
    pub(super) finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ChoiceDelta {
    #[serde(default)]
    pub(super) content: Option<String>,
    /// DeepSeek and vLLM send `reasoning_content`, others `reasoning`.
    #[serde(default, alias = "reasoning")]
    pub(super) reasoning_content: Option<String>,
    #[serde(default)]
    pub(super) refusal: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct TokenUsage {
    #[serde(default)]
    pub(super) prompt_tokens: u64,
    #[serde(default)]
    pub(super) completion_tokens: u64,
}

/// The body of an error response: `{"error": {…}}`, or `{"error": "…"}` from Ollama.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) error: ProviderError,
}

/// OpenAI's error object, or only its text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ProviderError {
    Object {
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        r#type: Option<String>,
        /// OpenAI sends a word, some servers a number.
        #[serde(default)]
        code: Option<serde_json::Value>,
    },
    Text(String),
}

impl ProviderError {
    pub(super) fn message(&self) -> &str {
        match self {
            Self::Object { message, .. } => message.as_deref().unwrap_or("no reason given"),
            Self::Text(text) => text,
        }
    }

    /// True when the error's code or type is one of these words.
    pub(super) fn is(&self, words: &[&str]) -> bool {
        let Self::Object { r#type, code, .. } = self else { return false };
        let code = code.as_ref().and_then(serde_json::Value::as_str);
        [r#type.as_deref(), code].into_iter().flatten().any(|found| words.contains(&found))
    }
}
