//! Whether the account is still open to this connection.

use backend_protocol::live::close;
use backend_store::accounts::Access;
use tokio::time::Instant;

use super::farewell::End;
use super::{Live, Session};
use crate::timers::jittered;
use crate::transport::Transport;

impl<T: Transport> Session<T> {
    /// Ends the session when its device was removed or its credential opens the account no more.
    /// Another credential of the account may have been revoked, and a wake-up may have been lost,
    /// so the store is asked: when told, and now and then. That also renews the account's time to
    /// live.
    pub(super) async fn check_credential(&mut self) -> Result<(), End> {
        let away = |error| {
            tracing::debug!(%error, "a credential could not be checked");
            // Who may still come in proves it with the next upgrade.
            End::drained()
        };
        let access = self.hub.store.access(&self.credential).await.map_err(away)?;
        if !self.device_is_registered().await.map_err(away)? {
            return Err(End::because(close::REVOKED, "this device was removed"));
        }
        match access {
            Access::Account(account) if account.id == *self.seat.account() => {
                self.timers.credential =
                    Some(Instant::now() + jittered(self.hub.settings.credential));
                Ok(())
            }
            // It belonged to another device as well, which is gone: this one was given a new
            // cookie, or will be refused.
            Access::Removed => {
                Err(End::because(close::COOKIE_REPLACED, "the cookie was replaced; reconnect"))
            }
            Access::Account(_) | Access::Unknown => Err(End::because(close::REVOKED, "signed out")),
        }
    }

    /// True while the device of this connection is registered; before `hello` there is none to be
    /// missed.
    pub(super) async fn device_is_registered(&mut self) -> backend_store::Result<bool> {
        let Some(Live { device, .. }) = self.live.as_deref() else { return Ok(true) };
        let devices = self.hub.store.devices(self.seat.account()).await?;
        Ok(devices.iter().any(|known| known.device == *device))
    }
}
