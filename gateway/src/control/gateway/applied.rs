//! The running parts besides the snapshot, owned by the control task. [`bind`](Applied::bind) can
//! fail; [`apply`](Applied::apply) cannot.

mod apply;
mod bind;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Weak};
use std::time::Duration;

use gateway_config::{ListenAddress, Name};

use super::listeners::{BoundListener, Serving};
use crate::control::acme::{Acme, Plan};
use crate::control::admin;
use crate::control::background::Background;
use crate::control::bind::Part;
use crate::control::certificates::Loaded;
use crate::control::handle::{Handle, Handover, HandoverError};
use crate::control::handover::Offer;
use crate::control::telemetry::Telemetry;
use crate::control::upgrade::BoundSocket;
use crate::serving::plane::Plane;
use crate::serving::snapshot::Snapshot;

/// The running parts of the current configuration.
pub(super) struct Applied {
    plane: Arc<Plane>,
    handle: Handle,
    background: Background,
    telemetry: Option<Telemetry>,
    listeners: Vec<Serving>,
    admin: Option<admin::Server>,
    certificates: Loaded,
    acme: Acme,
    offer: Option<Offer>,
    /// The upgrade socket, to be published when the predecessor has stopped accepting.
    held_back: Option<BoundSocket>,
    /// The successor that holds the sockets.
    successor: Weak<()>,
}

/// The results of all fallible steps for a configuration.
pub(super) struct Ready {
    pub(super) snapshot: Arc<Snapshot>,
    loaded: Loaded,
    acme: Plan,
    listeners: Vec<(Name, BoundListener)>,
    admin: Option<(SocketAddr, BoundListener)>,
    upgrade: Option<BoundSocket>,
}

impl Applied {
    /// Starts with no running parts.
    pub(super) fn new(
        plane: Arc<Plane>,
        handle: Handle,
        background: Background,
        telemetry: Option<Telemetry>,
    ) -> Self {
        Self {
            plane,
            handle,
            background,
            telemetry,
            listeners: Vec::new(),
            admin: None,
            certificates: Loaded::default(),
            acme: Acme::default(),
            offer: None,
            held_back: None,
            successor: Weak::new(),
        }
    }

    /// Duplicates the listening sockets for a successor, unless another one holds them.
    pub(super) fn hand_over(&mut self) -> Result<Handover, HandoverError> {
        if self.successor.upgrade().is_some() {
            return Err(HandoverError::Busy);
        }
        let sockets = self.sockets().map_err(HandoverError::Sockets)?;
        let only = Arc::new(());
        self.successor = Arc::downgrade(&only);
        Ok(Handover { sockets, _only: only })
    }

    fn sockets(&self) -> io::Result<Vec<(Part, ListenAddress, TcpListener)>> {
        let mut sockets = Vec::new();
        for serving in &self.listeners {
            for socket in &serving.bound.sockets {
                let part = Part::Listener(serving.name.clone());
                sockets.push((part, serving.address.clone(), socket.try_clone()?));
            }
        }
        if let Some(admin) = &self.admin {
            let configured = ListenAddress::Socket(admin.configured());
            for socket in &admin.bound().sockets {
                sockets.push((Part::Admin, configured.clone(), socket.try_clone()?));
            }
        }
        Ok(sockets)
    }

    /// Stops accepting on every listener and closes their sockets.
    pub(super) async fn stop_accepting(&mut self) {
        for serving in std::mem::take(&mut self.listeners) {
            serving.stop().await;
        }
    }

    /// Stops the admin server; requests may still arrive on open connections within this time.
    pub(super) async fn stop_admin(&mut self, arrive: Duration) {
        if let Some(admin) = self.admin.take() {
            admin.stop(arrive).await;
        }
    }

    /// Keeps the upgrade socket back until [`offer_upgrade`](Self::offer_upgrade) publishes it.
    pub(super) fn hold_back(&mut self, socket: Option<BoundSocket>) {
        self.held_back = socket;
    }

    /// Publishes the upgrade socket that was held back.
    pub(super) async fn offer_upgrade(&mut self) {
        if let Some(socket) = self.held_back.take() {
            self.offer(Some(socket)).await;
        }
    }

    /// Removes the upgrade socket: no process can replace this one any more.
    pub(super) async fn withdraw_offer(&mut self) {
        self.held_back = None;
        self.offer(None).await;
    }

    /// Offers the listening sockets at this upgrade socket and closes the previous one.
    async fn offer(&mut self, socket: Option<BoundSocket>) {
        let offer = socket.map(|socket| Offer::open(socket, &self.handle, &self.background));
        if let Some(old) = std::mem::replace(&mut self.offer, offer) {
            old.close(self.handle.is_superseded()).await;
        }
    }

    pub(super) fn addresses(&self) -> Vec<(Name, SocketAddr)> {
        let mut all = Vec::new();
        for serving in &self.listeners {
            let addresses = serving.bound.addresses.iter();
            all.extend(addresses.map(|address| (serving.name.clone(), *address)));
        }
        all
    }

    pub(super) fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(admin::Server::address)
    }

    pub(super) fn certificates(&self) -> &Loaded {
        &self.certificates
    }

    pub(super) fn acme(&self) -> &Acme {
        &self.acme
    }

    fn serving(&self, address: &ListenAddress) -> Option<&Serving> {
        self.listeners.iter().find(|serving| serving.address == *address)
    }
}

impl Ready {
    /// Takes the upgrade socket out, to publish it later.
    pub(super) fn hold_back_upgrade(&mut self) -> Option<BoundSocket> {
        self.upgrade.take()
    }
}
