//! How long and how much: what an operator may change about runs and about the model provider.

use std::time::Duration;

/// Limits and intervals of runs.
#[derive(Debug, Clone)]
pub struct AssistantSettings {
    /// What the model is told first when the session has no system prompt of its own.
    pub system_prompt: Option<String>,
    /// Runs of one account at a time, on this node.
    pub runs_per_account: usize,
    /// The longest answer, in tokens: asked of the provider.
    pub max_output_tokens: u32,
    /// The longest answer, in bytes: enforced here, whatever the provider does.
    pub max_output_bytes: usize,
    /// How long a run stays open without a sign of life from its task.
    pub lease: Duration,
    /// How often its task gives one.
    pub renew_every: Duration,
    /// How often this node looks for runs whose lease has ended.
    pub reap_every: Duration,
    /// The shortest time between two writes to a run's log: deltas in between are joined.
    pub flush_every: Duration,
    /// How often a reader looks at the log by itself, should a wake-up be lost.
    pub look_every: Duration,
    /// The log of a finished run stays readable this long, as the store was told.
    pub run_ttl: Duration,
}

impl Default for AssistantSettings {
    fn default() -> Self {
        Self {
            system_prompt: None,
            runs_per_account: 4,
            max_output_tokens: 4_096,
            max_output_bytes: 256 * 1024,
            lease: Duration::from_secs(30),
            renew_every: Duration::from_secs(10),
            reap_every: Duration::from_secs(10),
            flush_every: Duration::from_millis(33),
            look_every: Duration::from_secs(5),
            run_ttl: Duration::from_secs(60 * 60),
        }
    }
}

/// Deadlines and retries towards the model provider.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// To open a connection.
    pub connect_deadline: Duration,
    /// From one attempt's request to its first token.
    pub first_token_deadline: Duration,
    /// Between two tokens.
    pub idle_deadline: Duration,
    /// Attempts after the first one. Never once a token was read.
    pub retries: u32,
    /// The pause before the first retry; doubles with each, with full jitter.
    pub backoff: Duration,
    /// The longest `Retry-After` worth waiting for.
    pub longest_pause: Duration,
}

impl Default for ProviderSettings {
    fn default() -> Self {
        Self {
            connect_deadline: Duration::from_secs(5),
            first_token_deadline: Duration::from_secs(60),
            idle_deadline: Duration::from_secs(30),
            retries: 3,
            backoff: Duration::from_millis(250),
            longest_pause: Duration::from_secs(10),
        }
    }
}
