//! Checks of base64url values (RFC 4648 section 5, without padding).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::ApiError;

/// Decodes a value of exactly `N` bytes.
pub(super) fn exactly<const N: usize>(field: &str, text: &str) -> Result<[u8; N], ApiError> {
    let bytes = decode(field, text, &format!("{N} bytes"))?;
    let found = bytes.len();
    bytes
        .try_into()
        .map_err(|_bytes| ApiError::invalid(format!("{field} must be {N} bytes, found {found}")))
}

/// Checks a value of 1 to `most` bytes.
pub(super) fn at_most(field: &str, text: &str, most: usize) -> Result<(), ApiError> {
    let expected = format!("1 to {most} bytes");
    let found = decode(field, text, &expected)?.len();
    if (1..=most).contains(&found) {
        return Ok(());
    }
    Err(ApiError::invalid(format!("{field} must be {expected}, found {found}")))
}

fn decode(field: &str, text: &str, expected: &str) -> Result<Vec<u8>, ApiError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|error| {
        ApiError::invalid(format!(
            "{field} must be {expected} in base64url without padding: {error}"
        ))
    })
}
