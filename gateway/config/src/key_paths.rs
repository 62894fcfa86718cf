//! Paths of keys by their position in the text, such as `upstream.health_check.interval`.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Maximum depth of an indexed table: more than the schema has, and a bound on the recursion.
const DEEPEST: usize = 4;

/// The position and path of every value of a document, outer values before inner ones.
#[derive(Default)]
pub(crate) struct KeyPaths(Vec<(Range<usize>, String)>);

impl KeyPaths {
    pub(crate) fn of(document: &DeTable<'_>) -> Self {
        let mut paths = Self::default();
        paths.add_table(document, "", 0);
        paths
    }

    /// The path of the innermost value at a byte offset.
    pub(crate) fn at(&self, offset: usize) -> Option<&str> {
        let innermost = self.0.iter().rev().find(|(span, _)| span.contains(&offset));
        innermost.map(|(_, path)| path.as_str())
    }

    fn add_table(&mut self, table: &DeTable<'_>, parent: &str, depth: usize) {
        if depth == DEEPEST {
            return;
        }
        for (key, value) in table {
            let key = key.get_ref();
            let path = if parent.is_empty() { key.to_string() } else { format!("{parent}.{key}") };
            self.add_value(value, path, depth);
        }
    }

    fn add_value(&mut self, value: &Spanned<DeValue<'_>>, path: String, depth: usize) {
        self.0.push((value.span(), path.clone()));
        match value.get_ref() {
            DeValue::Table(table) => self.add_table(table, &path, depth + 1),
            DeValue::Array(items) if depth < DEEPEST => {
                for item in items {
                    self.add_value(item, path.clone(), depth + 1);
                }
            }
            _ => {}
        }
    }
}
