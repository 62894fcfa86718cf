//! Imports between the modules of a crate: which file uses a name that another file declares.

use std::collections::{BTreeMap, BTreeSet};

/// The imports of one crate: each file, with the files it takes names from.
pub(crate) struct Imports {
    files: Vec<String>,
    targets: Vec<BTreeSet<usize>>,
    /// The child modules of each file, in the order of their declarations.
    declared: Vec<Vec<String>>,
}

/// One source file of a crate.
struct Module {
    /// The module path within the crate: empty for `lib.rs`.
    path: Vec<String>,
    /// Comments, strings and inline tests removed.
    code: String,
    /// Names that the module re-exports, with the paths they stand for.
    exports: BTreeMap<String, Vec<String>>,
}

impl Imports {
    /// The imports among these modules: each module's path within the crate, and its source.
    pub(crate) fn new(sources: Vec<(Vec<String>, String)>) -> Self {
        let modules: Vec<Module> = sources.into_iter().map(Module::new).collect();
        let index: BTreeMap<&[String], usize> =
            modules.iter().enumerate().map(|(at, module)| (module.path.as_slice(), at)).collect();
        let targets = modules.iter().enumerate().map(|(at, module)| {
            let mut found = BTreeSet::new();
            for path in paths(module) {
                found.extend(resolve(&path, &modules, &index, 0));
            }
            found.remove(&at);
            found
        });
        let targets = targets.collect();
        let files = modules.iter().map(|module| module.path.join("::")).collect();
        let declared = modules.iter().map(children).collect();
        Self { files, targets, declared }
    }

    /// Groups of more than `limit` modules that import each other in a loop. What a child module
    /// takes from its parent's file does not count: they are one subject.
    pub(crate) fn circles(&self, limit: usize) -> Vec<Vec<&str>> {
        let reach: Vec<BTreeSet<usize>> = (0..self.files.len()).map(|at| self.reach(at)).collect();
        let mut seen: BTreeSet<usize> = BTreeSet::new();
        let mut circles = Vec::new();
        for at in 0..self.files.len() {
            if seen.contains(&at) || !reach[at].contains(&at) {
                continue;
            }
            let circle: Vec<usize> =
                reach[at].iter().copied().filter(|other| reach[*other].contains(&at)).collect();
            seen.extend(&circle);
            if circle.len() > limit {
                circles.push(circle.into_iter().map(|other| self.files[other].as_str()).collect());
            }
        }
        circles
    }

    /// Imports from a module under one of `lower` into a module under one of `upper`.
    pub(crate) fn upward(&self, lower: &[&str], upper: &[&str]) -> Vec<String> {
        let under = |file: &str, floors: &[&str]| {
            floors.iter().any(|floor| file == *floor || file.starts_with(&format!("{floor}::")))
        };
        let mut found = Vec::new();
        for (at, file) in self.files.iter().enumerate() {
            for target in &self.targets[at] {
                let target = &self.files[*target];
                if under(file, lower) && under(target, upper) {
                    found.push(format!("{file} -> {target}"));
                }
            }
        }
        found
    }

    /// Imports among the child modules of `parent` from one that is declared before the importing
    /// module. Modules are declared in the order in which data flows.
    pub(crate) fn against_the_flow(&self, parent: &str) -> Vec<String> {
        let at = self.files.iter().position(|file| file == parent).expect("the parent exists");
        let children = &self.declared[at];
        let child = |file: &str| {
            let below = file.strip_prefix(parent)?.trim_start_matches("::");
            children.iter().position(|child| below.split("::").next() == Some(child))
        };
        let mut found = Vec::new();
        for (from, file) in self.files.iter().enumerate() {
            for target in self.targets[from].iter().map(|target| &self.files[*target]) {
                if child(file).zip(child(target)).is_some_and(|(from, to)| to < from) {
                    found.push(format!("{file} -> {target}"));
                }
            }
        }
        found
    }

    /// The imports of a file without those from its parent's file.
    fn outside_parent(&self, at: usize) -> impl Iterator<Item = usize> {
        let parent = self.files[at].rsplit_once("::").map(|(parent, _)| parent);
        let targets = self.targets[at].iter().copied();
        targets.filter(move |target| Some(self.files[*target].as_str()) != parent)
    }

    /// What is reached from a file over one or more imports.
    fn reach(&self, from: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open: Vec<usize> = self.outside_parent(from).collect();
        while let Some(at) = open.pop() {
            if found.insert(at) {
                open.extend(self.outside_parent(at));
            }
        }
        found
    }
}

impl Module {
    fn new((path, source): (Vec<String>, String)) -> Self {
        let mut module = Self { path, code: code(&source), exports: BTreeMap::new() };
        module.exports = exports(&module);
        module
    }
}

/// The source without comments, string literals and what follows `#[cfg(test)]`.
fn code(source: &str) -> String {
    let source = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut code = String::with_capacity(source.len());
    for line in source.lines() {
        let mut rest = line.split("//").next().unwrap_or_default();
        // A literal that spans lines leaves its later lines in; they hold no paths.
        while let Some((before, after)) = rest.split_once('"') {
            code.push_str(before);
            rest = after.split_once('"').map_or("", |(_, after)| after);
        }
        code.push_str(rest);
        code.push('\n');
    }
    code
}

/// The `use` statements of a source, each with whether it is public, and the rest of its code.
fn split_uses(code: &str) -> (Vec<(bool, String)>, String) {
    let (mut uses, mut rest) = (Vec::new(), String::new());
    let mut open: Option<(bool, String)> = None;
    for line in code.lines() {
        let start = line.trim_start();
        let visible = ["pub ", "pub(crate) ", "pub(super) "];
        let private = visible.iter().find_map(|visibility| start.strip_prefix(visibility));
        let statement = private.unwrap_or(start).strip_prefix("use ");
        match (&mut open, statement) {
            (Some((_, text)), _) => text.push_str(line),
            (None, Some(text)) => open = Some((private.is_some(), text.to_owned())),
            (None, None) => rest.extend([line, "\n"]),
        }
        if line.contains(';')
            && let Some((public, text)) = open.take()
        {
            uses.push((public, text.split(';').next().unwrap_or_default().trim().to_owned()));
        }
    }
    (uses, rest)
}

/// The paths of a flat `use`: `a::{b, c as d}` is `a::b` known as `b`, and `a::c` known as `d`.
fn flat(text: &str) -> Vec<(Vec<String>, String)> {
    let (head, names) = match text.split_once('{') {
        Some((head, rest)) => (head, rest.trim_end_matches('}').trim()),
        None => match text.rsplit_once("::") {
            Some((head, name)) => (head, name),
            None => ("", text),
        },
    };
    let head: Vec<String> = head
        .split("::")
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    let mut found = Vec::new();
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let (name, known) = name.split_once(" as ").unwrap_or((name, name));
        let mut path = head.clone();
        if name != "self" {
            path.push(name.to_owned());
        }
        let known = if known == "self" {
            head.last().cloned().unwrap_or_default()
        } else {
            known.to_owned()
        };
        found.push((path, known));
    }
    found
}

fn exports(module: &Module) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for (public, text) in split_uses(&module.code).0 {
        for (path, known) in flat(&text) {
            if let (true, Some(path)) = (public, absolute(&path, module)) {
                found.insert(known, path);
            }
        }
    }
    found
}

/// Every path within the crate that the module names: in imports and in its code.
fn paths(module: &Module) -> Vec<Vec<String>> {
    let (uses, code) = split_uses(&module.code);
    let mut found = Vec::new();
    for (public, text) in uses {
        // A re-export only passes a name on.
        if !public {
            found.extend(flat(&text).into_iter().filter_map(|(path, _)| absolute(&path, module)));
        }
    }
    for word in code.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':') {
        let path: Vec<String> =
            word.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if path.len() > 1 {
            found.extend(absolute(&path, module));
        }
    }
    found
}

fn children(module: &Module) -> Vec<String> {
    let mut found = Vec::new();
    for line in module.code.lines() {
        let declared = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        if let Some(name) = declared.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            found.push(name.to_owned());
        }
    }
    found
}

/// The path from the crate's root, or nothing for a path into another crate.
fn absolute(path: &[String], module: &Module) -> Option<Vec<String>> {
    let first = path.first()?;
    match first.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([&module.path, &path[1..]].concat()),
        "super" => {
            let ups = path.iter().take_while(|part| *part == "super").count();
            let kept = module.path.len().checked_sub(ups)?;
            Some([&module.path[..kept], &path[ups..]].concat())
        }
        _ if children(module).contains(first) => Some([&module.path, path].concat()),
        _ => None,
    }
}

/// The files that declare what a path names, through re-exports.
fn resolve(
    path: &[String],
    modules: &[Module],
    index: &BTreeMap<&[String], usize>,
    depth: usize,
) -> Option<usize> {
    for length in (0..=path.len()).rev() {
        let Some(&at) = index.get(&path[..length]) else { continue };
        let export = path.get(length).and_then(|name| modules[at].exports.get(name));
        return match export {
            Some(target) if depth < 8 => {
                let target = [target.as_slice(), &path[length + 1..]].concat();
                resolve(&target, modules, index, depth + 1).or(Some(at))
            }
            _ => Some(at),
        };
    }
    None
}

#[test]
fn a_loop_and_an_import_of_an_upper_floor_are_found() {
    let source = |path: &str, text: &str| {
        (path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect(), text.into())
    };
    let imports = Imports::new(vec![
        source("", "//! Root.\npub mod a;\nmod b;\nmod c;\n"),
        source(
            "a",
            "mod inner;\nmod leaf;\npub(crate) use inner::Deep;\nuse leaf::Leaf;\nuse crate::b::{B, other as name};\n",
        ),
        source("a::inner", "use super::super::c;\n"),
        source("a::leaf", "use super::Own;\n"),
        source("b", "// use crate::c::X;\nfn b() { super::c::call(\"crate::a::A\") }\n"),
        source(
            "c",
            "use std::fmt;\nuse crate::a::Deep;\n#[cfg(test)]\nmod tests {\n use crate::b::B;\n}\n",
        ),
    ]);
    assert_eq!(imports.circles(1), [["a::inner", "c"]]);
    assert_eq!(imports.circles(2), [[""; 0]; 0]);
    assert_eq!(imports.upward(&["c"], &["a"]), ["c -> a::inner"]);
    assert_eq!(imports.upward(&["b"], &["a"]), [""; 0]);
    assert_eq!(imports.upward(&["a"], &["b", "c"]), ["a -> b", "a::inner -> c"]);
    assert_eq!(imports.against_the_flow(""), ["c -> a::inner"]);
}
