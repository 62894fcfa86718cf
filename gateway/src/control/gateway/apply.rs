//! Puts a configuration into effect: what can fail is done before, what is done then cannot fail.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use gateway_config::{CertificateSource, Config, ListenAddress, Listener, Name, Protocol};

use super::Handle;
use super::listeners::{self, Serving};
use crate::control::acme::{Acme, Prepared, Wishes};
use crate::control::admin;
use crate::control::bind::BindError;
use crate::control::certificates::{self, Loaded, Purpose};
use crate::control::config_source::{ConfigError, ConfigSource};
use crate::control::upgrade::{self, Inherited, Offer, Part, Upgrades};
use crate::serving::access_log::Pseudonyms;
use crate::serving::snapshot::Snapshot;

/// Reads the configuration and its certificates; a look changes nothing anywhere.
pub(crate) async fn load(
    source: &ConfigSource,
    acme: &Acme,
    purpose: Purpose,
) -> Result<(Config, Loaded, Prepared), ConfigError> {
    let source = source.clone();
    let loading = tokio::task::spawn_blocking(move || {
        let config = source.load()?;
        let loaded = certificates::load(&config, purpose).map_err(ConfigError::Certificates)?;
        let wishes = Wishes::read(&config, purpose)?;
        Ok((config, loaded, wishes))
    });
    let loading =
        loading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    let (config, mut loaded, wishes): (Config, Loaded, Wishes) = loading?;
    let prepared = acme.prepare(wishes, &mut loaded, purpose).await?;
    Ok((config, loaded, prepared))
}

/// Everything of a configuration that can be known without binding, making or writing anything.
pub(crate) struct Rehearsed {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) loaded: Loaded,
    pub(crate) acme: Prepared,
}

/// Reads and builds as a start or a reload does, and refuses what they would refuse; nothing
/// changes anywhere. `gateway check` and the forecast of a reload both come by here.
pub(crate) async fn rehearse(
    source: &ConfigSource,
    acme: &Acme,
    pseudonyms: &Pseudonyms,
    upgrades: Upgrades,
) -> Result<Rehearsed, ConfigError> {
    let (config, loaded, acme) = load(source, acme, Purpose::Look).await?;
    if let Some(upgrade) = config.upgrade.as_ref().filter(|_| upgrades != Upgrades::Ignored) {
        upgrade::look(&upgrade.socket).map_err(ConfigError::Upgrade)?;
    }
    let snapshot = Snapshot::rehearse(Arc::new(config), &loaded.certificates, pseudonyms);
    let snapshot = Arc::new(snapshot.map_err(ConfigError::Unservable)?);
    Ok(Rehearsed { snapshot, loaded, acme })
}

/// What is in effect besides the snapshot.
#[derive(Default)]
pub(crate) struct Effect {
    listeners: Vec<Serving>,
    admin: Option<admin::Server>,
    certificates: Loaded,
    acme: Acme,
    offer: Option<Offer>,
    over: bool,
}

/// Everything that a configuration needs and that could have failed.
pub(crate) struct Ready {
    snapshot: Arc<Snapshot>,
    loaded: Loaded,
    acme: Prepared,
    listeners: Vec<(Name, listeners::Prepared)>,
    admin: Option<(SocketAddr, listeners::Prepared)>,
    upgrade: Option<upgrade::Prepared>,
}

impl Ready {
    /// Binds every address that is not bound already, by this process or by the one that it takes
    /// over.
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        loaded: Loaded,
        acme: Prepared,
        effect: &Effect,
        inherited: &mut Inherited,
        upgrades: Upgrades,
    ) -> Result<Self, ConfigError> {
        let config = snapshot.config();
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            let key = format!("listener `{}`, key `address`", listener.name);
            let prepared = match effect.serving(&listener.address) {
                Some(serving) if serving.name == listener.name => continue,
                Some(serving) => listeners::Prepared::again(&key, serving),
                None => {
                    let part = Part::Listener(listener.name.clone());
                    listeners::Prepared::bind(&key, &part, &listener.address, inherited)
                }
            };
            let prepared =
                prepared.map_err(|error| ConfigError::Bind(effect.explain(error, inherited)))?;
            listeners.push((listener.name.clone(), prepared));
        }
        let admin = match &config.admin {
            Some(admin)
                if effect.admin.as_ref().map(admin::Server::configured) != Some(admin.address) =>
            {
                let address = ListenAddress::Socket(admin.address);
                let prepared = listeners::Prepared::bind(
                    "`[admin]`, key `address`",
                    &Part::Admin,
                    &address,
                    inherited,
                );
                let prepared = prepared
                    .map_err(|error| ConfigError::Bind(effect.explain(error, inherited)))?;
                Some((admin.address, prepared))
            }
            _ => None,
        };
        let upgrade = match &config.upgrade {
            Some(_) if upgrades == Upgrades::Ignored => {
                tracing::warn!("`[upgrade]` has no effect: this program is more than a gateway");
                None
            }
            Some(upgrade) if effect.offer.as_ref().map(Offer::path) != Some(&upgrade.socket) => {
                let prepared =
                    upgrade::Prepared::make(&upgrade.socket, inherited.is_from_running());
                Some(prepared.map_err(ConfigError::Upgrade)?)
            }
            _ => None,
        };
        Ok(Self { snapshot, loaded, acme, listeners, admin, upgrade })
    }

    /// Takes the upgrade socket out: to be put in its place later.
    pub(crate) fn hold_back_upgrade(&mut self) -> Option<upgrade::Prepared> {
        self.upgrade.take()
    }
}

impl Effect {
    /// Takes a configuration into effect.
    pub(crate) async fn take(&mut self, ready: Ready, handle: &Handle) {
        let state = handle.state();
        let config = Arc::clone(ready.snapshot.config());
        // First stop what accepts for a listener that is gone: it would not know what to do with a
        // connection.
        let stays = |serving: &Serving| {
            let same = |listener: &&Listener| {
                listener.address == serving.address && listener.name == serving.name
            };
            config.listeners.iter().find(same).is_some()
        };
        let (kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.listeners).into_iter().partition(stays);
        for serving in gone {
            serving.stop().await;
        }
        self.listeners = kept;
        if let Some(tracer) = &ready.snapshot.tracer {
            tracer.start(&state.tasks, &state.end);
        }
        state.snapshot.store(ready.snapshot);
        for (name, prepared) in ready.listeners {
            self.listeners.push(Serving::start(&state.plane, name, prepared));
        }
        if let Some(port) = self.https_port(&config) {
            state.plane.set_https_port(port);
        }
        self.replace_admin(ready.admin, &config, handle);
        self.note(&config, ready.loaded, handle);
        self.acme.take(ready.acme, handle);
        if ready.upgrade.is_some() || config.upgrade.is_none() {
            self.offer(ready.upgrade, handle).await;
        }
    }

    /// Offers itself to successors at this socket, and no longer at the one before.
    pub(crate) async fn offer(&mut self, prepared: Option<upgrade::Prepared>, handle: &Handle) {
        let offer = prepared.and_then(|prepared| prepared.open(handle));
        if let Some(old) = std::mem::replace(&mut self.offer, offer) {
            old.close(handle.is_superseded()).await;
        }
    }

    /// Every listening socket once more, for a successor: what it is for, and its address as
    /// configured.
    pub(crate) fn sockets(&self) -> io::Result<Vec<(Part, ListenAddress, TcpListener)>> {
        let listeners = self.listeners.iter().map(|serving| {
            (Part::Listener(serving.name.clone()), serving.address.clone(), &serving.bound)
        });
        let admin = self
            .admin
            .iter()
            .map(|admin| (Part::Admin, ListenAddress::Socket(admin.configured()), admin.bound()));
        let each = listeners.chain(admin).flat_map(|(part, configured, bound)| {
            bound
                .sockets
                .iter()
                .map(move |socket| Ok((part.clone(), configured.clone(), socket.try_clone()?)))
        });
        each.collect()
    }

    /// Whether it has stopped accepting for good.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Stops accepting on every listener and closes their sockets. Nothing takes effect afterwards.
    pub(crate) async fn stop_accepting(&mut self) {
        self.over = true;
        for serving in std::mem::take(&mut self.listeners) {
            serving.stop().await;
        }
    }

    /// Stops the admin server; requests may still arrive within this time on connections that are
    /// open.
    pub(crate) async fn stop_admin(&mut self, arrive: Duration) {
        if let Some(admin) = self.admin.take() {
            admin.stop(arrive).await;
        }
    }

    pub(crate) fn addresses(&self) -> Vec<(Name, SocketAddr)> {
        let of = |serving: &Serving| -> Vec<_> {
            serving.bound.addresses.iter().map(|address| (serving.name.clone(), *address)).collect()
        };
        self.listeners.iter().flat_map(of).collect()
    }

    pub(crate) fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(admin::Server::address)
    }

    pub(crate) fn certificates(&self) -> &Loaded {
        &self.certificates
    }

    pub(crate) fn acme(&self) -> &Acme {
        &self.acme
    }

    /// An address that is in use may be in use by ourselves, or by the gateway before us:
    /// `localhost:8443` stands in the way of `[::]:8443`.
    fn explain(&self, error: BindError, inherited: &Inherited) -> BindError {
        let wanted = error.address;
        let overlaps = |held: &SocketAddr| {
            let any = held.ip().is_unspecified() || wanted.ip().is_unspecified();
            held.port() == wanted.port() && (any || held.ip() == wanted.ip())
        };
        let holds = |serving: &&Serving| serving.bound.addresses.iter().any(overlaps);
        let listener =
            self.listeners.iter().find(holds).map(|serving| format!("listener `{}`", serving.name));
        let admin = || self.admin_address().filter(overlaps).map(|_| "`[admin]`".to_owned());
        let before = || {
            inherited
                .left()
                .find(|(_, address)| overlaps(address))
                .map(|(part, _)| part.to_string())
        };
        BindError { held_by: listener.or_else(admin).or_else(before), ..error }
    }

    fn serving(&self, address: &ListenAddress) -> Option<&Serving> {
        self.listeners.iter().find(|serving| serving.address == *address)
    }

    /// The port that the first https listener really has.
    fn https_port(&self, config: &Config) -> Option<u16> {
        let first = config
            .listeners
            .iter()
            .find(|listener| matches!(listener.protocol, Protocol::Https { .. }))?;
        self.serving(&first.address)?.bound.addresses.first().map(SocketAddr::port)
    }

    fn replace_admin(
        &mut self,
        new: Option<(SocketAddr, listeners::Prepared)>,
        config: &Config,
        handle: &Handle,
    ) {
        if new.is_none() && config.admin.is_some() {
            return;
        }
        let started = new.map(|(configured, prepared)| {
            let (bound, sockets) = prepared.into_sockets();
            admin::Server::start(handle.clone(), configured, bound, sockets)
        });
        if let Some(old) = std::mem::replace(&mut self.admin, started) {
            // Not waited for: the request that asked for this reload may be one of those it
            // finishes.
            handle.state().tasks.spawn(old.stop(admin::ARRIVE));
        }
    }

    fn note(&mut self, config: &Config, loaded: Loaded, handle: &Handle) {
        let metrics = handle.metrics();
        metrics.retain(
            |route| config.routes.iter().any(|kept| kept.name.as_str() == route),
            |upstream| config.upstreams.iter().any(|kept| kept.name.as_str() == upstream),
            |certificate| config.certificates.iter().any(|kept| kept.name.as_str() == certificate),
        );
        for certificate in &config.certificates {
            match certificate.source {
                CertificateSource::SelfSigned { .. } => {
                    metrics.certificate_source(certificate.name.as_str(), "self_signed");
                }
                CertificateSource::Files { .. } => {
                    metrics.certificate_source(certificate.name.as_str(), "files")
                }
                // Told by who maintains it.
                CertificateSource::Acme(_) => {}
            }
        }
        for (name, facts) in &loaded.facts {
            metrics.certificate_expiry(name.as_str(), facts.not_after);
        }
        metrics.config_in_use(&config.hash, jiff::Timestamp::now().as_duration().as_secs_f64());
        if let Some(telemetry) = &handle.state().options.telemetry {
            telemetry.follow(&config.log);
        }
        self.certificates = loaded;
    }
}
