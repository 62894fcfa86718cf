//! One dialect: flat, grouped imports and comments of at most 100 columns.

use crate::{read, relative, sources};

/// Most columns of a comment.
const WIDTH: usize = 100;

#[test]
fn imports_are_flat_and_grouped() {
    let mut found = Vec::new();
    for path in sources("rs") {
        for (line, problem) in problems(&read(&path)) {
            found.push(format!("{}:{line}: {problem}", relative(&path)));
        }
    }
    assert!(found.is_empty(), "imports: {found:#?}");
}

#[test]
fn comments_have_at_most_100_columns() {
    let mut found = Vec::new();
    for path in sources("rs") {
        let mut diagram = false;
        for (at, line) in read(&path).lines().enumerate() {
            // rustfmt keeps the width of code. Diagrams, tables and URLs cannot be wrapped.
            let comment = line.trim_start().starts_with("//");
            diagram ^= comment && line.contains("```");
            let fixed = diagram || line.contains('|') || line.contains("://");
            if comment && !fixed && line.chars().count() > WIDTH {
                found.push(format!("{}:{}", relative(&path), at + 1));
            }
        }
    }
    assert!(found.is_empty(), "comments of more than {WIDTH} columns: {found:#?}");
}

/// What is wrong with the imports at the top of a file, with the line of each.
fn problems(source: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    // The groups: std, other crates, this crate.
    let mut last = 0;
    for (at, line) in source.lines().enumerate() {
        let declaration = line.trim_start();
        let declaration = declaration.strip_prefix("pub(crate) ").unwrap_or(declaration);
        let declaration = declaration.strip_prefix("pub ").unwrap_or(declaration);
        let Some(path) = declaration.strip_prefix("use ") else { continue };
        let statement = source.lines().skip(at).collect::<Vec<_>>().join(" ");
        let statement = statement.split(';').next().unwrap_or_default();
        if statement.matches('{').count() > 1 {
            found.push((at + 1, "expected one module a line, found nested braces"));
        }
        if line.starts_with("use ") {
            let group = group(path, source);
            if group < last {
                found.push((at + 1, "expected std, then other crates, then this crate"));
            }
            last = group;
        }
    }
    found
}

fn group(path: &str, source: &str) -> u8 {
    let first = path.split([':', ';']).next().unwrap_or_default();
    let child = format!("mod {first};");
    match first {
        "std" | "core" | "alloc" => 1,
        "crate" | "super" | "self" => 3,
        _ if source.lines().any(|line| line.ends_with(&child)) => 3,
        _ => 2,
    }
}

#[test]
fn nested_and_unsorted_imports_are_found() {
    assert_eq!(problems("use std::io;\n\nuse axum::{Router, serve};\n\nuse crate::a::B;\n"), []);
    let nested = "use std::{\n    io,\n    sync::{Arc, Mutex},\n};\n";
    assert_eq!(problems(nested).len(), 1);
    assert_eq!(problems("use crate::a::B;\n\nuse std::io;\n").len(), 1);
    assert_eq!(problems("mod b;\n\nuse b::C;\nuse axum::Router;\n").len(), 1);
    assert_eq!(problems("mod b;\n\nuse axum::Router;\n\nuse b::C;\n"), []);
}
