//! The reference in `docs/gateway.md` is generated from the JSON Schema and the examples in
//! `everything.toml`. `UPDATE_GENERATED=1 cargo test -p gateway-config --test reference`
//! regenerates it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::Value;

const BEGIN: &str = "<!-- made from the JSON Schema: begin -->\n";
const END: &str = "<!-- made from the JSON Schema: end -->";

/// The sections, in the order of the reference.
const SECTIONS: [&str; 14] = [
    "listener",
    "tls",
    "certificate",
    "certificate_storage",
    "route",
    "upstream",
    "site",
    "limits",
    "admin",
    "log",
    "tracing",
    "drain",
    "upgrade",
    "trust",
];

/// Examples of string keys that exclude a key of `everything.toml`.
const ALTERNATIVES: [(&str, &str); 5] = [
    ("certificate_storage.directory", "/var/lib/gatehouse/acme"),
    ("certificate_storage.redis_url_file", "/run/secrets/redis-url"),
    ("certificate_storage.redis_password_env", "CERTIFICATES_REDIS_PASSWORD"),
    ("certificate_storage.secret_env", "CERTIFICATES_SECRET"),
    ("tracing.headers_env", "COLLECTOR_HEADERS"),
];

#[test]
fn the_reference_matches_the_schema() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/gateway.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let made = reference();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(written, made, "docs/gateway.md is stale: run this test with UPDATE_GENERATED=1");
}

fn reference() -> String {
    let schema = gateway_config::schema();
    let examples: toml::Table = include_str!("everything.toml").parse().unwrap();
    let known: Vec<_> =
        schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut sections = SECTIONS;
    sections.sort_unstable();
    assert_eq!(known, sections, "SECTIONS must list every section of the schema");

    let mut text = String::new();
    for section in SECTIONS {
        let property = &schema["properties"][section];
        let list = property.get("items").is_some();
        let heading = if list { format!("[[{section}]]") } else { format!("[{section}]") };
        let (meaning, default) = parts(property);
        let default = if default.starts_with("required") {
            capital(&default)
        } else {
            format!("Default: {default}")
        };
        let _ = writeln!(text, "\n### `{heading}`\n\n{meaning} *{default}.*");
        table(&mut text, &schema, property, section, examples.get(section).unwrap());
    }
    text.push('\n');
    text
}

/// Writes the keys of a section, then those of its nested tables.
fn table(text: &mut String, schema: &Value, property: &Value, path: &str, example: &toml::Value) {
    let definition = resolve(schema, property);
    text.push_str("\n| key | type | default | meaning | example |\n|---|---|---|---|---|\n");
    let mut inside = Vec::new();
    for (key, property) in definition["properties"].as_object().unwrap() {
        let alternative = ALTERNATIVES.iter().find(|(name, _)| *name == format!("{path}.{key}"));
        let alternative = alternative.map(|(_, text)| toml::Value::from(*text));
        let example = find(example, key).cloned().or(alternative);
        let example =
            example.unwrap_or_else(|| panic!("everything.toml has no example of {path}.{key}"));
        let (meaning, default) = parts(property);
        let kind = kind(schema, property);
        let shown = if kind == "table" { "below".to_owned() } else { shown(&example) };
        let _ = writeln!(text, "| `{key}` | {kind} | {default} | {meaning} | {shown} |");
        if kind == "table" {
            inside.push((key, property, example));
        }
    }
    for (key, property, example) in inside {
        let _ = writeln!(text, "\n`{path}.{key}`: {}", parts(property).0);
        table(text, schema, property, &format!("{path}.{key}"), &example);
    }
}

/// A value on one line, for a table row.
fn shown(example: &toml::Value) -> String {
    match example.as_str() {
        Some(text) => format!("`{text:?}`"),
        None => format!("`{example}`"),
    }
}

/// The first value of a key in a table or in a list of tables.
fn find<'e>(example: &'e toml::Value, key: &str) -> Option<&'e toml::Value> {
    match example {
        toml::Value::Array(items) => items.iter().find_map(|item| item.get(key)),
        one => one.get(key),
    }
}

/// Resolves a list to its items, an optional value to its type, and a reference to its definition.
fn resolve<'s>(schema: &'s Value, property: &'s Value) -> &'s Value {
    if let Some(items) = property.get("items") {
        return resolve(schema, items);
    }
    let branch = property.get("anyOf").map_or(property, |branches| &branches[0]);
    match branch.get("$ref").and_then(Value::as_str) {
        Some(reference) => schema.pointer(reference.trim_start_matches('#')).unwrap(),
        None => branch,
    }
}

fn kind(schema: &Value, property: &Value) -> String {
    let definition = resolve(schema, property);
    if let Some(choices) = definition.get("oneOf").and_then(Value::as_array) {
        let choices: Vec<_> = choices
            .iter()
            .map(|choice| format!("`{}`", choice["const"].as_str().unwrap()))
            .collect();
        return choices.join(", ");
    }
    let one = match &definition["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            let names = kinds.iter().filter_map(Value::as_str);
            let kinds: Vec<_> = names.filter(|kind| *kind != "null").collect();
            kinds.join(" or ")
        }
        other => panic!("unsupported type: {other}"),
    };
    match one.as_str() {
        "object" => "table".to_owned(),
        _ if property.get("items").is_some() => format!("list of {one}s"),
        _ => one,
    }
}

/// Splits a description into meaning and default: it contains `Default: …` or `Required …`.
fn parts(property: &Value) -> (String, String) {
    let description = property["description"].as_str().unwrap().replace('\n', " ");
    let (mut meaning, mut default) = (Vec::new(), Vec::new());
    for sentence in description.trim_end_matches('.').split(". ") {
        if let Some(value) = sentence.strip_prefix("Default: ") {
            default.push(value.to_owned());
        } else if sentence.starts_with("Required") {
            default.push(sentence.replacen('R', "r", 1));
        } else {
            meaning.push(sentence);
        }
    }
    (format!("{}.", meaning.join(". ")), default.join("; default: "))
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}
