//! Secrets, from a variable or from the file named by its `_FILE` variable.

use std::path::PathBuf;

use super::error::SettingsError;

/// The secret, if set. Empty values count as absent: compose files set them for omitted values.
pub(super) fn read(
    name: &str,
    value: Option<&String>,
    file: Option<&PathBuf>,
) -> Result<Option<String>, SettingsError> {
    let value = given(value);
    let file = file.filter(|path| !path.as_os_str().is_empty());
    match (value, file) {
        (Some(_), Some(_)) => Err(SettingsError::Contradiction(format!(
            "{name} and {name}_FILE are both set: remove one"
        ))),
        (Some(value), None) => Ok(Some(value.to_owned())),
        (None, Some(path)) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())
                .filter(|text| !text.is_empty())),
            Err(error) => {
                Err(SettingsError::File { name: format!("{name}_FILE"), path: path.clone(), error })
            }
        },
        (None, None) => Ok(None),
    }
}

/// The value, unless it is empty.
pub(super) fn given(value: Option<&String>) -> Option<&str> {
    value.map(|text| text.trim()).filter(|text| !text.is_empty())
}
