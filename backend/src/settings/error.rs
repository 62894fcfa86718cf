//! Errors of the settings.

use std::path::PathBuf;

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
