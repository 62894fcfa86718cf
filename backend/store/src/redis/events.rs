//! Entries of streams with ids of the form `<position>-0`.

use redis::{FromRedisValue, ParsingError, Value};
use serde::de::DeserializeOwned;

use crate::codec::{corrupt, decode};
use crate::error::Result;

/// A stream entry: its position, and its fields as alternating names and values.
pub(super) struct Entry {
    pub(super) position: u64,
    fields: Vec<String>,
}

impl Entry {
    /// The value of a field.
    pub(super) fn field(&self, place: &str, name: &str) -> Result<&str> {
        let found = self.fields.chunks_exact(2).find_map(|pair| match pair {
            [field, value] if field == name => Some(value.as_str()),
            _ => None,
        });
        found.ok_or_else(|| {
            corrupt(place, &format!("expected the field `{name}` in entry {}", self.position))
        })
    }
}

impl FromRedisValue for Entry {
    fn from_redis_value(value: Value) -> std::result::Result<Self, ParsingError> {
        let (id, fields) = <(String, Vec<String>)>::from_redis_value(value)?;
        let position = id.split_once('-').and_then(|(position, _)| position.parse().ok());
        let position =
            position.ok_or_else(|| ParsingError::from("a stream id is not `<position>-0`"))?;
        Ok(Self { position, fields })
    }
}

/// Positions and events (field `e`).
pub(super) fn events<T: DeserializeOwned>(place: &str, entries: &[Entry]) -> Result<Vec<(u64, T)>> {
    entries
        .iter()
        .map(|entry| Ok((entry.position, decode(place, entry.field(place, "e")?)?)))
        .collect()
}

/// A position limited to what Lua represents exactly.
pub(super) fn position(after: u64) -> u64 {
    after.min(1 << 52)
}
