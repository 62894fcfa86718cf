//! From sections as written to a configuration that holds together.

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

use crate::outside::{Sections, Text, Value};
use crate::problem::Collector;
use crate::{Config, Name};

/// Builds a configuration; `None` only after a problem was noted.
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

/// Takes values out of their texts and notes what is wrong with them.
pub(crate) struct Check<'c, 't> {
    base: &'c Path,
    problems: &'c mut Collector<'t>,
}

impl Check<'_, '_> {
    fn add(&mut self, span: Range<usize>, reason: impl Into<String>) {
        self.problems.add(span, reason);
    }

    fn required(&mut self, section: &str, missing: bool) {
        if missing && self.problems.is_empty() {
            self.add(0..0, format!("expected at least one `[[{section}]]`"));
        }
    }

    /// The value, or a problem.
    fn take<T: Clone>(&mut self, text: &Text<T>) -> Option<T> {
        match &text.parsed {
            Ok(value) => Some(value.clone()),
            Err(reason) => {
                self.add(text.span.clone(), reason);
                None
            }
        }
    }

    /// The value, or the default when there is none or a problem.
    fn or<T: Clone>(&mut self, text: Option<&Text<T>>, default: T) -> T {
        text.and_then(|text| self.take(text)).unwrap_or(default)
    }

    /// The values that are right, or the default when there is no list.
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
                    self.add(text.span.clone(), "is there twice")
                }
                Some(value) => values.push(value),
                None => {}
            }
        }
        values
    }

    /// The value if it is within bounds.
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
                    "expected {} to {}, got {}",
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

    /// A path, relative ones being below the directory of the file.
    fn path(&mut self, text: &Text<PathBuf>) -> Option<PathBuf> {
        self.take(text).map(|path| self.base.join(path))
    }

    /// Notes a key that has no meaning beside another one.
    fn refuse<T>(&mut self, text: Option<&Text<T>>, reason: &str) {
        if let Some(text) = text {
            self.add(text.span.clone(), reason);
        }
    }

    /// Notes names that are there twice.
    fn unique<T>(&mut self, what: &str, sections: &[Spanned<T>], name: impl Fn(&T) -> &Text<Name>) {
        let mut seen = HashSet::new();
        for section in sections {
            let text = name(section.get_ref());
            if let Ok(name) = &text.parsed
                && !seen.insert(name)
            {
                self.add(text.span.clone(), format!("there are two {what}s named `{name}`"));
            }
        }
    }
}

/// Writes a bound as people write it.
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
