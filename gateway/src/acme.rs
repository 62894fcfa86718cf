//! ACME at work: one maintainer for the certificates of one issuer, kept over reloads, publishing to where TLS serves from.
//!
//! config → `prepare` (everything that can fail) → `take` (start, publish, end what is gone).

mod follow;
mod settings;
mod storage;

use crate::{
    certificates::{self, CertificateError, Loaded},
    config_source::ConfigError,
    gateway::Handle,
    tls::Slot,
};
use arc_swap::ArcSwap;
use gateway_acme::{Certificates, Challenges, Maintainer, NameSet, Prompt, Status, SystemClock};
use gateway_config::{AcmeIssuer, CertificateSource, CertificateStorage, Config, Name};
use rustls::sign::CertifiedKey;
use std::{sync::Arc, time::Duration};
use storage::Opened;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long a start waits for what storage holds already.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// What is in effect.
#[derive(Default)]
pub(crate) struct Acme {
    storage: Option<Arc<Opened>>,
    groups: Vec<Running>,
}

struct Running {
    group: Arc<Group>,
    stop: CancellationToken,
}

/// The certificates of one issuer.
struct Group {
    issuer: AcmeIssuer,
    storage: CertificateStorage,
    entries: Vec<Entry>,
    challenges: Arc<Challenges>,
    certificates: watch::Receiver<Arc<Certificates>>,
    statuses: watch::Receiver<Arc<[Status]>>,
    prompt: Prompt,
}

/// One certificate.
struct Entry {
    name: Name,
    names: NameSet,
    slot: Slot,
    /// Whether it was taken over from a maintainer that a reload ended: better than any stand-in.
    taken_over: bool,
}

/// What a configuration asks for, ready to take effect.
pub(crate) struct Prepared {
    storage: Option<Arc<Opened>>,
    groups: Vec<(Arc<Group>, Option<Maintainer>)>,
}

impl Acme {
    /// Opens storage and prepares a maintainer for each issuer that is new or has other names. What `loaded` holds for
    /// ordered certificates are stand-ins; they are replaced by what is served already or found in storage.
    pub(crate) async fn prepare(&self, config: &Config, loaded: &mut Loaded) -> Result<Prepared, ConfigError> {
        let storage = match &config.certificate_storage {
            None => None,
            Some(wanted) => match &self.storage {
                Some(opened) if opened.config == *wanted => Some(Arc::clone(opened)),
                _ => Some(Arc::new(Opened::open(wanted).map_err(ConfigError::CertificateStorage)?)),
            },
        };
        let Some(opened) = &storage else { return Ok(Prepared { storage, groups: Vec::new() }) };
        loaded.certificates.share_tickets(opened.ticketer());
        let mut groups = Vec::new();
        for (issuer, members) in by_issuer(config)? {
            let kept =
                self.groups.iter().map(|running| &running.group).find(|group| group.is(&issuer, opened, &members));
            let prepared = match kept {
                Some(group) => (Arc::clone(group), None),
                None => self.group(issuer, opened, members, loaded)?,
            };
            groups.push(prepared);
        }
        let first_look = async {
            opened.tend().await;
            for maintainer in groups.iter().filter_map(|(_, maintainer)| maintainer.as_ref()) {
                if let Err(error) = maintainer.load().await {
                    tracing::warn!(%error, "cannot look for stored certificates yet");
                }
            }
        };
        if tokio::time::timeout(FIRST_LOOK, first_look).await.is_err() {
            tracing::warn!("certificate storage does not answer; going on without");
        }
        for (group, _) in &groups {
            group.lend(loaded);
        }
        Ok(Prepared { storage, groups })
    }

    /// Takes it into effect.
    pub(crate) fn take(&mut self, prepared: Prepared, handle: &Handle) {
        let state = handle.state();
        state.plane.answer_challenges(prepared.groups.iter().map(|(group, _)| Arc::clone(&group.challenges)).collect());
        let mut before = std::mem::take(&mut self.groups);
        for (group, fresh) in prepared.groups {
            let running = before.iter().position(|running| Arc::ptr_eq(&running.group, &group));
            let running = match (running.map(|index| before.swap_remove(index)), fresh) {
                (Some(running), _) => {
                    running.group.prompt.check_now();
                    running
                }
                (None, fresh) => {
                    let stop = state.upkeep.child_token();
                    if let Some(maintainer) = fresh {
                        state.tasks.spawn(maintainer.run(stop.clone()));
                    }
                    state.tasks.spawn(follow::follow(Arc::clone(&group), handle.metrics().clone(), stop.clone()));
                    Running { group, stop }
                }
            };
            self.groups.push(running);
        }
        for gone in before {
            gone.stop.cancel();
        }
        if let Some(opened) = &prepared.storage {
            opened.start(&state.tasks, &state.upkeep);
        }
        if let Some(old) = std::mem::replace(&mut self.storage, prepared.storage)
            && !self.storage.as_ref().is_some_and(|new| Arc::ptr_eq(new, &old))
        {
            old.stop();
        }
    }

    fn group(
        &self,
        issuer: AcmeIssuer,
        opened: &Opened,
        members: Vec<Member>,
        loaded: &Loaded,
    ) -> Result<(Arc<Group>, Option<Maintainer>), ConfigError> {
        let refused = |reason: String| match members.first() {
            Some((name, _)) => ConfigError::Certificates(vec![CertificateError { name: name.clone(), reason }]),
            None => ConfigError::CertificateStorage(reason),
        };
        let names = members.iter().map(|(_, names)| names.clone()).collect();
        let settings = settings::settings(&issuer, names).map_err(refused)?;
        let maintainer = Maintainer::new(settings, opened.storage(), Arc::new(SystemClock));
        let maintainer = maintainer.map_err(|error| refused(error.to_string()))?;
        let mut entries = Vec::new();
        for (name, names) in members {
            let served = self.served(&names).map(|key| Arc::new(ArcSwap::new(key)));
            let taken_over = served.is_some();
            let Some(slot) = served.or_else(|| loaded.certificates.get(&name).cloned()) else { continue };
            entries.push(Entry { name, names, slot, taken_over });
        }
        let group = Group {
            issuer,
            storage: opened.config.clone(),
            entries,
            challenges: maintainer.challenges(),
            certificates: maintainer.certificates(),
            statuses: maintainer.statuses(),
            prompt: maintainer.prompt(),
        };
        Ok((Arc::new(group), Some(maintainer)))
    }

    /// What is served for these names now, unless it is a stand-in.
    fn served(&self, names: &NameSet) -> Option<Arc<CertifiedKey>> {
        self.groups.iter().find_map(|running| {
            let entry = running.group.entries.iter().find(|entry| entry.names == *names)?;
            let ordered = entry.taken_over || running.group.certificates.borrow().of(names).is_some();
            ordered.then(|| entry.slot.load_full())
        })
    }
}

impl Group {
    fn is(&self, issuer: &AcmeIssuer, opened: &Opened, members: &[Member]) -> bool {
        let mine = self.entries.iter().map(|entry| (&entry.name, &entry.names));
        self.issuer == *issuer && self.storage == opened.config && mine.eq(members.iter().map(|(n, s)| (n, s)))
    }

    /// Puts what was ordered, if anything, where TLS serves from.
    fn publish(&self) {
        let certificates = self.certificates.borrow();
        for entry in &self.entries {
            if let Some(certificate) = certificates.of(&entry.names) {
                entry.slot.store(Arc::clone(&certificate.key));
            }
        }
    }

    /// Lets TLS serve from here, and tells what is served.
    fn lend(&self, loaded: &mut Loaded) {
        for entry in &self.entries {
            let ordered = entry.taken_over || self.certificates.borrow().of(&entry.names).is_some();
            if let (false, Some(stand_in)) = (ordered, loaded.certificates.get(&entry.name)) {
                entry.slot.store(stand_in.load_full());
            }
        }
        self.publish();
        for entry in &self.entries {
            loaded.certificates.insert_slot(entry.name.clone(), Arc::clone(&entry.slot));
            if let Some(facts) = entry.slot.load().cert.first().and_then(certificates::facts) {
                loaded.facts.insert(entry.name.clone(), facts);
            }
        }
    }
}

/// A certificate of the configuration.
type Member = (Name, NameSet);
type ByIssuer = Vec<(AcmeIssuer, Vec<Member>)>;

/// The ordered certificates of a configuration; those of one issuer share an account and a maintainer.
fn by_issuer(config: &Config) -> Result<ByIssuer, ConfigError> {
    let mut groups = ByIssuer::new();
    for certificate in &config.certificates {
        let CertificateSource::Acme(acme) = &certificate.source else { continue };
        let names = NameSet::new(acme.names.iter().map(ToString::to_string)).map_err(|error| {
            let (name, reason) = (certificate.name.clone(), error.to_string());
            ConfigError::Certificates(vec![CertificateError { name, reason }])
        })?;
        let member = (certificate.name.clone(), names);
        match groups.iter_mut().find(|(issuer, _)| *issuer == acme.issuer) {
            Some((_, members)) => members.push(member),
            None => groups.push((acme.issuer.clone(), vec![member])),
        }
    }
    Ok(groups)
}
