//! Validates sections and builds the configuration.

mod acme;
mod certificate;
mod listener;
mod operation;
mod references;
mod route;
mod tracing;
mod upstream;

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use toml::Spanned;

use crate::outside::{Sections, Text, Value, found};
use crate::problem::Collector;
use crate::{Config, Name};

/// Builds the configuration; `None` only after a problem was added.
pub(crate) fn config(
    text: &str,
    base: &Path,
    sections: Sections,
    problems: &mut Collector<'_>,
) -> Option<Config> {
    let mut check = Check { base, problems };
    check.required("listener", sections.listener.is_empty());
    check.required("route", sections.route.is_empty());

    let limits = operation::limits(&mut check, sections.limits.unwrap_or_default());
    let certificates: Vec<_> = certificate::certificates(&mut check, &sections.certificate);
    let certificate_storage =
        acme::storage(&mut check, sections.certificate_storage.as_ref(), &certificates);
    let upstreams: Vec<_> = upstream::upstreams(&mut check, &sections.upstream);
    let sites: Vec<_> = route::sites(&mut check, &sections.site);
    let config = Config {
        listeners: listener::listeners(
            &mut check,
            &sections.listener,
            &sections.certificate,
            &limits,
        ),
        tls: certificate::policy(&mut check, sections.tls.unwrap_or_default()),
        routes: route::routes(&mut check, &sections.route, &limits),
        certificates,
        certificate_storage,
        upstreams,
        sites,
        limits,
        admin: sections
            .admin
            .and_then(|admin| operation::admin(&mut check, &admin, &sections.listener)),
        log: operation::log(sections.log.unwrap_or_default()),
        tracing: tracing::tracing(&mut check, sections.tracing.as_ref()),
        drain: operation::drain(&mut check, sections.drain.unwrap_or_default()),
        upgrade: sections.upgrade.and_then(|upgrade| operation::upgrade(&mut check, &upgrade)),
        trust: operation::trust(&mut check, sections.trust.unwrap_or_default()),
        hash: hex::encode(Sha256::digest(text)),
    };
    references::check(
        &mut check,
        &sections.listener,
        &sections.certificate,
        &sections.route,
        &sections.upstream,
        &sections.site,
    );
    check.problems.is_empty().then_some(config)
}

/// Takes parsed values out of sections and collects their problems.
pub(crate) struct Check<'c, 't> {
    base: &'c Path,
    problems: &'c mut Collector<'t>,
}

impl Check<'_, '_> {
    fn add(&mut self, span: Range<usize>, reason: impl AsRef<str>) {
        self.problems.add(span, reason);
    }

    fn required(&mut self, section: &str, missing: bool) {
        if missing && self.problems.is_empty() {
            let reason = format!("expected at least one `[[{section}]]`, found none");
            self.problems.add_without_key(0, reason);
        }
    }

    /// The value; adds a problem if it is invalid.
    fn take<T: Clone>(&mut self, text: &Text<T>) -> Option<T> {
        match &text.parsed {
            Ok(value) => Some(value.clone()),
            Err(reason) => {
                self.add(text.span.clone(), reason);
                None
            }
        }
    }

    /// The value, or the default if it is absent or invalid.
    fn or<T: Clone>(&mut self, text: Option<&Text<T>>, default: T) -> T {
        text.and_then(|text| self.take(text)).unwrap_or(default)
    }

    /// The valid values, or the default if the list is absent.
    fn all<T: Clone + PartialEq>(
        &mut self,
        texts: Option<&Vec<Text<T>>>,
        default: Vec<T>,
    ) -> Vec<T> {
        let Some(texts) = texts else {
            return default;
        };
        let mut values = Vec::new();
        for text in texts {
            match self.take(text) {
                Some(value) if values.contains(&value) => {
                    self.add(text.span.clone(), "this value is already in the list: remove it")
                }
                Some(value) => values.push(value),
                None => {}
            }
        }
        values
    }

    /// The value if it is within bounds, else the default.
    fn within<T>(&mut self, text: Option<&Text<T>>, default: T, least: T, most: T) -> T
    where
        T: Value + Clone + PartialOrd + Written,
    {
        let Some(text) = text else {
            return default;
        };
        match self.take(text) {
            Some(value) if value < least || value > most => {
                let reason = format!(
                    "expected {} to {}, found {}",
                    least.written(),
                    most.written(),
                    value.written()
                );
                self.add(text.span.clone(), reason);
                default
            }
            Some(value) => value,
            None => default,
        }
    }

    /// Adds a problem with a value: what was expected, and the value.
    fn unexpected(&mut self, text: &Text<String>, expected: &str, value: &str) {
        self.add(text.span.clone(), found(expected, value));
    }

    /// The path; relative paths resolve against the directory of the file.
    fn path(&mut self, text: &Text<PathBuf>) -> Option<PathBuf> {
        self.take(text).map(|path| self.base.join(path))
    }

    /// Adds a problem if a key is set that does not apply.
    fn reject<T>(&mut self, text: Option<&Text<T>>, reason: &str) {
        if let Some(text) = text {
            self.add(text.span.clone(), reason);
        }
    }

    /// Adds a problem for every name that is used twice.
    fn unique<T>(&mut self, what: &str, sections: &[Spanned<T>], name: impl Fn(&T) -> &Text<Name>) {
        let mut seen = HashSet::new();
        for section in sections {
            let text = name(section.get_ref());
            if let Ok(name) = &text.parsed
                && !seen.insert(name)
            {
                self.add(
                    text.span.clone(),
                    format!("another {what} is named `{name}`: names must be unique"),
                );
            }
        }
    }
}

/// A value formatted the way it is written in the configuration.
pub(crate) trait Written {
    fn written(&self) -> String;
}

impl Written for u32 {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Written for f64 {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Written for u64 {
    fn written(&self) -> String {
        crate::units::bytes_text(*self)
    }
}

impl Written for std::time::Duration {
    fn written(&self) -> String {
        crate::units::duration_text(*self)
    }
}
