//! Entries of streams whose ids are `<position>-0`.

use redis::{FromRedisValue, ParsingError, Value};
use serde::de::DeserializeOwned;

use crate::codec::{corrupt, decode};
use crate::error::Result;

/// One entry: its position, and its fields one after the other.
pub(super) struct Entry {
    pub(super) position: u64,
    fields: Vec<String>,
}

impl Entry {
    /// The value of a field.
    pub(super) fn field(&self, place: &str, name: &str) -> Result<&str> {
        let pairs = self.fields.chunks_exact(2);
        let found = pairs.filter_map(|pair| match pair {
            [field, value] if field == name => Some(value.as_str()),
            _ => None,
        });
        let mut found = found;
        found.next().ok_or_else(|| {
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

/// A position as Lua and stream ids can hold it exactly.
pub(super) fn position(after: u64) -> u64 {
    after.min(1 << 52)
}
