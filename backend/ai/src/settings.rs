//! Settings of runs and of the model provider.

use std::time::Duration;

/// Limits and intervals of runs.
#[derive(Debug, Clone)]
pub struct AssistantSettings {
    /// The system prompt of sessions without their own.
    pub system_prompt: Option<String>,
    /// Concurrent runs of one account on this node.
    pub runs_per_account: usize,
    /// Token limit of an answer, sent to the provider.
    pub max_output_tokens: u32,
    /// Byte limit of an answer, enforced here.
    pub max_output_bytes: usize,
    /// Lease of a run; it is renewed by the run's task. A run of a dead node ends within
    /// `lease + reap_every`.
    pub lease: Duration,
    /// How long a run waits for a store that is unavailable.
    pub longest_outage: Duration,
    /// Interval between renewals.
    pub renew_every: Duration,
    /// Interval between searches for expired leases.
    pub reap_every: Duration,
    /// Minimum time between two writes to a run's log; deltas in between are merged.
    pub flush_every: Duration,
    /// Interval between polls of a log by its readers, in case a wake-up was lost.
    pub poll_every: Duration,
    /// Time a finished run's log is kept; equals the store's retention.
    pub run_ttl: Duration,
}

impl Default for AssistantSettings {
    fn default() -> Self {
        Self {
            system_prompt: None,
            runs_per_account: 4,
            max_output_tokens: 4_096,
            max_output_bytes: 256 * 1024,
            lease: Duration::from_secs(9),
            longest_outage: Duration::from_secs(10 * 60),
            renew_every: Duration::from_secs(3),
            reap_every: Duration::from_secs(3),
            flush_every: Duration::from_millis(33),
            poll_every: Duration::from_secs(5),
            run_ttl: Duration::from_secs(60 * 60),
        }
    }
}

/// Deadlines and retries of requests to the model provider.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Deadline for opening a connection.
    pub connect_deadline: Duration,
    /// Deadline for the first token of one attempt.
    pub first_token_deadline: Duration,
    /// Deadline between two tokens.
    pub idle_deadline: Duration,
    /// Retries after the first attempt; none after the first token.
    pub retries: u32,
    /// Backoff before the first retry; doubles with each, with full jitter.
    pub backoff: Duration,
    /// The longest `Retry-After` to wait for.
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
