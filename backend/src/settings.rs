//! Settings: read from arguments and environment (`args.rs`), then parsed and validated before
//! anything is opened or bound.

mod args;
mod model;
mod redis;
mod secret;
mod unknown;

pub use args::{Args, Role};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use backend_ai::demo::DemoSettings;
use backend_ai::provider::Endpoint;
use backend_ai::settings::{AssistantSettings, ProviderSettings};
use backend_store::Retention;
use backend_store::redis::RedisSettings;
use clap::Parser;

/// Settings of the services.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of the embedded store.
    pub data_dir: PathBuf,
    /// The address of metrics and health; not served when absent.
    pub admin: Option<SocketAddr>,
    /// Redis; the embedded store when absent.
    pub redis: Option<RedisSettings>,
    /// The model provider; the demo model when absent.
    pub model: Option<Endpoint>,
    /// Settings of the demo model.
    pub demo: DemoSettings,
    /// Deadlines and retries of the provider.
    pub provider: ProviderSettings,
    /// Settings of runs.
    pub assistant: AssistantSettings,
    /// How long and how much is kept.
    pub retention: Retention,
    /// Allowance of new accounts per client address.
    pub accounts: AccountSettings,
    /// Deadline of a drain.
    pub drain: Duration,
}

/// Allowance of new accounts per client address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountSettings {
    /// Burst.
    pub per_address: u32,
    /// Per hour, once the burst is used up.
    pub per_address_hourly: u32,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not a setting of this program, probably misspelt.
    #[error("{name} is not a setting of this program{}", suggestion(.nearest.as_deref()))]
    Unknown {
        /// The name in the environment.
        name: String,
        /// The most similar setting.
        nearest: Option<String>,
    },
    /// Two settings that exclude each other, or one that requires another.
    #[error("{0}")]
    Contradiction(String),
    /// An invalid value.
    #[error("{name} must be {expected}, not `{found}`")]
    Value {
        /// The setting.
        name: &'static str,
        /// The expected form.
        expected: &'static str,
        /// The value found; never a secret.
        found: String,
    },
    /// The file of a secret cannot be read.
    #[error("{name}: cannot read {path}: {error}")]
    File {
        /// The setting.
        name: String,
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// An argument error of clap, or its help.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

impl Settings {
    /// The settings from the process environment, without arguments.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_args(&Args::try_parse_from(["backend"])?)
    }

    /// The settings from these arguments and the process environment.
    pub fn from_args(args: &Args) -> Result<Self, SettingsError> {
        unknown::refuse(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
        args.to_settings()
    }
}

impl Args {
    /// The settings from these arguments alone.
    pub fn to_settings(&self) -> Result<Settings, SettingsError> {
        let retention = Retention {
            history_messages: self.history_messages,
            session_ttl: self.session_ttl,
            ..Retention::default()
        };
        Ok(Settings {
            data_dir: self.data_dir.clone(),
            admin: self.admin_addr,
            redis: redis::address(self)?,
            model: model::endpoint(self)?,
            demo: DemoSettings {
                token_delay: Duration::from_millis(self.demo_token_ms),
                list_faulty: self.demo_faults,
                ..DemoSettings::default()
            },
            provider: ProviderSettings {
                first_token_deadline: self.model_first_token,
                idle_deadline: self.model_idle,
                ..ProviderSettings::default()
            },
            assistant: AssistantSettings {
                system_prompt: self
                    .system_prompt
                    .clone()
                    .filter(|prompt| !prompt.trim().is_empty()),
                runs_per_account: self.runs_per_account,
                max_output_tokens: self.max_output_tokens,
                run_ttl: retention.run_ttl,
                ..AssistantSettings::default()
            },
            retention,
            accounts: AccountSettings {
                per_address: self.accounts_per_address,
                per_address_hourly: self.accounts_per_address_hourly,
            },
            drain: self.drain,
        })
    }
}

#[cfg(test)]
mod tests;
