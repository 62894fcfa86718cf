//! Reports and removes unknown keys, with a suggestion for each.

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::Collector;

/// Reports and removes every unknown key of a document.
pub(crate) fn reject(document: &mut DeTable<'_>, schema: &Value, problems: &mut Collector<'_>) {
    Walk { definitions: schema.get("$defs"), problems }.table(document, schema, "");
}

struct Walk<'w, 't> {
    definitions: Option<&'w Value>,
    problems: &'w mut Collector<'t>,
}

impl<'w> Walk<'w, '_> {
    fn table(&mut self, table: &mut DeTable<'_>, schema: &'w Value, section: &str) {
        let schema = self.resolve(schema);
        let Some(known) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        let required = |name: &str| {
            let names = schema.get("required").and_then(Value::as_array);
            names.is_some_and(|names| names.iter().any(|required| required == name))
        };
        let unknown: Vec<_> = table
            .keys()
            .filter(|key| !known.contains_key(key.get_ref().as_ref()))
            .cloned()
            .collect();
        for key in unknown {
            let value = table.remove(&key);
            let reason = complaint(key.get_ref(), section, known);
            self.problems.add_without_key(key.span().start, reason);
            // A misspelt required key is one problem, not two: keep its value under the correct
            // key.
            let meant = meant(key.get_ref(), known)
                .filter(|name| required(name) && !table.contains_key(*name));
            if let (Some(name), Some(value)) = (meant, value) {
                table.insert(Spanned::new(key.span(), name.to_owned().into()), value);
            }
        }
        for (key, value) in table.iter_mut() {
            if let Some(schema) = known.get(key.get_ref().as_ref()) {
                let name = if section.is_empty() {
                    key.get_ref().to_string()
                } else {
                    format!("{section}.{}", key.get_ref())
                };
                self.value(value, schema, &name);
            }
        }
    }

    fn value(&mut self, value: &mut Spanned<DeValue<'_>>, schema: &'w Value, section: &str) {
        let schema = self.resolve(schema);
        match value.get_mut() {
            DeValue::Table(table) => self.table(table, schema, section),
            DeValue::Array(array) => {
                if let Some(items) = schema.get("items") {
                    for item in array.iter_mut() {
                        self.value(item, items, section);
                    }
                }
            }
            _ => {}
        }
    }

    /// Follows `$ref` and the non-null branch of an optional value; our schema nests these at most
    /// twice.
    fn resolve(&self, schema: &'w Value) -> &'w Value {
        let branch = schema
            .get("anyOf")
            .and_then(Value::as_array)
            .and_then(|branches| branches.first())
            .unwrap_or(schema);
        let definition = branch
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| path.strip_prefix("#/$defs/"));
        definition.and_then(|name| self.definitions?.get(name)).unwrap_or(branch)
    }
}

/// The known key closest to an unknown one, if any is close.
fn meant<'k>(key: &str, known: &'k Map<String, Value>) -> Option<&'k str> {
    let (distance, name) =
        known.keys().map(|name| (strsim::damerau_levenshtein(key, name), name)).min()?;
    (distance <= 2.max(name.len() / 3)).then_some(name)
}

fn complaint(key: &str, section: &str, known: &Map<String, Value>) -> String {
    let place = if section.is_empty() { String::new() } else { format!(" in `{section}`") };
    match meant(key, known) {
        Some(name) => format!("unknown key `{key}`{place}; did you mean `{name}`?"),
        None => {
            let names: Vec<_> = known.keys().map(|name| format!("`{name}`")).collect();
            format!("unknown key `{key}`{place}; known keys: {}", names.join(", "))
        }
    }
}
