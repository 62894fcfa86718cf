//! Load → build: every step of applying a configuration that does not bind. Used by start, reload,
//! dry run and `gateway check`.

use std::sync::Arc;

use gateway_config::Config;

use crate::control::acme::{Acme, CertificateInputs, Plan};
use crate::control::certificates::{self, Loaded, Purpose};
use crate::control::config_source::{ConfigError, ConfigSource};
use crate::control::upgrade::{self, Upgrades};
use crate::metrics::Metrics;
use crate::serving::access_log::Pseudonyms;
use crate::serving::snapshot::Snapshot;

/// A configuration that is ready to bind and apply.
pub(crate) struct Candidate {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) loaded: Loaded,
    pub(crate) acme: Plan,
}

/// Builds candidates for the lifetime of a gateway.
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

    /// Builds a candidate to serve: issues certificates of the local authority and keeps state of
    /// `previous` where its configuration did not change.
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

    /// Builds a candidate for a dry run: fails where [`build`](Self::build) would fail, but creates
    /// and writes nothing.
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

    /// Loads the configuration and its certificates.
    async fn load(
        &self,
        acme: &Acme,
        purpose: Purpose,
    ) -> Result<(Arc<Config>, Loaded, Plan), ConfigError> {
        let source = self.source.clone();
        let loading = tokio::task::spawn_blocking(move || {
            let config = source.load()?;
            let loaded = certificates::load(&config, purpose).map_err(ConfigError::Certificates)?;
            let inputs = CertificateInputs::read(&config, purpose)?;
            Ok::<_, ConfigError>((config, loaded, inputs))
        });
        let loading =
            loading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let (config, mut loaded, inputs) = loading?;
        let plan = acme.plan(inputs, &mut loaded, purpose).await?;
        Ok((Arc::new(config), loaded, plan))
    }
}
