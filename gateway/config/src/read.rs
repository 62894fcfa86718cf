//! Reads TOML text into the sections as written; whatever cannot be read is reported and left out.

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::outside::Sections;
use crate::problem::Collector;
use crate::{schema, unknown_keys};

/// The longest text read; beyond it something else than a configuration was named.
const LONGEST_TEXT: usize = 1 << 20;

/// Reads what can be read.
pub(crate) fn sections(text: &str, problems: &mut Collector<'_>) -> Sections {
    if text.len() > LONGEST_TEXT {
        problems.add(
            0..0,
            format!("expected at most {LONGEST_TEXT} bytes of configuration, got {}", text.len()),
        );
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
    unknown_keys::refuse(&mut document, &schema(), problems);

    let mut reader = Reader { document, problems };
    Sections {
        listener: reader.list("listener"),
        tls: reader.one("tls"),
        certificate: reader.list("certificate"),
        certificate_storage: reader.one_with_place("certificate_storage"),
        route: reader.list("route"),
        upstream: reader.list("upstream"),
        site: reader.list("site"),
        limits: reader.one("limits"),
        admin: reader.one("admin"),
        log: reader.one("log"),
        tracing: reader.one_with_place("tracing"),
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
        self.one_with_place(section).map(Spanned::into_inner)
    }

    fn one_with_place<T: DeserializeOwned>(&mut self, section: &str) -> Option<Spanned<T>> {
        let value = self.document.remove(section)?;
        self.read(section, value)
    }

    fn list<T: DeserializeOwned>(&mut self, section: &str) -> Vec<Spanned<T>> {
        let Some(value) = self.document.remove(section) else {
            return Vec::new();
        };
        let span = value.span();
        match value.into_inner() {
            DeValue::Array(items) => {
                items.into_iter().filter_map(|item| self.read(section, item)).collect()
            }
            _ => {
                self.problems.add(span, format!("expected a list: write `[[{section}]]`"));
                Vec::new()
            }
        }
    }

    fn read<T: DeserializeOwned>(
        &mut self,
        section: &str,
        value: Spanned<DeValue<'_>>,
    ) -> Option<Spanned<T>> {
        let span = value.span();
        match T::deserialize(ValueDeserializer::from(value)) {
            Ok(read) => Some(Spanned::new(span, read)),
            Err(error) => {
                self.problems.add(
                    error.span().unwrap_or(span),
                    format!("`{section}`: {}", one_line(error.message())),
                );
                None
            }
        }
    }
}

fn one_line(message: &str) -> String {
    message.trim().replace('\n', "; ")
}
