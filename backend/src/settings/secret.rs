//! Secrets, from a variable or from the file that its `_FILE` sibling names.

use std::path::PathBuf;

use super::SettingsError;

/// The secret, if there is one. Empty values count as absent: that is how compose files leave
/// things out.
pub(super) fn read(
    name: &str,
    value: Option<&String>,
    file: Option<&PathBuf>,
) -> Result<Option<String>, SettingsError> {
    let value = given(value);
    let file = file.filter(|path| !path.as_os_str().is_empty());
    match (value, file) {
        (Some(_), Some(_)) => Err(SettingsError::Contradiction(format!(
            "{name} and {name}_FILE are both given: remove one"
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

/// A value that is not empty.
pub(super) fn given(value: Option<&String>) -> Option<&str> {
    value.map(|text| text.trim()).filter(|text| !text.is_empty())
}
