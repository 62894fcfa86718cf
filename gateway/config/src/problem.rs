//! Problems of a configuration, with their position.

use std::fmt;
use std::ops::Range;

use crate::key_paths::KeyPaths;

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Line, starting at 1.
    pub line: usize,
    /// Column in characters, starting at 1.
    pub column: usize,
    /// Path of the key, what was expected, what was found, and how to fix it.
    pub reason: String,
}

/// All problems of a configuration, sorted by line; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// Source of the text: the path of the file.
    pub origin: String,
    /// The problems.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { line, column, reason }) in self.problems.iter().enumerate() {
            let end_of_line = if index == 0 { "" } else { "\n" };
            write!(f, "{end_of_line}{}:{line}:{column}: {reason}", self.origin)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Collects problems with their position in one text.
pub(crate) struct Collector<'t> {
    text: &'t str,
    keys: KeyPaths,
    problems: Vec<Problem>,
}

impl<'t> Collector<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, keys: KeyPaths::default(), problems: Vec::new() }
    }

    /// Sets the key paths for problems that are added after this.
    pub(crate) fn set_key_paths(&mut self, keys: KeyPaths) {
        self.keys = keys;
    }

    /// Adds a problem at a span of bytes, prefixed with the path of the key there.
    pub(crate) fn add(&mut self, span: Range<usize>, reason: impl AsRef<str>) {
        let reason = reason.as_ref();
        let reason = match self.keys.at(span.start) {
            Some(key) => format!("{key}: {reason}"),
            None => reason.to_owned(),
        };
        self.add_without_key(span.start, reason);
    }

    /// Adds a problem at a byte offset; its reason names the key, or there is no key.
    pub(crate) fn add_without_key(&mut self, offset: usize, reason: String) {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        self.problems.push(Problem {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            reason,
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn into_problems(mut self, origin: &str) -> Problems {
        self.problems.sort();
        self.problems.dedup();
        Problems { origin: origin.to_owned(), problems: self.problems }
    }
}
