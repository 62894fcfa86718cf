//! Credential checks.

use backend_protocol::live::close;
use backend_store::accounts::Access;
use tokio::time::Instant;

use super::closing::End;
use super::notices::SOON;
use super::state::{Connection, Live};
use crate::timers::jittered;
use crate::transport::Transport;

impl<T: Transport> Connection<T> {
    /// Closes the connection when its device was removed or its credential no longer opens the
    /// account. A revocation may concern another credential of the account, and a wake-up may get
    /// lost, so the store is queried: on a wake-up, and periodically. This also renews the
    /// account's time to live. An outage of the store closes nothing: the check is repeated until
    /// the store answers.
    pub(super) async fn check_credential(&mut self) -> Result<(), End> {
        let interval = self.hub.settings.credential;
        let (access, registered) = match self.read_credential().await {
            Ok(read) => read,
            Err(error) => {
                tracing::debug!(%error, "cannot check a credential, retrying");
                self.timers.credential = Some(Instant::now() + jittered(interval.min(SOON)));
                return Ok(());
            }
        };
        if !registered {
            return Err(End::because(close::REVOKED, "this device was removed"));
        }
        match access {
            Access::Account(account) if account.id == *self.slot.account() => {
                self.timers.credential = Some(Instant::now() + jittered(interval));
                Ok(())
            }
            // It was also bound to another device, which was removed: this device got a new cookie,
            // or will be rejected.
            Access::Removed => {
                Err(End::because(close::COOKIE_REPLACED, "the cookie was replaced; reconnect"))
            }
            Access::Account(_) | Access::Unknown => Err(End::because(close::REVOKED, "signed out")),
        }
    }

    /// What the credential opens, and whether the device is registered.
    async fn read_credential(&mut self) -> backend_store::Result<(Access, bool)> {
        let access = self.hub.store.access(&self.credential).await?;
        Ok((access, self.device_is_registered().await?))
    }

    /// True while the device of this connection is registered, and before `hello`.
    pub(super) async fn device_is_registered(&mut self) -> backend_store::Result<bool> {
        let Some(Live { device, .. }) = self.live.as_deref() else { return Ok(true) };
        let devices = self.hub.store.devices(self.slot.account()).await?;
        Ok(devices.iter().any(|known| known.device == *device))
    }
}
