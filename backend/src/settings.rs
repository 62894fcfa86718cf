//! Settings: read from arguments and environment (`args.rs`), and turned here into what the program
//! means by them. Everything is checked before anything is opened or bound.

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

/// What the services need to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the embedded store is kept.
    pub data_dir: PathBuf,
    /// Metrics and health are served here; nowhere when absent.
    pub admin: Option<SocketAddr>,
    /// Where everything is kept; the embedded store when absent.
    pub redis: Option<RedisSettings>,
    /// Where answers come from; the demo model when absent.
    pub model: Option<Endpoint>,
    /// How the demo model behaves.
    pub demo: DemoSettings,
    /// Deadlines towards the provider.
    pub provider: ProviderSettings,
    /// Limits of runs.
    pub assistant: AssistantSettings,
    /// How long and how much is kept.
    pub retention: Retention,
    /// How many accounts one client address may make.
    pub accounts: AccountSettings,
    /// How long a stop may take.
    pub drain: Duration,
}

/// How many accounts one client address may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountSettings {
    /// At once.
    pub per_address: u32,
    /// In an hour, once those are used up.
    pub per_address_hourly: u32,
}

/// The settings cannot be used. The operator has to change them.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not a setting of this program: probably misspelt.
    #[error("{name} is not a setting of this program{}", suggestion(.nearest.as_deref()))]
    Unknown {
        /// As it stands in the environment.
        name: String,
        /// The setting that looks most like it.
        nearest: Option<String>,
    },
    /// Two settings that exclude each other, or one that lacks another.
    #[error("{0}")]
    Contradiction(String),
    /// A value that is not of the expected form.
    #[error("{name} must be {expected}, not `{found}`")]
    Value {
        /// The setting.
        name: &'static str,
        /// What it should look like.
        expected: &'static str,
        /// What was found; never a secret.
        found: String,
    },
    /// A secret's file.
    #[error("{name}: cannot read {path}: {error}")]
    File {
        /// The setting.
        name: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// What clap refused, or its help.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

impl Settings {
    /// The settings of this process's environment, without arguments.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_args(&Args::try_parse_from(["backend"])?)
    }

    /// The settings of these arguments, and of this process's environment.
    pub fn from_args(args: &Args) -> Result<Self, SettingsError> {
        unknown::refuse(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
        args.to_settings()
    }
}

impl Args {
    /// What these arguments mean. Looks at nothing else.
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
