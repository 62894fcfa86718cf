//! Where the configuration comes from, and everything that can be wrong with it before it takes
//! effect.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use gateway_config::{Config, Problem, Problems};
use serde::Serialize;

use crate::control::bind::BindError;
use crate::control::certificates::CertificateError;
use crate::control::upgrade::UpgradeError;
use crate::serving::snapshot::BuildError;

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub enum ConfigSource {
    /// A file, watched for changes.
    File(PathBuf),
    /// Text that a program made.
    Text {
        /// The TOML.
        text: String,
        /// What to call it in errors.
        origin: String,
        /// The directory that relative paths are below.
        base: PathBuf,
    },
}

impl ConfigSource {
    /// Reads and validates.
    pub fn load(&self) -> Result<Config, ConfigError> {
        match self {
            Self::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| ConfigError::Unreadable { path: path.clone(), error })?;
                let base = path.parent().unwrap_or(Path::new(""));
                Config::parse(&text, &path.display().to_string(), base)
                    .map_err(ConfigError::Invalid)
            }
            Self::Text { text, origin, base } => {
                Config::parse(text, origin, base).map_err(ConfigError::Invalid)
            }
        }
    }
}

/// Why a configuration cannot take effect.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The text does not hold together.
    Invalid(Problems),
    /// Certificates cannot be used.
    Certificates(Vec<CertificateError>),
    /// The storage of ACME certificates cannot be opened.
    CertificateStorage(String),
    /// Something cannot be built from it.
    Unservable(BuildError),
    /// An address cannot be bound.
    Bind(BindError),
    /// The running gateway cannot be taken over, or this one could not be.
    Upgrade(UpgradeError),
    /// The gateway is stopping: nothing takes effect any more.
    Stopping,
}

/// One thing to mend, as reports show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file, when one is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// What is wrong.
    pub reason: String,
}

impl ConfigError {
    /// Everything to mend; never empty.
    pub fn faults(&self) -> Vec<Fault> {
        let plain = |reason: String| Fault { file: None, line: None, column: None, reason };
        match self {
            Self::Unreadable { path, error } => {
                vec![Fault {
                    file: Some(path.display().to_string()),
                    ..plain(format!("cannot be read: {error}"))
                }]
            }
            Self::Invalid(Problems { origin, problems }) => {
                let fault = |Problem { line, column, reason }: &Problem| Fault {
                    file: Some(origin.clone()),
                    line: Some(*line),
                    column: Some(*column),
                    reason: reason.clone(),
                };
                problems.iter().map(fault).collect()
            }
            Self::Certificates(errors) => {
                errors.iter().map(|error| plain(error.to_string())).collect()
            }
            Self::CertificateStorage(reason) => {
                vec![plain(format!("`[certificate_storage]`: {reason}"))]
            }
            Self::Unservable(error) => vec![plain(error.to_string())],
            Self::Bind(error) => vec![plain(error.to_string())],
            Self::Upgrade(error) => vec![plain(error.to_string())],
            Self::Stopping => {
                vec![plain("the gateway is stopping: nothing takes effect any more".to_owned())]
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
        }
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{line}:{column}:")?;
        }
        if self.file.is_some() {
            f.write_str(" ")?;
        }
        f.write_str(&self.reason)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<_> = self.faults().iter().map(ToString::to_string).collect();
        f.write_str(&faults.join("\n"))
    }
}

impl std::error::Error for ConfigError {}
