//! Properties of the text: the schema, the effective configuration, and texts that nobody would
//! write.

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
fn the_schema_is_the_one_that_editors_know() {
    insta::assert_json_snapshot!(schema());
}

#[test]
fn every_key_is_documented_with_its_default_or_as_required() {
    fn look(schema: &Value, path: &str, undocumented: &mut Vec<String>) {
        for (key, property) in
            schema.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            let text = property.get("description").and_then(Value::as_str).unwrap_or_default();
            if !text.contains("Default: ") && !text.contains("Required") {
                undocumented.push(format!("{path}.{key}: {text}"));
            }
        }
    }
    let schema = schema();
    let mut undocumented = Vec::new();
    look(&schema, "", &mut undocumented);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        look(definition, name, &mut undocumented);
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
    // Each has a twin beside which it may not stand.
    used.extend(
        ["redis_url_file", "redis_password_env", "secret_env", "headers_env"].map(str::to_owned),
    );
    let missing: Vec<_> =
        known.flatten().map(|(key, _)| key.clone()).filter(|key| !used.contains(key)).collect();
    assert_eq!(missing, Vec::<String>::new());
    parse(EVERYTHING);
}

#[test]
fn the_effective_text_means_the_same_and_hides_where_keys_are() {
    let config = parse(EVERYTHING);
    let text = config.to_toml();
    assert!(!text.contains("/etc/tls/secret.key"), "{text}");
    let mut again = parse(&text.replace("(not shown)", "/etc/tls/secret.key"));
    again.hash.clone_from(&config.hash);
    assert_eq!(again, config);
}

#[test]
fn relative_paths_are_below_the_directory_of_the_file() {
    let text = EVERYTHING.replace("/etc/tls/chain.pem", "chain.pem");
    let config = Config::parse(&text, "gateway.toml", Path::new("/etc/gatehouse")).unwrap();
    assert!(config.to_toml().contains("cert = \"/etc/gatehouse/chain.pem\""));
}

/// Texts near a real configuration: lines of it dropped, doubled, cut and mixed with junk.
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
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _either = Config::parse(&text, "x", Path::new("/"));
    }

    #[test]
    fn no_mangled_configuration_makes_it_panic_and_what_it_accepts_means_the_same_again(text in mangled()) {
        if let Ok(config) = Config::parse(&text, "x", Path::new("/")) {
            let written = config.to_toml().replace("(not shown)", "/etc/tls/secret.key");
            let again = Config::parse(&written, "x", Path::new("/"));
            prop_assert!(again.is_ok(), "{}\n{written}", again.unwrap_err());
        }
    }
}
