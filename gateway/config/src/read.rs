//! Reads TOML text into sections. Sections that cannot be read are reported and skipped.

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::key_paths::KeyPaths;
use crate::outside::{Sections, schema};
use crate::problem::Collector;
use crate::unknown_keys;

/// Maximum length of the text; a longer file is not a configuration.
const LONGEST_TEXT: usize = 1 << 20;

/// Reads all sections.
pub(crate) fn sections(text: &str, problems: &mut Collector<'_>) -> Sections {
    if text.len() > LONGEST_TEXT {
        let reason =
            format!("expected a file of at most {LONGEST_TEXT} bytes, found {}", text.len());
        problems.add_without_key(0, reason);
        return Sections::default();
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            problems.add(error.span().unwrap_or_default(), one_line(error.message()));
        }
        return Sections::default();
    }
    let mut document = document.into_inner();
    unknown_keys::reject(&mut document, &schema(), problems);
    problems.set_key_paths(KeyPaths::of(&document));

    let mut reader = Reader { document, problems };
    Sections {
        listener: reader.list("listener"),
        tls: reader.one("tls"),
        certificate: reader.list("certificate"),
        certificate_storage: reader.one_with_span("certificate_storage"),
        route: reader.list("route"),
        upstream: reader.list("upstream"),
        site: reader.list("site"),
        limits: reader.one("limits"),
        admin: reader.one("admin"),
        log: reader.one("log"),
        tracing: reader.one_with_span("tracing"),
        drain: reader.one("drain"),
        upgrade: reader.one("upgrade"),
        trust: reader.one("trust"),
    }
}

struct Reader<'r, 't> {
    document: DeTable<'r>,
    problems: &'r mut Collector<'t>,
}

impl Reader<'_, '_> {
    fn one<T: DeserializeOwned>(&mut self, section: &str) -> Option<T> {
        self.one_with_span(section).map(Spanned::into_inner)
    }

    fn one_with_span<T: DeserializeOwned>(&mut self, section: &str) -> Option<Spanned<T>> {
        let value = self.document.remove(section)?;
        self.read(value)
    }

    fn list<T: DeserializeOwned>(&mut self, section: &str) -> Vec<Spanned<T>> {
        let Some(value) = self.document.remove(section) else {
            return Vec::new();
        };
        let span = value.span();
        match value.into_inner() {
            DeValue::Array(items) => items.into_iter().filter_map(|item| self.read(item)).collect(),
            _ => {
                self.problems
                    .add(span, format!("expected a list of tables: write `[[{section}]]`"));
                Vec::new()
            }
        }
    }

    fn read<T: DeserializeOwned>(&mut self, value: Spanned<DeValue<'_>>) -> Option<Spanned<T>> {
        let span = value.span();
        match T::deserialize(ValueDeserializer::from(value)) {
            Ok(read) => Some(Spanned::new(span, read)),
            Err(error) => {
                self.problems.add(error.span().unwrap_or(span), reason(error.message()));
                None
            }
        }
    }
}

fn one_line(message: &str) -> String {
    message.trim().replace('\n', "; ")
}

/// The message of a deserializer in the words of the other problems.
fn reason(message: &str) -> String {
    let message = one_line(message);
    if let Some(key) = message.strip_prefix("missing field ") {
        return format!("required key {key} is missing");
    }
    let unexpected =
        ["unknown variant ", "invalid type: "].iter().find_map(|start| message.strip_prefix(start));
    match unexpected.and_then(|rest| rest.split_once(", expected ")) {
        // Serde names the Rust type that a table is read into.
        Some((found, expected)) if expected.starts_with("struct ") => {
            format!("expected a table, found {found}")
        }
        Some((found, expected)) => format!("expected {expected}, found {found}"),
        None => message,
    }
}
