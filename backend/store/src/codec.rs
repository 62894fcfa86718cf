//! Encoding of stored values: JSON for values that are not searched, milliseconds for times, text
//! for ids.

use std::fmt::Display;
use std::time::Duration;

use backend_protocol::api::DeviceKeys;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Result, StoreError};

/// Encodes a value as JSON.
pub(crate) fn encode<T: Serialize>(place: &str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| corrupt(place, &error))
}

/// Decodes stored JSON; `place` is the table and column or key, for the operator.
pub(crate) fn decode<T: DeserializeOwned>(place: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| corrupt(place, &error))
}

/// Decodes stored device keys. Those of an earlier version are of generation 0, without signature:
/// the device replaces them when it registers again.
pub(crate) fn decode_keys(place: &str, text: &str) -> Result<DeviceKeys> {
    #[derive(Deserialize)]
    struct Kept {
        suite: String,
        encryption_key: String,
        signing_key: String,
        #[serde(default)]
        generation: u64,
        #[serde(default)]
        created_at: u64,
        #[serde(default)]
        signature: String,
    }
    let Kept { suite, encryption_key, signing_key, generation, created_at, signature } =
        decode(place, text)?;
    Ok(DeviceKeys { suite, encryption_key, signing_key, generation, created_at, signature })
}

/// Parses a stored id or another validated text.
pub(crate) fn parsed<T>(place: &str, text: String) -> Result<T>
where
    T: TryFrom<String>,
    T::Error: Display,
{
    T::try_from(text).map_err(|error| corrupt(place, &error))
}

/// The error for a stored value that cannot be parsed.
pub(crate) fn corrupt(place: &str, reason: &impl Display) -> StoreError {
    StoreError::Corrupt { place: place.to_owned(), reason: reason.to_string() }
}

/// Milliseconds since 1970, UTC.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// RFC 3339 in UTC, always with milliseconds, so that texts sort like times.
pub(crate) fn rfc3339(millis: i64) -> String {
    let clamped = millis.clamp(0, Timestamp::MAX.as_millisecond());
    let time = Timestamp::from_millisecond(clamped).expect("the time was clamped");
    format!("{time:.3}")
}

/// A duration in milliseconds, limited to a century.
pub(crate) fn millis(duration: Duration) -> i64 {
    const CENTURY: i64 = 100 * 366 * 24 * 60 * 60 * 1000;
    i64::try_from(duration.as_millis()).unwrap_or(CENTURY).min(CENTURY)
}
