//! The JSON Schema of the configuration, for editors and for spelling suggestions.

use crate::outside::File;

/// The JSON Schema (draft 2020-12) of a configuration file.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}
