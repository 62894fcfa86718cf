//! A TCP proxy with a gate: while the gate is closed, it accepts connections and holds them, so
//! that a test can act in the meantime.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// A proxy with an open or closed gate. Dropping it stops accepting.
pub struct Gate {
    /// The loopback port for clients.
    pub port: u16,
    open: watch::Sender<bool>,
    waiting: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Gate {
    /// Starts a proxy to this port, with the gate closed.
    pub async fn before(to: u16) -> Self {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.expect("bind a free loopback port");
        let port = listener.local_addr().expect("the listener is bound").port();
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

    /// Forwards held and new connections.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Holds new connections.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// The number of held connections.
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
        // Both ends see any error themselves.
        let _ = copy_bidirectional(&mut from, &mut to).await;
    }
}
