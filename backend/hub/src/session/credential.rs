//! Whether the account is still open to this connection.

use backend_protocol::live::close;
use tokio::time::Instant;

use super::Session;
use super::farewell::End;
use crate::timers::jittered;
use crate::transport::Transport;

impl<T: Transport> Session<T> {
    /// Ends the session when its credential opens the account no more. Another credential of the account may have been
    /// revoked, and a wake-up may have been lost, so the store is asked: when told, and now and then. That also renews
    /// the account's time to live.
    pub(super) async fn check_credential(&mut self) -> Result<(), End> {
        let revoked = || End::because(close::REVOKED, "signed out");
        let credential = self.credential.as_ref().ok_or_else(revoked)?;
        match self.hub.store.account_by_credential(credential).await {
            Ok(Some(account)) if account.id == *self.seat.account() => {
                self.timers.credential = Some(Instant::now() + jittered(self.hub.settings.credential));
                Ok(())
            }
            Ok(_) => Err(revoked()),
            // Whoever may still come in proves it with the next upgrade.
            Err(error) => {
                tracing::debug!(%error, "a credential could not be checked");
                Err(End::drained())
            }
        }
    }
}
