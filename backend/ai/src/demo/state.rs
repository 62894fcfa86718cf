//! Settings, models and counters of the demo endpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// The default demo model.
pub const DEMO_MODEL: &str = "gatehouse-demo";

/// Models that fail in one way each. They always answer, and are listed only when enabled.
pub const FAULTY_MODELS: [&str; 9] = [
    "demo-slow-start",
    "demo-stall",
    "demo-429-then-success",
    "demo-500",
    "demo-cut",
    "demo-content-filter",
    "demo-long",
    "demo-quota",
    "demo-context",
];

/// Settings of the demo model.
#[derive(Debug, Clone)]
pub struct DemoSettings {
    /// Pause before each token.
    pub token_delay: Duration,
    /// Pause of `demo-slow-start` before its first token.
    pub slow_start: Duration,
    /// Lists the faulty models, too.
    pub list_faulty: bool,
}

impl Default for DemoSettings {
    fn default() -> Self {
        Self {
            token_delay: Duration::from_millis(25),
            slow_start: Duration::from_secs(5),
            list_faulty: false,
        }
    }
}

/// The demo endpoint. Clones share their counters.
#[derive(Debug, Clone, Default)]
pub struct Demo {
    pub(super) settings: Arc<DemoSettings>,
    pub(super) requests: Arc<AtomicU64>,
    pub(super) open: Arc<AtomicUsize>,
}

impl Demo {
    /// A demo endpoint with these settings.
    pub fn new(settings: DemoSettings) -> Self {
        Self { settings: Arc::new(settings), ..Self::default() }
    }

    /// The listed models.
    pub fn models(&self) -> Vec<String> {
        let faulty = FAULTY_MODELS.iter().filter(|_| self.settings.list_faulty);
        std::iter::once(&DEMO_MODEL).chain(faulty).map(|&name| name.to_owned()).collect()
    }

    /// Completion requests so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Answers in progress.
    pub fn open_streams(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}
