//! Binds the addresses of a candidate that are not bound yet.

use std::net::SocketAddr;

use gateway_config::{ListenAddress, Listener};

use super::super::listeners::{BoundListener, Serving};
use super::{Applied, Ready};
use crate::control::admin;
use crate::control::bind::{BindError, Inherited, Part};
use crate::control::candidate::Candidate;
use crate::control::config_source::ConfigError;
use crate::control::handover::Offer;
use crate::control::upgrade::{BoundSocket, Upgrades};

impl Applied {
    /// Binds every address that neither this process nor its predecessor has bound.
    pub(in crate::control::gateway) fn bind(
        &self,
        candidate: Candidate,
        inherited: &mut Inherited,
        upgrades: Upgrades,
    ) -> Result<Ready, ConfigError> {
        let Candidate { snapshot, loaded, acme } = candidate;
        let config = snapshot.config();
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            if let Some(bound) = self.bind_listener(listener, inherited)? {
                listeners.push((listener.name.clone(), bound));
            }
        }
        let admin = match &config.admin {
            Some(admin) => self.bind_admin(admin.address, inherited)?,
            None => None,
        };
        let upgrade = match &config.upgrade {
            Some(_) if upgrades == Upgrades::Ignored => {
                tracing::warn!("`[upgrade]` is ignored: this program does more than run a gateway");
                None
            }
            Some(upgrade) if self.offer.as_ref().map(Offer::path) != Some(&upgrade.socket) => {
                let bound = BoundSocket::make(&upgrade.socket, inherited.is_from_running());
                Some(bound.map_err(ConfigError::Upgrade)?)
            }
            _ => None,
        };
        Ok(Ready { snapshot, loaded, acme, listeners, admin, upgrade })
    }

    /// `None` if the listener already accepts there.
    fn bind_listener(
        &self,
        listener: &Listener,
        inherited: &mut Inherited,
    ) -> Result<Option<BoundListener>, ConfigError> {
        let key = format!("listener `{}`, key `address`", listener.name);
        let bound = match self.serving(&listener.address) {
            Some(serving) if serving.name == listener.name => return Ok(None),
            Some(serving) => BoundListener::again(&key, serving),
            None => {
                let part = Part::Listener(listener.name.clone());
                BoundListener::bind(&key, &part, &listener.address, inherited)
            }
        };
        bound.map(Some).map_err(|error| ConfigError::Bind(self.explain(error, inherited)))
    }

    fn bind_admin(
        &self,
        address: SocketAddr,
        inherited: &mut Inherited,
    ) -> Result<Option<(SocketAddr, BoundListener)>, ConfigError> {
        if self.admin.as_ref().map(admin::Server::configured) == Some(address) {
            return Ok(None);
        }
        let wanted = ListenAddress::Socket(address);
        let key = "`[admin]`, key `address`";
        match BoundListener::bind(key, &Part::Admin, &wanted, inherited) {
            Ok(bound) => Ok(Some((address, bound))),
            Err(error) => Err(ConfigError::Bind(self.explain(error, inherited))),
        }
    }

    /// Finds the listener, of this gateway or of its predecessor, that holds an address in use:
    /// `localhost:8443` conflicts with `[::]:8443`.
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
}
