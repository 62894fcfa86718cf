//! Load → build: everything of a configuration that can be known without binding. A start, a
//! reload, a dry run and `gateway check` come by here.

use std::sync::Arc;

use gateway_config::Config;

use crate::control::acme::{Acme, Plan, Wishes};
use crate::control::certificates::{self, Loaded, Purpose};
use crate::control::config_source::{ConfigError, ConfigSource};
use crate::control::upgrade::{self, Upgrades};
use crate::metrics::Metrics;
use crate::serving::access_log::Pseudonyms;
use crate::serving::snapshot::Snapshot;

/// A configuration that could be served.
pub(crate) struct Candidate {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) loaded: Loaded,
    pub(crate) acme: Plan,
}

/// What a gateway builds with for as long as it runs.
pub(crate) struct Builder {
    pub(crate) source: ConfigSource,
    pub(crate) metrics: Metrics,
    pub(crate) pseudonyms: Pseudonyms,
    pub(crate) upgrades: Upgrades,
}

impl Builder {
    pub(crate) fn new(source: ConfigSource, upgrades: Upgrades) -> Self {
        Self { source, metrics: Metrics::new(), pseudonyms: Pseudonyms::new(), upgrades }
    }

    /// To be served: certificates of the local authority are issued, and state of `previous` is
    /// kept where its configuration did not change.
    pub(crate) async fn build(
        &self,
        acme: &Acme,
        previous: Option<&Snapshot>,
    ) -> Result<Candidate, ConfigError> {
        let (config, loaded, acme) = self.load(acme, Purpose::Serve).await?;
        let (metrics, pseudonyms) = (&self.metrics, &self.pseudonyms);
        let snapshot = Snapshot::build(config, &loaded.certificates, previous, metrics, pseudonyms);
        let snapshot = Arc::new(snapshot.map_err(ConfigError::Unservable)?);
        Ok(Candidate { snapshot, loaded, acme })
    }

    /// A dry run: refuses what [`build`](Self::build) would refuse, and makes and writes nothing.
    pub(crate) async fn dry_run(&self, acme: &Acme) -> Result<Candidate, ConfigError> {
        let (config, loaded, acme) = self.load(acme, Purpose::DryRun).await?;
        let upgrade = config.upgrade.as_ref().filter(|_| self.upgrades != Upgrades::Ignored);
        if let Some(upgrade) = upgrade {
            upgrade::dry_run(&upgrade.socket).map_err(ConfigError::Upgrade)?;
        }
        let snapshot = Snapshot::dry_run(config, &loaded.certificates, &self.pseudonyms);
        let snapshot = Arc::new(snapshot.map_err(ConfigError::Unservable)?);
        Ok(Candidate { snapshot, loaded, acme })
    }

    /// Reads the configuration and its certificates.
    async fn load(
        &self,
        acme: &Acme,
        purpose: Purpose,
    ) -> Result<(Arc<Config>, Loaded, Plan), ConfigError> {
        let source = self.source.clone();
        let loading = tokio::task::spawn_blocking(move || {
            let config = source.load()?;
            let loaded = certificates::load(&config, purpose).map_err(ConfigError::Certificates)?;
            let wishes = Wishes::read(&config, purpose)?;
            Ok::<_, ConfigError>((config, loaded, wishes))
        });
        let loading =
            loading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let (config, mut loaded, wishes) = loading?;
        let plan = acme.plan(wishes, &mut loaded, purpose).await?;
        Ok((Arc::new(config), loaded, plan))
    }
}
