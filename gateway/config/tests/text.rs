//! The schema, the effective configuration, and mangled texts.

use std::path::Path;

use gateway_config::{Config, schema};
use proptest::prelude::*;
use serde_json::Value;

const EVERYTHING: &str = include_str!("everything.toml");

fn parse(text: &str) -> Config {
    Config::parse(text, "test.toml", Path::new("/"))
        .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

#[test]
fn the_schema_matches_its_snapshot() {
    insta::assert_json_snapshot!(schema());
}

#[test]
fn every_description_has_a_default_or_says_required() {
    fn collect(schema: &Value, path: &str, undocumented: &mut Vec<String>) {
        for (key, property) in
            schema.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            let text = property.get("description").and_then(Value::as_str).unwrap_or_default();
            let text = text.replace('\n', " ");
            if !text.contains("Default: ") && !text.contains("Required") {
                undocumented.push(format!("{path}.{key}: {text}"));
            }
        }
    }
    let schema = schema();
    let mut undocumented = Vec::new();
    collect(&schema, "", &mut undocumented);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        collect(definition, name, &mut undocumented);
    }
    assert_eq!(undocumented, Vec::<String>::new());
}

#[test]
fn every_key_of_the_schema_can_be_set() {
    let document: Value = toml::from_str(EVERYTHING).unwrap();
    let mut used = std::collections::BTreeSet::new();
    fn keys(value: &Value, used: &mut std::collections::BTreeSet<String>) {
        match value {
            Value::Object(table) => table.iter().for_each(|(key, value)| {
                used.insert(key.clone());
                keys(value, used);
            }),
            Value::Array(list) => list.iter().for_each(|value| keys(value, used)),
            _ => {}
        }
    }
    keys(&document, &mut used);
    let schema = schema();
    let definitions = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    let known = definitions
        .filter_map(|definition| definition.get("properties"))
        .filter_map(Value::as_object);
    // Each of these excludes a key that `everything.toml` sets.
    used.extend(
        ["redis_url_file", "redis_password_env", "secret_env", "headers_env"].map(str::to_owned),
    );
    let missing: Vec<_> =
        known.flatten().map(|(key, _)| key.clone()).filter(|key| !used.contains(key)).collect();
    assert_eq!(missing, Vec::<String>::new());
    parse(EVERYTHING);
}

#[test]
fn the_effective_text_parses_to_the_same_configuration_and_hides_key_paths() {
    let config = parse(EVERYTHING);
    let text = config.to_toml();
    assert!(!text.contains("/etc/tls/secret.key"), "{text}");
    let mut again = parse(&text.replace("(not shown)", "/etc/tls/secret.key"));
    again.hash.clone_from(&config.hash);
    assert_eq!(again, config);
}

#[test]
fn relative_paths_resolve_against_the_directory_of_the_file() {
    let text = EVERYTHING.replace("/etc/tls/chain.pem", "chain.pem");
    let config = Config::parse(&text, "gateway.toml", Path::new("/etc/gatehouse")).unwrap();
    assert!(config.to_toml().contains("cert = \"/etc/gatehouse/chain.pem\""));
}

/// A configuration with lines removed, duplicated, cut and replaced by random text.
fn mangled() -> impl Strategy<Value = String> {
    let lines: Vec<&str> = EVERYTHING.lines().collect();
    let count = lines.len();
    let edit = (0..count, 0..6_u8, "\\PC{0,12}");
    prop::collection::vec(edit, 1..8).prop_map(move |edits| {
        let mut text: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        for (index, kind, junk) in edits {
            match kind {
                0 => text[index].clear(),
                1 => text[index] = junk,
                2 => text[index] = text[index].replace(['"', '['], ""),
                3 => text[index] = text[index].replace(char::is_numeric, "99999999999999999999"),
                4 => {
                    text[index] =
                        text[index].split('=').next().unwrap_or_default().to_owned() + "= " + &junk
                }
                _ => {
                    let other = text[(index * 7 + 3) % count].clone();
                    text[index].push_str(&format!("\n{other}"));
                }
            }
        }
        text.join("\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _result = Config::parse(&text, "x", Path::new("/"));
    }

    #[test]
    fn an_accepted_mangled_configuration_can_be_written_and_parsed_again(text in mangled()) {
        if let Ok(config) = Config::parse(&text, "x", Path::new("/")) {
            let written = config.to_toml().replace("(not shown)", "/etc/tls/secret.key");
            let again = Config::parse(&written, "x", Path::new("/"));
            prop_assert!(again.is_ok(), "{}\n{written}", again.unwrap_err());
        }
    }
}
