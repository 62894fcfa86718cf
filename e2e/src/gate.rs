//! A door on the way to a port: shut, it keeps those who knock waiting, so that a test can act
//! while they wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// An open or shut door. Dropping it ends what passes through.
pub struct Gate {
    /// Where to knock, on loopback.
    pub port: u16,
    open: watch::Sender<bool>,
    waiting: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Gate {
    /// A gate that leads to this port, shut at first.
    pub async fn before(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (open, opened) = watch::channel(false);
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&waiting);
        let task = tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                tokio::spawn(pass(from, to, opened.clone(), Arc::clone(&counted)));
            }
        });
        Self { port, open, waiting, task: task.abort_handle() }
    }

    /// Lets everyone pass who waits, and who comes.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Keeps everyone waiting who comes from now on.
    pub fn shut(&self) {
        self.open.send_replace(false);
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(
    mut from: TcpStream,
    to: u16,
    mut opened: watch::Receiver<bool>,
    waiting: Arc<AtomicUsize>,
) {
    waiting.fetch_add(1, Ordering::Relaxed);
    let may_pass = opened.wait_for(|open| *open).await.is_ok();
    waiting.fetch_sub(1, Ordering::Relaxed);
    if may_pass && let Ok(mut to) = TcpStream::connect(("127.0.0.1", to)).await {
        // How it ends is for the two ends to see.
        let _ = copy_bidirectional(&mut from, &mut to).await;
    }
}
