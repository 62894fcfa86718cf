//! The certificates of one issuer, and the slots from which TLS serves them.

use std::sync::Arc;

use gateway_acme::{Certificates, Challenges, Maintainer, NameSet, Prompt, Status};
use gateway_config::{AcmeIssuer, Name};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use super::settings::Inputs;
use super::storage::Opened;
use crate::control::certificates::{self, Loaded};
use crate::serving::tls::Slot;

/// A certificate of the configuration.
pub(super) type Member = (Name, NameSet);

pub(super) struct Group {
    issuer: AcmeIssuer,
    inputs: Inputs,
    storage: Arc<Opened>,
    members: Vec<Member>,
    /// Certificates that have something to serve, possibly a stand-in.
    pub(super) entries: Vec<Entry>,
    pub(super) challenges: Arc<Challenges>,
    pub(super) certificates: watch::Receiver<Arc<Certificates>>,
    pub(super) statuses: watch::Receiver<Arc<[Status]>>,
    pub(super) prompt: Prompt,
}

/// One certificate.
pub(super) struct Entry {
    pub(super) name: Name,
    pub(super) names: NameSet,
    slot: Slot,
    /// Whether it was kept from a maintainer that a reload stopped; such a certificate is better
    /// than a stand-in.
    pub(super) taken_over: bool,
}

impl Entry {
    pub(super) fn new(name: Name, names: NameSet, slot: Slot, taken_over: bool) -> Self {
        Self { name, names, slot, taken_over }
    }
}

impl Group {
    pub(super) fn new(
        issuer: AcmeIssuer,
        inputs: Inputs,
        storage: Arc<Opened>,
        members: Vec<Member>,
        entries: Vec<Entry>,
        maintainer: &Maintainer,
    ) -> Self {
        Self {
            issuer,
            inputs,
            storage,
            members,
            entries,
            challenges: maintainer.challenges(),
            certificates: maintainer.certificates(),
            statuses: maintainer.statuses(),
            prompt: maintainer.prompt(),
        }
    }

    /// Whether the group can stay as it is: nothing changed, including the contents of files named
    /// in the configuration.
    pub(super) fn is(
        &self,
        issuer: &AcmeIssuer,
        inputs: &Inputs,
        storage: &Arc<Opened>,
        members: &[Member],
    ) -> bool {
        self.issuer == *issuer
            && self.inputs == *inputs
            && Arc::ptr_eq(&self.storage, storage)
            && self.members == members
    }

    /// The status of each certificate, by name.
    pub(super) fn statuses(&self) -> Vec<(Name, Status)> {
        let name = |status: &Status| self.members.iter().find(|(_, names)| *names == status.names);
        let statuses = self.statuses.borrow();
        statuses
            .iter()
            .filter_map(|status| Some((name(status)?.0.clone(), status.clone())))
            .collect()
    }

    /// The certificate served for these names, unless it is a stand-in.
    pub(super) fn served(&self, names: &NameSet) -> Option<Arc<CertifiedKey>> {
        let entry = self.entries.iter().find(|entry| entry.names == *names)?;
        self.is_ordered(entry).then(|| entry.slot.load_full())
    }

    /// Moves ordered certificates to the slots that TLS serves from.
    pub(super) fn publish(&self) {
        let certificates = self.certificates.borrow();
        for entry in &self.entries {
            if let Some(certificate) = certificates.of(&entry.names) {
                entry.slot.store(Arc::clone(&certificate.key));
            }
        }
    }

    /// Makes TLS serve from these slots, and adds the metadata of what is served.
    pub(super) fn lend(&self, loaded: &mut Loaded) {
        for entry in &self.entries {
            if let (false, Some(stand_in)) =
                (self.is_ordered(entry), loaded.certificates.get(&entry.name))
            {
                entry.slot.store(stand_in.load_full());
            }
        }
        self.publish();
        for entry in &self.entries {
            loaded.certificates.insert_slot(entry.name.clone(), Arc::clone(&entry.slot));
            if !loaded.to_come.contains_key(&entry.name)
                && let Some(facts) = entry.slot.load().cert.first().and_then(certificates::facts)
            {
                loaded.facts.insert(entry.name.clone(), facts);
            }
        }
    }

    fn is_ordered(&self, entry: &Entry) -> bool {
        entry.taken_over || self.certificates.borrow().of(&entry.names).is_some()
    }
}
