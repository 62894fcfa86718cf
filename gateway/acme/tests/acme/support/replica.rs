//! A running maintainer, as in a gateway.

use std::sync::Arc;
use std::time::Duration;

use gateway_acme::{
    Authority, Backoff, Certificate, Certificates, ChallengeKind, Maintainer, NameSet, Prompt,
    Settings, Status, Storage,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::PATIENCE;
use super::clock::JumpingClock;
use super::front::Front;

pub(crate) struct Replica {
    pub(crate) certificates: watch::Receiver<Arc<Certificates>>,
    pub(crate) statuses: watch::Receiver<Arc<[Status]>>,
    pub(crate) prompt: Prompt,
    pub(crate) clock: Arc<JumpingClock>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

/// Short polls and short backoff.
pub(crate) fn settings(names: &[&str], authorities: Vec<Authority>) -> Settings {
    Settings {
        challenges: vec![ChallengeKind::Http01],
        backoff: Backoff { first: Duration::from_millis(200), most: Duration::from_secs(1) },
        poll: Duration::from_millis(100),
        lock_ttl: Duration::from_secs(2),
        ..Settings::new(vec![NameSet::new(names).unwrap()], authorities)
    }
}

impl Replica {
    /// Starts it. `front` serves its challenges.
    pub(crate) fn start(settings: Settings, storage: Arc<dyn Storage>, front: &Front) -> Self {
        Self::start_at(settings, storage, front, Arc::default())
    }

    pub(crate) fn start_at(
        settings: Settings,
        storage: Arc<dyn Storage>,
        front: &Front,
        clock: Arc<JumpingClock>,
    ) -> Self {
        let maintainer = Maintainer::new(settings, storage, clock.clone()).unwrap();
        let shutdown = CancellationToken::new();
        front.answer_with(maintainer.challenges());
        Self {
            certificates: maintainer.certificates(),
            statuses: maintainer.statuses(),
            prompt: maintainer.prompt(),
            clock,
            shutdown: shutdown.clone(),
            task: tokio::spawn(maintainer.run(shutdown)),
        }
    }

    /// Waits for the first certificate that satisfies `wanted`.
    pub(crate) async fn certificate(
        &mut self,
        wanted: impl Fn(&Certificate) -> bool,
    ) -> Arc<Certificate> {
        let found =
            |all: &Arc<Certificates>| all.iter().any(|(_, certificate)| wanted(certificate));
        let waited = timeout(PATIENCE, self.certificates.wait_for(found)).await;
        let Ok(all) = waited.map(|all| Arc::clone(&all.unwrap())) else {
            panic!("no such certificate in time; the statuses are {:#?}", self.statuses.borrow())
        };
        all.iter()
            .map(|(_, certificate)| certificate)
            .find(|certificate| wanted(certificate))
            .unwrap()
            .clone()
    }

    /// Waits until the status of the only certificate satisfies `wanted`.
    pub(crate) async fn status(&mut self, wanted: impl Fn(&Status) -> bool) -> Status {
        let waited = timeout(PATIENCE, self.statuses.wait_for(|all| wanted(&all[0]))).await;
        let status = waited.map(|all| all.unwrap()[0].clone());
        status.unwrap_or_else(|_| {
            panic!("no such status in time; it is {:#?}", self.statuses.borrow())
        })
    }

    /// Shuts it down: locks are released.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task).await.expect("it stops in time").expect("it does not panic");
    }

    /// Aborts it, like a crash: locks stay.
    pub(crate) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
