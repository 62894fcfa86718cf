//! The house rules that a machine can check: arrows between crates, a head in every module, sizes
//! of files.

mod tidy {
    mod dialect;
    mod english;
    pub(crate) mod imports;
}

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::workspace;

use crate::tidy::imports::Imports;

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

/// The workspace's members: each package's name and folder.
fn members() -> BTreeMap<String, PathBuf> {
    let root = manifest(workspace());
    let members = root["workspace"]["members"].as_array().expect("members is an array");
    let mut found = BTreeMap::new();
    for member in members {
        let folder = workspace().join(member.as_str().expect("a member is a path"));
        let name =
            manifest(&folder)["package"]["name"].as_str().expect("a package has a name").to_owned();
        found.insert(name, folder);
    }
    found
}

fn manifest(folder: &Path) -> toml::Table {
    read(&folder.join("Cargo.toml")).parse().expect("Cargo.toml is TOML")
}

/// The dependencies of each member as its `Cargo.toml` states them, without those of tests.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for (name, folder) in members() {
        let manifest = manifest(&folder);
        let needs = manifest.get("dependencies").and_then(|table| table.as_table());
        found.insert(name, needs.into_iter().flat_map(|table| table.keys().cloned()).collect());
    }
    found
}

/// The modules of a crate with their sources: tests and binary roots left out.
fn modules(root: &Path) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    for file in sources("rs") {
        let Ok(relative) = file.strip_prefix(root) else { continue };
        let relative = relative.with_extension("");
        let path: Vec<String> =
            relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let root = path == ["lib"] || path == ["main"] && !root.join("lib.rs").exists();
        if root {
            found.push((Vec::new(), read(&file)));
        } else if path != ["main"] && !path.iter().any(|part| part == "tests") {
            found.push((path, read(&file)));
        }
    }
    assert!(!found.is_empty(), "{} has no Rust files", root.display());
    found
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

/// Floors inside a crate, lowest first: a module imports nothing from a floor above its own.
const FLOORS: &[(&str, &[&[&str]])] =
    &[("gateway", &[&["files", "metrics", "secret"], &["serving"], &["control"]])];

/// Most files that may import each other in a loop.
const MOST_IN_A_CIRCLE: usize = 2;

#[test]
fn modules_import_in_one_direction() {
    let mut circles = Vec::new();
    for (name, root) in members() {
        let imports = Imports::new(modules(&root.join("src")));
        for circle in imports.circles(MOST_IN_A_CIRCLE) {
            circles.push(format!("{name}: {}", circle.join(", ")));
        }
    }
    assert!(circles.is_empty(), "modules that import each other in a loop: {circles:#?}");
}

#[test]
fn nothing_imports_from_the_floor_above() {
    let members = members();
    for (name, floors) in FLOORS {
        let root = &members[*name];
        let modules = modules(&root.join("src"));
        for module in floors.iter().copied().flatten() {
            assert!(modules.iter().any(|(path, _)| path == &[*module]), "{name} has no {module}");
        }
        let imports = Imports::new(modules);
        for (at, lower) in floors.iter().enumerate() {
            let upper = floors[at + 1..].concat();
            let upward = imports.upward(lower, &upper);
            assert!(upward.is_empty(), "{name} imports from the floor above: {upward:#?}");
            for floor in *lower {
                let against = imports.against_the_flow(floor);
                assert!(against.is_empty(), "{name}::{floor}, against the flow: {against:#?}");
            }
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
        let relative = relative(&path);
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

/// The path within the workspace, for messages.
fn relative(path: &Path) -> String {
    path.strip_prefix(workspace()).expect("sources are in the workspace").display().to_string()
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
