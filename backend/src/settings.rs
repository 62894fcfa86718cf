//! Settings: read from arguments and environment (`args.rs`), then parsed and validated before
//! anything is opened or bound.

mod args;
mod unknown;
mod model;
mod redis;
mod secret;
mod error;

pub use args::{Args, Role};
pub use error::SettingsError;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use backend_ai::demo::DemoSettings;
use backend_ai::provider::Endpoint;
use backend_ai::settings::{AssistantSettings, ProviderSettings};
use backend_hub::HubSettings;
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
    /// Allowances of requests that need no account, per client address.
    pub budgets: BudgetSettings,
    /// Interval at which a device replaces its encryption key.
    pub key_rotation: Duration,
    /// Interval at which a live connection checks its credential.
    pub credential_check: Duration,
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

/// Allowances of requests that need no account, per client address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetSettings {
    /// Links to open.
    pub links: Budget,
    /// Requests with the code of a link that does not belong to the client.
    pub guesses: Budget,
    /// Attempts to recover an account.
    pub recoveries: Budget,
}

/// An allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Burst.
    pub burst: u32,
    /// Per hour, once the burst is used up.
    pub per_hour: u32,
}

impl Default for BudgetSettings {
    /// Enough for an office behind one address. A code is one of 10^8, and a link lives for ten
    /// minutes, so a hundred guesses find one of a hundred links with a probability of 0.01 %.
    fn default() -> Self {
        let budget = Budget { burst: 100, per_hour: 60 };
        Self { links: budget, guesses: budget, recoveries: budget }
    }
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
            budgets: BudgetSettings::default(),
            key_rotation: self.encryption_key_rotation,
            credential_check: HubSettings::default().credential,
            drain: self.drain,
        })
    }
}

#[cfg(test)]
mod tests;
