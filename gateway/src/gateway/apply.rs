//! Puts a configuration into effect: what can fail is done before, what is done then cannot fail.

use super::{
    Handle, admin,
    listeners::{self, Serving},
};
use crate::{
    bind::{BindError, Bound},
    certificates::{self, Loaded},
    config_source::{ConfigError, ConfigSource},
};
use gateway_config::{Config, ListenAddress, Listener, Name, Protocol};
use std::{net::SocketAddr, sync::Arc};

/// What is in effect besides the snapshot.
#[derive(Default)]
pub(crate) struct Effect {
    listeners: Vec<Serving>,
    admin: Option<admin::Server>,
    pub(crate) certificates: Loaded,
}

/// Addresses newly bound for a configuration that is about to take effect.
pub(crate) struct Bindings {
    listeners: Vec<(Listener, Bound)>,
    admin: Option<(SocketAddr, Bound)>,
}

/// Reads the configuration and its certificates; on a thread that may block.
pub(crate) async fn load(source: &ConfigSource) -> Result<(Config, Loaded), ConfigError> {
    let source = source.clone();
    let loading = tokio::task::spawn_blocking(move || {
        let config = source.load()?;
        let loaded = certificates::load(&config).map_err(ConfigError::Certificates)?;
        Ok((config, loaded))
    });
    loading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

impl Bindings {
    /// Binds every address of the configuration that is not bound already.
    pub(crate) fn new(config: &Config, effect: Option<&Effect>) -> Result<Self, ConfigError> {
        let is_bound = |address: &ListenAddress| effect.is_some_and(|effect| effect.serving(address).is_some());
        let mut listeners = Vec::new();
        for listener in config.listeners.iter().filter(|listener| !is_bound(&listener.address)) {
            listeners.push((listener.clone(), listeners::bind(listener).map_err(ConfigError::Bind)?));
        }
        let bound_admin = effect.and_then(|effect| effect.admin.as_ref()).map(admin::Server::configured);
        let admin = match &config.admin {
            Some(admin) if bound_admin != Some(admin.address) => {
                Some((admin.address, listeners::bind_admin(admin.address).map_err(ConfigError::Bind)?))
            }
            _ => None,
        };
        Ok(Self { listeners, admin })
    }
}

impl Effect {
    /// Begins to serve what is new. The snapshot must be in place.
    pub(crate) fn take_effect(&mut self, handle: &Handle, bound: Bindings, loaded: Loaded) -> Result<(), ConfigError> {
        let state = handle.state();
        let config = handle.config();
        for (listener, bound) in bound.listeners {
            let address = bound.addresses.first().copied();
            let serving = Serving::start(&state.plane, &listener.name, &listener.address, bound);
            self.listeners.push(serving.map_err(|error| register_error(&listener.name, address, error))?);
        }
        if let Some((configured, bound)) = bound.admin {
            let address = bound.addresses.first().copied();
            let server = admin::Server::start(handle.clone(), configured, bound);
            self.admin = Some(server.map_err(|error| {
                let address = address.unwrap_or(configured);
                ConfigError::Bind(BindError { key: "`[admin]`, key `address`".to_owned(), address, error })
            })?);
        }
        if let Some(port) = self.https_port(&config) {
            state.plane.set_https_port(port);
        }
        self.announce(&config, loaded, handle);
        Ok(())
    }

    /// Ends what the configuration in effect no longer has.
    pub(crate) async fn retire(&mut self, handle: &Handle, bindings_had_admin: bool, old_admin: Option<admin::Server>) {
        let state = handle.state();
        let config = handle.config();
        let mut kept = Vec::new();
        for serving in std::mem::take(&mut self.listeners) {
            match config.listeners.iter().find(|listener| listener.address == serving.address) {
                Some(listener) if listener.name == serving.name => kept.push(serving),
                Some(listener) => {
                    let (name, address) = (listener.name.clone(), listener.address.clone());
                    let bound = serving.stop().await;
                    match Serving::start(&state.plane, &name, &address, bound) {
                        Ok(serving) => kept.push(serving),
                        Err(error) => tracing::error!(listener = %name, %error, "cannot go on under another name"),
                    }
                }
                None => drop(serving.stop().await),
            }
        }
        self.listeners = kept;
        let _ = (bindings_had_admin, old_admin);
    }

    pub(crate) async fn stop_accepting(&mut self) {
        for serving in std::mem::take(&mut self.listeners) {
            drop(serving.stop().await);
        }
    }

    pub(crate) async fn stop_admin(&mut self) {
        if let Some(admin) = self.admin.take() {
            admin.stop().await;
        }
    }

    pub(crate) fn addresses(&self) -> Vec<(Name, SocketAddr)> {
        let all = self.listeners.iter().flat_map(|serving| {
            serving.bound.addresses.iter().map(|address| (serving.name.clone(), *address))
        });
        all.collect()
    }

    pub(crate) fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(admin::Server::address)
    }

    fn serving(&self, address: &ListenAddress) -> Option<&Serving> {
        self.listeners.iter().find(|serving| serving.address == *address)
    }

    /// The port that the first https listener really has.
    fn https_port(&self, config: &Config) -> Option<u16> {
        let first = config.listeners.iter().find(|listener| matches!(listener.protocol, Protocol::Https { .. }))?;
        self.serving(&first.address)?.bound.addresses.first().map(SocketAddr::port)
    }

    fn announce(&mut self, config: &Arc<Config>, loaded: Loaded, handle: &Handle) {
        let metrics = handle.metrics();
        for (name, facts) in &loaded.facts {
            metrics.certificate_expiry(name.as_str(), facts.not_after);
        }
        metrics.config_in_use(&config.hash, jiff::Timestamp::now().as_duration().as_secs_f64());
        self.certificates = loaded;
    }
}
