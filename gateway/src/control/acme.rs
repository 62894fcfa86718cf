//! ACME certificates: one maintainer per issuer, kept across reloads, which publishes its
//! certificates to TLS.
//!
//! config → `plan` (everything that can fail) → `apply` (start, publish, stop removed ones).

mod follow;
mod group;
mod settings;
mod storage;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use gateway_acme::{Maintainer, NameSet, Status, SystemClock};
use gateway_config::{AcmeIssuer, CertificateSource, Config, Name};
use tokio_util::sync::CancellationToken;

use crate::control::background::Background;
use crate::control::certificates::{CertificateError, Loaded, Purpose};
use crate::control::config_source::ConfigError;
use crate::metrics::Metrics;
use crate::serving::plane::Plane;
use group::{Entry, Group, Member};
use settings::Inputs;
use storage::{Opened, StorageInputs};

/// How long a start waits for certificates from storage.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// The applied state.
#[derive(Default)]
pub(crate) struct Acme {
    storage: Option<Arc<Opened>>,
    groups: Vec<Running>,
}

struct Running {
    group: Arc<Group>,
    stop: CancellationToken,
}

/// What a configuration requires, including the contents of the files and variables it names.
pub(crate) struct CertificateInputs {
    storage: Option<StorageInputs>,
    issuers: Vec<(AcmeIssuer, Inputs, Vec<Member>)>,
}

/// What a configuration requires, ready to be applied.
pub(crate) struct Plan {
    storage: Option<Arc<Opened>>,
    groups: Vec<(Arc<Group>, Option<Maintainer>)>,
    /// Why storage could not be read, if so.
    pub(crate) trouble: Option<String>,
}

impl CertificateInputs {
    /// Reads all inputs; call it on a thread that may block.
    pub(crate) fn read(config: &Config, purpose: Purpose) -> Result<Self, ConfigError> {
        let storage = config
            .certificate_storage
            .as_ref()
            .map(|wanted| StorageInputs::read(wanted, purpose))
            .transpose();
        Ok(Self {
            storage: storage.map_err(ConfigError::CertificateStorage)?,
            issuers: by_issuer(config)?,
        })
    }
}

impl Plan {
    /// The status of each ordered certificate, as far as storage contains it.
    pub(crate) fn statuses(&self) -> Vec<(Name, Status)> {
        self.groups.iter().flat_map(|(group, _)| group.statuses()).collect()
    }
}

impl Acme {
    /// Prepares a maintainer for each issuer that is new, has other names, or whose files changed.
    /// The ordered certificates in `loaded` are stand-ins and are replaced by certificates in use
    /// or in storage. A dry run writes nothing.
    pub(crate) async fn plan(
        &self,
        required: CertificateInputs,
        loaded: &mut Loaded,
        purpose: Purpose,
    ) -> Result<Plan, ConfigError> {
        let Some(wanted) = required.storage else {
            return Ok(Plan { storage: None, groups: Vec::new(), trouble: None });
        };
        let opened = match &self.storage {
            Some(opened) if opened.is(&wanted) => Arc::clone(opened),
            _ => Arc::new(Opened::new(wanted).map_err(ConfigError::CertificateStorage)?),
        };
        loaded.certificates.share_tickets(opened.ticketer());
        let mut groups = Vec::new();
        for (issuer, inputs, members) in required.issuers {
            let kept = self.groups.iter().map(|running| &running.group);
            let prepared = match kept
                .into_iter()
                .find(|group| group.is(&issuer, &inputs, &opened, &members))
            {
                Some(group) => (Arc::clone(group), None),
                None => self.group(issuer, inputs, &opened, members, loaded)?,
            };
            groups.push(prepared);
        }
        let first_look = async {
            if purpose == Purpose::Serve {
                opened.tend().await;
            }
            let mut trouble = None;
            for maintainer in groups.iter().filter_map(|(_, maintainer)| maintainer.as_ref()) {
                if let Err(error) = maintainer.load().await {
                    tracing::warn!(%error, "cannot read stored certificates yet");
                    trouble = Some(error.to_string());
                }
            }
            trouble
        };
        let trouble = tokio::time::timeout(FIRST_LOOK, first_look).await.unwrap_or_else(|_| {
            tracing::warn!("certificate storage does not respond; continuing without it");
            Some("certificate storage does not respond".to_owned())
        });
        for (group, _) in &groups {
            group.lend(loaded);
        }
        Ok(Plan { storage: Some(opened), groups, trouble })
    }

    /// Applies a plan.
    pub(crate) fn apply(
        &mut self,
        plan: Plan,
        plane: &Plane,
        metrics: &Metrics,
        background: &Background,
    ) {
        plane.answer_challenges(
            plan.groups.iter().map(|(group, _)| Arc::clone(&group.challenges)).collect(),
        );
        let mut before = std::mem::take(&mut self.groups);
        for (group, fresh) in plan.groups {
            let running = before.iter().position(|running| Arc::ptr_eq(&running.group, &group));
            let running = match (running.map(|index| before.swap_remove(index)), fresh) {
                (Some(running), _) => {
                    running.group.prompt.check_now();
                    running
                }
                (None, fresh) => {
                    let stop = background.maintenance.child_token();
                    if let Some(maintainer) = fresh {
                        background.tasks.spawn(maintainer.run(stop.clone()));
                    }
                    background.tasks.spawn(follow::follow(
                        Arc::clone(&group),
                        metrics.clone(),
                        stop.clone(),
                    ));
                    Running { group, stop }
                }
            };
            self.groups.push(running);
        }
        for gone in before {
            gone.stop.cancel();
        }
        if let Some(opened) = &plan.storage {
            opened.start(&background.tasks, &background.maintenance);
        }
        if let Some(old) = std::mem::replace(&mut self.storage, plan.storage)
            && !self.storage.as_ref().is_some_and(|new| Arc::ptr_eq(new, &old))
        {
            old.stop();
        }
    }

    fn group(
        &self,
        issuer: AcmeIssuer,
        inputs: Inputs,
        opened: &Arc<Opened>,
        members: Vec<Member>,
        loaded: &Loaded,
    ) -> Result<(Arc<Group>, Option<Maintainer>), ConfigError> {
        let names = members.iter().map(|(_, names)| names.clone()).collect();
        let settings = settings::settings(&issuer, &inputs, names);
        let maintainer = Maintainer::new(settings, opened.storage(), Arc::new(SystemClock));
        let maintainer = maintainer.map_err(|error| match members.first() {
            Some((name, _)) => refused(name, error.to_string()),
            None => ConfigError::CertificateStorage(error.to_string()),
        })?;
        let mut entries = Vec::new();
        for (name, names) in members.iter().cloned() {
            let served = self.groups.iter().find_map(|running| running.group.served(&names));
            let served = served.map(|key| Arc::new(ArcSwap::new(key)));
            let taken_over = served.is_some();
            let Some(slot) = served.or_else(|| loaded.certificates.get(&name).cloned()) else {
                continue;
            };
            entries.push(Entry::new(name, names, slot, taken_over));
        }
        let group = Group::new(issuer, inputs, Arc::clone(opened), members, entries, &maintainer);
        Ok((Arc::new(group), Some(maintainer)))
    }
}

/// The ordered certificates of a configuration, grouped by issuer; each group shares an account and
/// a maintainer.
fn by_issuer(config: &Config) -> Result<Vec<(AcmeIssuer, Inputs, Vec<Member>)>, ConfigError> {
    let mut groups: Vec<(AcmeIssuer, Inputs, Vec<Member>)> = Vec::new();
    for certificate in &config.certificates {
        let CertificateSource::Acme(acme) = &certificate.source else { continue };
        let name = &certificate.name;
        let names = NameSet::new(acme.names.iter().map(ToString::to_string));
        let member = (name.clone(), names.map_err(|error| refused(name, error.to_string()))?);
        match groups.iter_mut().find(|(issuer, ..)| *issuer == acme.issuer) {
            Some((.., members)) => members.push(member),
            None => {
                let inputs = Inputs::read(&acme.issuer).map_err(|reason| refused(name, reason))?;
                groups.push((acme.issuer.clone(), inputs, vec![member]));
            }
        }
    }
    Ok(groups)
}

fn refused(name: &Name, reason: String) -> ConfigError {
    ConfigError::Certificates(vec![CertificateError { name: name.clone(), reason }])
}
