//! `gatehouse verify-ui`: compares the page that a site serves with a manifest of hashes.
//!
//! ```text
//! manifest → site (fetch, decode) → compare, references → report → exit code
//! ```

mod manifest;
mod site;
mod coding;
mod compare;
mod references;
mod report;

use std::process::ExitCode;
use std::time::Duration;

use reqwest::Url;
use tokio::time::Instant;

use crate::arguments::VerifyUi;
use coding::Coding;
use manifest::{Expected, Manifest, PAGE};
use report::{Problem, Report};
use site::{Failure, Kind, Response, Site};

/// Paths that the site answers with its page. Browsers open them directly: links, bookmarks.
const DOCUMENTS: [&str; 5] = ["/", "/people", "/settings", "/link", "/chat/any"];

/// Runs the command. It never fails: every failure is an exit code.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(wanted: &VerifyUi) -> ExitCode {
    match verify(wanted).await {
        Ok(report) => {
            report.print(wanted.json);
            ExitCode::from(report.exit_code())
        }
        Err(reason) => {
            report::print_failure(&wanted.site, &reason, wanted.json);
            ExitCode::from(report::UNCHECKED)
        }
    }
}

/// `Err`: nothing could be checked, with the reason.
async fn verify(wanted: &VerifyUi) -> Result<Report, String> {
    // Fails only if a provider is already installed, which serves as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let roots = wanted.ca.as_deref().map(site::roots).transpose()?.unwrap_or_default();
    let deadline = Instant::now() + wanted.timeout;
    let left = || deadline.saturating_duration_since(Instant::now());
    let manifest = Manifest::load(wanted.manifest.as_deref(), &roots, left()).await?;
    let site = Site::new(wanted.site.clone(), roots)?;
    let Manifest { version, origin, files, .. } = &manifest;
    let report = Report::new(&wanted.site, version, origin, files.len());
    let mut check = Check { site: &site, manifest: &manifest, report };
    match check.run(deadline).await {
        Ok(()) => {}
        Err(Stopped::Unreachable(reason)) if check.report.responses == 0 => return Err(reason),
        Err(Stopped::Unreachable(reason)) => check.report.stopped(&reason),
        Err(Stopped::Deadline) => check.report.stopped(&format!(
            "the check did not finish in {} s: see --timeout",
            wanted.timeout.as_secs()
        )),
    }
    Ok(check.report)
}

/// Why the rest cannot be checked.
enum Stopped {
    /// The site does not accept connections.
    Unreachable(String),
    /// The time is up.
    Deadline,
}

struct Check<'c> {
    site: &'c Site,
    manifest: &'c Manifest,
    report: Report,
}

impl Check<'_> {
    async fn run(&mut self, deadline: Instant) -> Result<(), Stopped> {
        let manifest = self.manifest;
        for path in DOCUMENTS {
            self.check(path, &manifest.page, Kind::Document, deadline).await?;
        }
        for (path, expected) in &manifest.files {
            let kind = if path == PAGE { Kind::Document } else { Kind::File };
            self.check(path, expected, kind, deadline).await?;
        }
        Ok(())
    }

    /// Checks one path in every encoding that the site may have.
    async fn check(
        &mut self,
        path: &str,
        expected: &Expected,
        kind: Kind,
        deadline: Instant,
    ) -> Result<(), Stopped> {
        for coding in Coding::ALL {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return Err(Stopped::Deadline);
            }
            match self.site.get(path, kind, coding, expected.limit(), left).await {
                Ok(response) => {
                    self.report.responses += 1;
                    self.compare(path, expected, kind, &response);
                }
                Err(Failure::Unreachable(reason)) => return Err(Stopped::Unreachable(reason)),
                Err(Failure::Answer(problem)) => {
                    self.report.responses += 1;
                    self.report.add(path, coding, problem);
                }
            }
        }
        Ok(())
    }

    fn compare(&mut self, path: &str, expected: &Expected, kind: Kind, response: &Response) {
        let content_type_of = if kind == Kind::Document { PAGE } else { path };
        let headers = compare::headers(content_type_of, kind, &response.headers);
        self.add_all(path, response.coding, headers);
        self.add_all(path, response.coding, compare::body(expected, &response.body));
        if kind == Kind::Document {
            let referred = references::of(&response.body.bytes);
            self.add_all(path, response.coding, self.unknown(&referred));
        }
    }

    /// What the page refers to and the manifest does not have.
    fn unknown(&self, referred: &[references::Reference]) -> Vec<Problem> {
        let base = self.site.url();
        let known = |url: &Url| {
            url.origin() == base.origin() && self.manifest.files.contains_key(url.path())
        };
        let mut found = Vec::new();
        for reference in referred {
            let extra = match reference {
                references::Reference::Url(text) => match base.join(text) {
                    Ok(url) if known(&url) => continue,
                    Ok(url) if url.origin() == base.origin() => url.path().to_owned(),
                    Ok(url) => url.to_string(),
                    Err(_) => text.clone(),
                },
                references::Reference::Inline(what) => what.clone(),
            };
            found.push(Problem::Extra { what: extra });
        }
        found
    }

    fn add_all(&mut self, path: &str, coding: Coding, problems: Vec<Problem>) {
        for problem in problems {
            self.report.add(path, coding, problem);
        }
    }
}
