//! What was found, as text for people and as JSON for machines.

use reqwest::Url;
use serde::Serialize;

use super::coding::Coding;

/// Exit code: nothing differs, but not everything could be checked.
pub(super) const UNCHECKED: u8 = 2;

/// The result of a check. Its JSON is documented in `docs/verify.md`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    url: String,
    result: Outcome,
    /// Version of the manifest.
    version: String,
    /// Where the manifest comes from.
    manifest: String,
    /// Files in the manifest.
    files: usize,
    /// Responses that were compared.
    pub(super) responses: usize,
    findings: Vec<Finding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Same,
    Different,
    Unchecked,
}

/// One problem of one path.
#[derive(Debug, Serialize)]
struct Finding {
    path: String,
    /// Encodings in which it was requested and has this problem.
    encodings: Vec<&'static str>,
    #[serde(flatten)]
    problem: Problem,
}

/// How a response is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub(super) enum Problem {
    /// Other bytes.
    Differs {
        /// First byte that differs, counted from 0; `None`: the expected bytes are not known.
        offset: Option<u64>,
        /// In bytes.
        expected_size: u64,
        /// In bytes; `None`: so large that it was not read to its end.
        found_size: Option<u64>,
    },
    /// There is no such file.
    Missing { status: u16 },
    /// The page loads or runs something that is not in the manifest.
    Extra { what: String },
    /// A header field has another value.
    Header { name: String, expected: Option<String>, found: Vec<String> },
    /// A redirect, which is not followed.
    Redirected { status: u16, location: String },
    /// The body is not in the encoding it should have.
    Undecodable { reason: String },
    /// The site did not answer as it should, for now.
    Unchecked { reason: String },
}

impl Report {
    /// An empty report about a site, compared with a manifest of this version, origin and number of
    /// files.
    pub(super) fn new(site: &Url, version: &str, manifest: &str, files: usize) -> Self {
        Self {
            url: site.to_string(),
            result: Outcome::Same,
            version: version.to_owned(),
            manifest: manifest.to_owned(),
            files,
            responses: 0,
            findings: Vec::new(),
        }
    }

    /// Adds a problem; the same one in another encoding becomes one finding.
    pub(super) fn add(&mut self, path: &str, coding: Coding, problem: Problem) {
        self.result = match (self.result, &problem) {
            (Outcome::Same, Problem::Unchecked { .. }) => Outcome::Unchecked,
            (before, Problem::Unchecked { .. }) => before,
            _ => Outcome::Different,
        };
        let known = self.findings.iter_mut().find(|f| f.path == path && f.problem == problem);
        match known {
            Some(finding) if finding.encodings.contains(&coding.name()) => {}
            Some(finding) => finding.encodings.push(coding.name()),
            None => self.findings.push(Finding {
                path: path.to_owned(),
                encodings: vec![coding.name()],
                problem,
            }),
        }
    }

    /// The rest could not be checked.
    pub(super) fn stopped(&mut self, reason: &str) {
        if self.result == Outcome::Same {
            self.result = Outcome::Unchecked;
        }
        let problem = Problem::Unchecked { reason: reason.to_owned() };
        self.findings.push(Finding { path: "*".to_owned(), encodings: Vec::new(), problem });
    }

    pub(super) fn exit_code(&self) -> u8 {
        match self.result {
            Outcome::Same => 0,
            Outcome::Different => 1,
            Outcome::Unchecked => UNCHECKED,
        }
    }

    #[expect(clippy::print_stdout, reason = "the report is the output of this command")]
    pub(super) fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::to_string(self).expect("a report has only string keys"));
            return;
        }
        let Self { url, version, manifest, files, responses, .. } = self;
        let verdict = match self.result {
            Outcome::Same => "serves the expected page",
            Outcome::Different => "DOES NOT serve the expected page",
            Outcome::Unchecked => "could not be checked completely",
        };
        println!("{url} {verdict}: version {version}, manifest {manifest}");
        for Finding { path, encodings, problem } in &self.findings {
            let asked = if encodings.len() == Coding::ALL.len() || encodings.is_empty() {
                String::new()
            } else {
                format!(" ({})", encodings.join(", "))
            };
            println!("  {}{asked}: {}", printable(path), printable(&problem.to_string()));
        }
        println!("{files} files, {responses} responses, {} problems", self.findings.len());
    }
}

/// Reports that nothing could be checked.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the output of this command")]
pub(super) fn print_failure(site: &Url, reason: &str, json: bool) {
    if json {
        let url = site.as_str();
        println!("{}", serde_json::json!({"url": url, "result": "unchecked", "reason": reason}));
    } else {
        eprintln!("gatehouse: {site} could not be checked: {}", printable(reason));
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Differs { offset, expected_size, found_size } => {
                match offset {
                    Some(offset) => write!(f, "differs from byte {offset} on")?,
                    None => write!(f, "differs")?,
                }
                write!(f, ": expected {expected_size} bytes, found ")?;
                match found_size {
                    Some(size) => write!(f, "{size}"),
                    None => write!(f, "many more"),
                }
            }
            Self::Missing { status } => write!(f, "missing: status {status}"),
            Self::Extra { what } => {
                write!(f, "the page loads or runs {what}, which is not in the manifest")
            }
            Self::Header { name, expected, found } => {
                let expected = expected.as_ref().map_or("none".to_owned(), |e| format!("`{e}`"));
                let found = match found.as_slice() {
                    [] => "none".to_owned(),
                    values => format!("`{}`", values.join("`, `")),
                };
                write!(f, "header {name}: expected {expected}, found {found}")
            }
            Self::Redirected { status, location } => {
                write!(f, "redirected (status {status}) to `{location}`, which is not followed")
            }
            Self::Undecodable { reason } => write!(f, "cannot be decoded: {reason}"),
            Self::Unchecked { reason } => write!(f, "not checked: {reason}"),
        }
    }
}

/// A text of the site for a terminal: control characters are escaped.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}
