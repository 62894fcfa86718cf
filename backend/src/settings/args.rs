//! The command line of `backend`; `--help` documents each option.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser, ValueEnum};

use crate::listener::ListenAddress;

/// The services of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// HTTP: assistant, accounts, keys.
    Api,
    /// WebSocket: live chat.
    Live,
    /// Both.
    All,
}

impl Role {
    /// True when it serves `/api`.
    pub fn serves_api(self) -> bool {
        matches!(self, Self::Api | Self::All)
    }

    /// True when it serves `/ws`.
    pub fn serves_live(self) -> bool {
        matches!(self, Self::Live | Self::All)
    }
}

/// The services behind Gatehouse's gateway: assistant and live chat.
///
/// Every option can also be set by the environment variable shown. Secrets can also be read from a
/// file: NAME_FILE.
#[derive(Debug, Clone, Parser)]
#[command(name = "backend", version)]
pub struct Args {
    /// Services to run
    #[arg(long, env = "ROLE", value_enum, default_value = "all")]
    pub role: Role,
    /// Address to listen on: HOST:PORT or unix:/PATH; may be repeated
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8000", value_delimiter = ',')]
    pub listen: Vec<ListenAddress>,
    /// Address of metrics and health checks; never public
    #[arg(long, env = "ADMIN_ADDR", value_name = "HOST:PORT")]
    pub admin_addr: Option<SocketAddr>,
    /// Folder of the embedded store, used without Redis
    #[arg(long, env = "DATA_DIR", default_value = "./data", value_name = "FOLDER")]
    pub data_dir: PathBuf,
    /// New accounts per client address in a burst (IPv6: per /64 network)
    #[arg(long, env = "ACCOUNTS_PER_ADDRESS", default_value = "250", value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Accounts", value_name = "N")]
    pub accounts_per_address: u32,
    /// New accounts per client address and hour, once the burst is used up
    #[arg(long, env = "ACCOUNTS_PER_ADDRESS_HOURLY", default_value = "60", value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Accounts", value_name = "N")]
    pub accounts_per_address_hourly: u32,
    /// Interval at which a device replaces its encryption key
    #[arg(long, env = "ENCRYPTION_KEY_ROTATION", default_value = "7d", value_parser = duration, help_heading = "Private chat", value_name = "TIME")]
    pub encryption_key_rotation: Duration,
    /// Deadline of a drain for running answers and connections
    #[arg(long, env = "DRAIN", default_value = "25s", value_parser = duration, value_name = "TIME")]
    pub drain: Duration,

    /// API key of the model provider
    #[arg(
        long,
        env = "OPENAI_API_KEY",
        hide_env_values = true,
        help_heading = "Model provider",
        value_name = "KEY"
    )]
    pub openai_api_key: Option<String>,
    /// File with the API key
    #[arg(long, env = "OPENAI_API_KEY_FILE", help_heading = "Model provider", value_name = "FILE")]
    pub openai_api_key_file: Option<PathBuf>,
    /// Base URL of an OpenAI-compatible server, including /v1: Ollama, vLLM, llama.cpp …
    #[arg(long, env = "OPENAI_BASE_URL", help_heading = "Model provider", value_name = "URL")]
    pub openai_base_url: Option<String>,
    /// Models to choose from; the first one is the default [default with only an API key:
    /// gpt-4o-mini]
    #[arg(long, env = "OPENAI_MODEL", help_heading = "Model provider", value_name = "NAME,…")]
    pub openai_model: Option<String>,
    /// Azure OpenAI: endpoint, https://NAME.openai.azure.com
    #[arg(long, env = "OPENAI_ENDPOINT", help_heading = "Model provider", value_name = "URL")]
    pub openai_endpoint: Option<String>,
    /// Azure OpenAI: deployments to choose from [default: gpt-4o-mini]
    #[arg(long, env = "OPENAI_DEPLOYMENT", help_heading = "Model provider", value_name = "NAME,…")]
    pub openai_deployment: Option<String>,
    /// Azure OpenAI: API version [default: 2024-10-21]
    #[arg(long, env = "OPENAI_API_VERSION", help_heading = "Model provider", value_name = "DATE")]
    pub openai_api_version: Option<String>,
    /// Deadline for the first token of an answer
    #[arg(long, env = "MODEL_FIRST_TOKEN", default_value = "60s", value_parser = duration, help_heading = "Model provider", value_name = "TIME")]
    pub model_first_token: Duration,
    /// Deadline between two tokens
    #[arg(long, env = "MODEL_IDLE", default_value = "30s", value_parser = duration, help_heading = "Model provider", value_name = "TIME")]
    pub model_idle: Duration,
    /// List the demo model's faulty variants
    #[arg(long, env = "DEMO_FAULTS", value_parser = BoolishValueParser::new(), action = ArgAction::Set, default_value = "false", num_args = 0..=1, default_missing_value = "true", help_heading = "Model provider", value_name = "BOOL")]
    pub demo_faults: bool,
    /// Pause of the demo model before each token, in milliseconds
    #[arg(
        long,
        env = "DEMO_TOKEN_MS",
        default_value = "25",
        help_heading = "Model provider",
        value_name = "MS"
    )]
    pub demo_token_ms: u64,

    /// System prompt of chat sessions without their own
    #[arg(long, env = "SYSTEM_PROMPT", help_heading = "Assistant", value_name = "TEXT")]
    pub system_prompt: Option<String>,
    /// Messages kept per chat session
    #[arg(long, env = "HISTORY_MESSAGES", default_value = "20", value_parser = clap::value_parser!(u32).range(2..=1000), help_heading = "Assistant", value_name = "N")]
    pub history_messages: u32,
    /// Retention of a chat session after its last message
    #[arg(long, env = "SESSION_TTL", default_value = "24h", value_parser = duration, help_heading = "Assistant", value_name = "TIME")]
    pub session_ttl: Duration,
    /// Answers in progress per account
    #[arg(
        long,
        env = "RUNS_PER_ACCOUNT",
        default_value = "4",
        help_heading = "Assistant",
        value_name = "N"
    )]
    pub runs_per_account: usize,
    /// Longest answer, in tokens
    #[arg(long, env = "MAX_OUTPUT_TOKENS", default_value = "4096", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Assistant", value_name = "N")]
    pub max_output_tokens: u32,

    /// redis://, rediss://, redis-sentinel:// or redis-cluster:// URL; without Redis, the embedded
    /// store is used
    #[arg(
        long,
        env = "REDIS_URL",
        hide_env_values = true,
        help_heading = "Redis",
        value_name = "URL"
    )]
    pub redis_url: Option<String>,
    /// File with the URL
    #[arg(long, env = "REDIS_URL_FILE", help_heading = "Redis", value_name = "FILE")]
    pub redis_url_file: Option<PathBuf>,
    /// Host, instead of a URL
    #[arg(long, env = "REDIS_HOST", help_heading = "Redis", value_name = "HOST")]
    pub redis_host: Option<String>,
    /// Port, instead of a URL [default: 6380]
    #[arg(long, env = "REDIS_PORT", help_heading = "Redis", value_name = "PORT")]
    pub redis_port: Option<String>,
    /// Whether to use TLS, instead of a URL [default: true]
    #[arg(long, env = "REDIS_SSL", help_heading = "Redis", value_name = "BOOL")]
    pub redis_ssl: Option<String>,
    /// Password
    #[arg(
        long,
        env = "REDIS_PASSWORD",
        hide_env_values = true,
        help_heading = "Redis",
        value_name = "PASSWORD"
    )]
    pub redis_password: Option<String>,
    /// File with the password
    #[arg(long, env = "REDIS_PASSWORD_FILE", help_heading = "Redis", value_name = "FILE")]
    pub redis_password_file: Option<PathBuf>,
    /// CA certificates (PEM) for Redis, in addition to the system's
    #[arg(long, env = "REDIS_CA_FILE", help_heading = "Redis", value_name = "FILE")]
    pub redis_ca_file: Option<PathBuf>,
    /// Replicas that must have a message before it is acknowledged; not with a cluster
    #[arg(long, env = "REDIS_WAIT_REPLICAS", default_value = "0", value_parser = clap::value_parser!(u32).range(0..=16), help_heading = "Redis", value_name = "N")]
    pub redis_wait_replicas: u32,
}

/// `90s`, `15m`, `24h`, `7d`, or seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number with s, m, h or d, such as 24h".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_error| expected())?;
    let unit = match text.strip_prefix(digits).unwrap_or_default() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(expected()),
    };
    // At most ten years: added to the current time, it is still a valid time.
    let seconds = number.checked_mul(unit).filter(|seconds| (1..=315_360_000).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "expected 1 second to ten years".to_owned())
}
