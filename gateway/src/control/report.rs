//! What a reload changed, and what it left alone.

use std::collections::BTreeSet;
use std::fmt;

use gateway_config::{Config, Name};
use serde::Serialize;

use crate::control::certificates::Loaded;

/// What a reload did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReloadReport {
    /// Whether it took effect; `false` in a forecast.
    pub applied: bool,
    /// SHA-256 of the configuration's text.
    pub hash: String,
    /// Whether anything changed.
    pub changed: bool,
    /// Listeners.
    pub listeners: Changes,
    /// Certificates, by content.
    pub certificates: Changes,
    /// Routes.
    pub routes: Changes,
    /// Upstreams.
    pub upstreams: Changes,
    /// Static sites.
    pub sites: Changes,
    /// Other sections that changed: `tls`, `certificate_storage`, `limits`, `admin`, `log`,
    /// `tracing`, `drain`, `upgrade`, `trust`.
    pub sections: Vec<&'static str>,
    /// Client connections open at that moment, all of which were kept.
    pub connections_kept: usize,
    /// WebSockets among them.
    pub websockets_kept: usize,
}

/// Names of one kind that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// In the new configuration only.
    pub added: Vec<String>,
    /// In the old configuration only.
    pub removed: Vec<String>,
    /// In both, and not the same.
    pub changed: Vec<String>,
}

/// The differences of two configurations, as a report without counts.
pub(crate) struct Differences {
    listeners: Changes,
    certificates: Changes,
    routes: Changes,
    upstreams: Changes,
    sites: Changes,
    sections: Vec<&'static str>,
}

/// Compares two configurations and what their certificates hold.
pub(crate) fn between(
    old: &Config,
    new: &Config,
    old_certificates: &Loaded,
    new_certificates: &Loaded,
) -> Differences {
    let sections = [
        ("tls", old.tls == new.tls),
        ("certificate_storage", old.certificate_storage == new.certificate_storage),
        ("limits", old.limits == new.limits),
        ("admin", old.admin == new.admin),
        ("log", old.log == new.log),
        ("tracing", old.tracing == new.tracing),
        ("drain", old.drain == new.drain),
        ("upgrade", old.upgrade == new.upgrade),
        ("trust", old.trust == new.trust),
    ];
    let held = |loaded: &Loaded| -> Vec<_> {
        loaded.facts.clone().into_iter().chain(loaded.to_come.clone()).collect()
    };
    Differences {
        listeners: Changes::of(&old.listeners, &new.listeners, |listener| &listener.name),
        certificates: Changes::of(&held(old_certificates), &held(new_certificates), |(name, _)| {
            name
        }),
        routes: Changes::of(&old.routes, &new.routes, |route| &route.name),
        upstreams: Changes::of(&old.upstreams, &new.upstreams, |upstream| &upstream.name),
        sites: Changes::of(&old.sites, &new.sites, |site| &site.name),
        sections: sections
            .into_iter()
            .filter(|(_, same)| !same)
            .map(|(section, _)| section)
            .collect(),
    }
}

impl ReloadReport {
    pub(crate) fn new(
        differences: Differences,
        hash: String,
        applied: bool,
        connections_kept: usize,
        websockets_kept: usize,
    ) -> Self {
        let Differences { listeners, certificates, routes, upstreams, sites, sections } =
            differences;
        let parts = [&listeners, &certificates, &routes, &upstreams, &sites];
        let changed =
            !sections.is_empty() || parts.into_iter().any(|changes| *changes != Changes::default());
        Self {
            applied,
            hash,
            changed,
            listeners,
            certificates,
            routes,
            upstreams,
            sites,
            sections,
            connections_kept,
            websockets_kept,
        }
    }
}

impl Changes {
    fn of<T: PartialEq>(old: &[T], new: &[T], name: impl Fn(&T) -> &Name) -> Self {
        let names =
            |list: &[T]| -> BTreeSet<Name> { list.iter().map(|item| name(item).clone()).collect() };
        let (old_names, new_names) = (names(old), names(new));
        let text = |name: &Name| name.to_string();
        let find = |list: &[T], wanted: &Name| list.iter().position(|item| name(item) == wanted);
        let differs = |wanted: &&Name| match (find(old, wanted), find(new, wanted)) {
            (Some(before), Some(after)) => old.get(before) != new.get(after),
            _ => false,
        };
        Self {
            added: new_names.difference(&old_names).map(text).collect(),
            removed: old_names.difference(&new_names).map(text).collect(),
            changed: old_names.intersection(&new_names).filter(differs).map(text).collect(),
        }
    }
}

impl fmt::Display for ReloadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("listeners", &self.listeners),
            ("certificates", &self.certificates),
            ("routes", &self.routes),
            ("upstreams", &self.upstreams),
            ("sites", &self.sites),
        ];
        let mut texts = Vec::new();
        for (what, changes) in parts {
            for (how, names) in
                [("+", &changes.added), ("-", &changes.removed), ("~", &changes.changed)]
            {
                texts.extend(names.iter().map(|name| format!("{what} {how}{name}")));
            }
        }
        texts.extend(self.sections.iter().map(|section| format!("[{section}] changed")));
        let text = if texts.is_empty() { "nothing changed".to_owned() } else { texts.join(", ") };
        write!(
            f,
            "{text}; {} connections kept, {} of them WebSockets",
            self.connections_kept, self.websockets_kept
        )
    }
}
