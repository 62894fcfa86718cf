//! Reloads without a request: when a file changes or a self-signed certificate is due.

mod watch;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::control::certificates;
use crate::control::config_source::ConfigSource;
use crate::control::handle::Handle;

/// Time between two checks of self-signed certificates: short enough for a machine that slept.
const RENEWAL_CHECK: Duration = Duration::from_secs(3600);

/// Until `end`.
pub(crate) async fn maintain(
    handle: Handle,
    source: ConfigSource,
    ignore_files: bool,
    end: CancellationToken,
) {
    let work = async {
        if ignore_files {
            return renew(handle).await;
        }
        tokio::join!(watch::follow_files(handle.clone(), source), renew(handle));
    };
    end.run_until_cancelled(work).await;
}

async fn renew(handle: Handle) {
    loop {
        tokio::time::sleep(RENEWAL_CHECK).await;
        let config = handle.config();
        let due = tokio::task::spawn_blocking(move || certificates::renewal_is_due(&config)).await;
        if due.unwrap_or(false) {
            handle.reload_and_log("a certificate is due for renewal").await;
        }
    }
}
