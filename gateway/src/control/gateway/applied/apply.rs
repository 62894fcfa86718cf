//! Applies what is ready: none of this can fail.

use std::net::SocketAddr;
use std::sync::Arc;

use gateway_config::{CertificateSource, Config, Listener, Protocol};

use super::super::listeners::{BoundListener, Serving};
use super::{Applied, Ready};
use crate::control::admin;
use crate::control::certificates::Loaded;

impl Applied {
    /// Applies a configuration.
    pub(in crate::control::gateway) async fn apply(&mut self, ready: Ready) {
        let config = Arc::clone(ready.snapshot.config());
        // First stop what accepts for a listener that is gone: the next snapshot does not know it.
        let stays = |serving: &Serving| {
            let same = |listener: &Listener| {
                listener.address == serving.address && listener.name == serving.name
            };
            config.listeners.iter().any(same)
        };
        let (kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.listeners).into_iter().partition(stays);
        for serving in gone {
            serving.stop().await;
        }
        self.listeners = kept;
        if let Some(tracer) = &ready.snapshot.tracer {
            tracer.start(&self.background.tasks, &self.background.end);
        }
        self.plane.follow(ready.snapshot);
        for (name, bound) in ready.listeners {
            self.listeners.push(Serving::start(&self.plane, name, bound));
        }
        if let Some(port) = self.https_port(&config) {
            self.plane.set_https_port(port);
        }
        self.replace_admin(ready.admin, &config);
        self.note(&config, ready.loaded);
        self.acme.apply(ready.acme, &self.plane, self.handle.metrics(), &self.background);
        if ready.upgrade.is_some() || config.upgrade.is_none() {
            self.held_back = None;
            self.offer(ready.upgrade).await;
        }
    }

    /// The port that the first https listener really has.
    fn https_port(&self, config: &Config) -> Option<u16> {
        let first = config
            .listeners
            .iter()
            .find(|listener| matches!(listener.protocol, Protocol::Https { .. }))?;
        self.serving(&first.address)?.bound.addresses.first().map(SocketAddr::port)
    }

    fn replace_admin(&mut self, new: Option<(SocketAddr, BoundListener)>, config: &Config) {
        if new.is_none() && config.admin.is_some() {
            return;
        }
        let started = new.map(|(configured, bound)| {
            let (bound, sockets) = bound.into_sockets();
            admin::Server::start(self.handle.clone(), configured, bound, sockets)
        });
        if let Some(old) = std::mem::replace(&mut self.admin, started) {
            // Not waited for: the request for this reload may be one of those it
            // finishes.
            self.background.tasks.spawn(old.stop(admin::ARRIVE));
        }
    }

    fn note(&mut self, config: &Config, loaded: Loaded) {
        let metrics = self.handle.metrics();
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
                // Its maintainer reports it.
                CertificateSource::Acme(_) => {}
            }
        }
        for (name, facts) in &loaded.facts {
            metrics.certificate_expiry(name.as_str(), facts.not_after);
        }
        metrics.config_in_use(&config.hash, jiff::Timestamp::now().as_duration().as_secs_f64());
        if let Some(telemetry) = &self.telemetry {
            telemetry.follow(&config.log);
        }
        self.certificates = loaded;
    }
}
