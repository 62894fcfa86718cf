//! The house rules that a machine can check: arrows between crates, a head in every module, sizes
//! of files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::workspace;

/// Look again from here on.
const REVIEW_LINES: usize = 300;
/// No file is longer, but for those in `LONG_FILES`.
const MOST_LINES: usize = 500;
/// Longer files, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Which of our own crates each crate may depend on. `gateway` and `backend` share no crate that
/// knows either's domain: HTTP is their contract.
const ARROWS: &[(&str, &[&str])] = &[
    ("gateway-config", &[]),
    ("redis-connection", &[]),
    ("gateway-acme", &["redis-connection"]),
    ("gateway", &["gateway-config", "gateway-acme"]),
    ("backend-protocol", &[]),
    ("backend-store", &["backend-protocol", "redis-connection"]),
    ("backend-hub", &["backend-store", "backend-protocol"]),
    ("backend-ai", &["backend-store", "backend-protocol"]),
    ("backend", &["backend-hub", "backend-ai", "backend-store", "backend-protocol"]),
    ("gatehouse", &["gateway", "gateway-config", "backend"]),
    ("e2e", &["test-ports"]),
    ("test-ports", &[]),
    ("bench", &[]),
];

/// Crates that must not be reached from some of ours, and why.
const ABSENCES: &[(&str, &[&str])] = &[
    ("redis-connection", &["pingora", "axum", "serde", "serde_json", "rusqlite"]),
    ("gateway-config", &["pingora", "tokio", "axum", "rustls"]),
    ("gateway-acme", &["pingora", "axum"]),
    ("backend-protocol", &["tokio", "serde_json", "axum"]),
    ("backend-hub", &["axum", "redis", "rusqlite"]),
    ("backend-ai", &["redis", "rusqlite"]),
    ("backend", &["pingora", "redis", "rusqlite"]),
];

/// The dependencies of each workspace member as its `Cargo.toml` states them; tests' own are not
/// counted.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let root: toml::Table =
        read(&workspace().join("Cargo.toml")).parse().expect("Cargo.toml is TOML");
    let members = root["workspace"]["members"].as_array().expect("members is an array");
    members
        .iter()
        .map(|member| {
            let path =
                workspace().join(member.as_str().expect("a member is a path")).join("Cargo.toml");
            let manifest: toml::Table = read(&path).parse().expect("Cargo.toml is TOML");
            let name =
                manifest["package"]["name"].as_str().expect("a package has a name").to_owned();
            let needs = manifest
                .get("dependencies")
                .and_then(|table| table.as_table())
                .cloned()
                .unwrap_or_default();
            (name, needs.keys().cloned().collect())
        })
        .collect()
}

#[test]
fn arrows_between_crates_run_one_way() {
    let found = dependencies();
    let ours: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(found.len(), ours.len(), "every crate has its row in ARROWS: {:?}", found.keys());
    for (name, allowed) in ARROWS {
        for needed in found.get(*name).unwrap_or_else(|| panic!("{name} is a member")) {
            let foreign = ours.contains(&needed.as_str()) && !allowed.contains(&needed.as_str());
            assert!(!foreign, "{name} must not depend on {needed}");
        }
    }
}

#[test]
fn crates_stay_free_of_what_is_not_theirs() {
    let found = dependencies();
    for (name, absent) in ABSENCES {
        for needed in &found[*name] {
            assert!(!absent.contains(&needed.as_str()), "{name} must not depend on {needed}");
        }
    }
}

#[test]
fn every_module_begins_with_a_head() {
    let headless: Vec<PathBuf> = sources("rs")
        .into_iter()
        .filter(|path| !read(path).trim_start().starts_with("//!"))
        .collect();
    assert!(headless.is_empty(), "modules without a `//!` head: {headless:#?}");
}

#[test]
fn files_are_rooms_with_one_purpose() {
    let mut review = Vec::new();
    let mut too_long = Vec::new();
    for path in ["rs", "ts", "svelte", "py", "sh"].into_iter().flat_map(sources) {
        let relative = path
            .strip_prefix(workspace())
            .expect("sources are in the workspace")
            .display()
            .to_string();
        let lines = read(&path).lines().count();
        let reasoned = LONG_FILES.iter().any(|(file, _)| *file == relative);
        let generated = relative == "ui/src/protocol/wire.ts";
        if lines > MOST_LINES && !reasoned && !generated {
            too_long.push(format!("{relative}: {lines}"));
        } else if lines > REVIEW_LINES {
            review.push(format!("{relative}: {lines}"));
        }
    }
    println!("over {REVIEW_LINES} lines, worth another look: {review:#?}");
    assert!(
        too_long.is_empty(),
        "over {MOST_LINES} lines; split them, or give a reason in LONG_FILES: {too_long:#?}"
    );
}

#[test]
fn modules_are_named_after_what_they_do() {
    let vague = ["utils", "util", "helpers", "helper", "common", "manager", "misc", "mod"];
    let found: Vec<PathBuf> = sources("rs")
        .into_iter()
        .chain(sources("ts"))
        .filter(|path| {
            path.file_stem()
                .and_then(|stem| stem.to_str())
                .is_some_and(|stem| vague.contains(&stem))
        })
        .collect();
    assert!(found.is_empty(), "names that say nothing: {found:#?}");
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files with this ending that git tracks or would track.
fn sources(ending: &str) -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
            &format!("*.{ending}"),
        ])
        .current_dir(workspace())
        .output()
        .expect("git lists files");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("file names are UTF-8");
    let paths: Vec<PathBuf> =
        names.lines().map(|name| workspace().join(name)).filter(|path| path.is_file()).collect();
    assert!(!paths.is_empty() || ending == "py" || ending == "sh", "git lists no *.{ending} files");
    paths
}
