//! ACME accounts: registered once for each authority, with the key in storage.

use std::time::Duration;

use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};
use tokio::time::{Instant, sleep};

use crate::authority::Connection;
use crate::failure::{Failure, FailureKind};
use crate::lease;
use crate::records::{Account as Kept, Records};
use crate::settings::Authority;
use crate::storage::Fence;

/// Opens the stored account, or registers one. Of several replicas, one registers and the others
/// wait.
pub(crate) async fn open(
    authority: &Authority,
    connection: &Connection,
    records: &Records,
) -> Result<Account, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(kept) = records.account(&authority.url).await?
            && kept.contacts == authority.contacts
        {
            return restore(authority, connection, &kept).await;
        }
        let lock = Records::account_lock(&authority.url);
        if let Some(fence) = records.lock(&lock, LOCK_TTL).await? {
            let work = Box::pin(under_lock(authority, connection, records, &fence));
            let opened = lease::hold(records, &fence, LOCK_TTL, PATIENCE, work).await;
            records.unlock(&fence).await?;
            return opened;
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(
                FailureKind::Timeout,
                "another replica is registering an account and has not finished",
            ));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Registers again after the authority dropped the account. The old key is discarded.
pub(crate) async fn renew(
    authority: &Authority,
    connection: &Connection,
    records: &Records,
) -> Result<Account, Failure> {
    let lock = Records::account_lock(&authority.url);
    let Some(fence) = records.lock(&lock, LOCK_TTL).await? else {
        return Err(Failure::new(
            FailureKind::AccountUnknown,
            "another replica is registering the account again",
        ));
    };
    let work = Box::pin(register(authority, connection, records, &fence));
    let registered = lease::hold(records, &fence, LOCK_TTL, PATIENCE, work).await;
    records.unlock(&fence).await?;
    registered
}

async fn under_lock(
    authority: &Authority,
    connection: &Connection,
    records: &Records,
    fence: &Fence,
) -> Result<Account, Failure> {
    let Some(kept) = records.account(&authority.url).await? else {
        return register(authority, connection, records, fence).await;
    };
    let account = restore(authority, connection, &kept).await?;
    if kept.contacts != authority.contacts {
        account.update_contacts(&contacts(authority)).await.map_err(|error| {
            Failure::acme(format_args!("changing the contacts at {}", authority.host()), &error)
        })?;
        records.put_account(&Kept { contacts: authority.contacts.clone(), ..kept }, fence).await?;
    }
    Ok(account)
}

async fn register(
    authority: &Authority,
    connection: &Connection,
    records: &Records,
    fence: &Fence,
) -> Result<Account, Failure> {
    let about = || format!("registering an account at {}", authority.host());
    let contacts = contacts(authority);
    let new = NewAccount {
        contact: &contacts,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let binding = authority
        .external_account
        .as_ref()
        .map(|key| ExternalAccountKey::new(key.key_id.clone(), &key.hmac_key));
    let (account, credentials) = connection
        .builder()
        .create(&new, authority.url.clone(), binding.as_ref())
        .await
        .map_err(|error| Failure::acme(about(), &error))?;
    let credentials = serde_json::to_value(&credentials)
        .map_err(|error| Failure::new(FailureKind::Other, error))?;
    let kept = Kept {
        directory: authority.url.clone(),
        contacts: authority.contacts.clone(),
        credentials,
    };
    records.put_account(&kept, fence).await?;
    tracing::info!(authority = authority.host(), "registered an ACME account");
    Ok(account)
}

async fn restore(
    authority: &Authority,
    connection: &Connection,
    kept: &Kept,
) -> Result<Account, Failure> {
    let credentials: AccountCredentials = serde_json::from_value(kept.credentials.clone())
        .map_err(|_| {
            Failure::new(FailureKind::Storage, "cannot read the stored ACME account: remove it")
        })?;
    connection.builder().from_credentials(credentials).await.map_err(|error| {
        Failure::acme(format_args!("opening the account at {}", authority.host()), &error)
    })
}

fn contacts(authority: &Authority) -> Vec<&str> {
    authority.contacts.iter().map(String::as_str).collect()
}

/// Extended while a replica registers. Other replicas wait this long only after a crash.
const LOCK_TTL: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(60);
