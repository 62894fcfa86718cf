//! Real servers on free ports, ended by their process id, and a clock that can be moved on.

pub(crate) mod clock;
pub(crate) mod front;
pub(crate) mod pebble;
pub(crate) mod proxy;
pub(crate) mod redis;
pub(crate) mod replica;

pub(crate) use test_ports::free_port;

use std::net::Ipv4Addr;
use std::process::Child;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

/// Far more than anything here takes; only a failing test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A child process that ends with its owner.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until somebody listens.
pub(crate) async fn listening(port: u16) {
    eventually(|| async move { TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() })
        .await;
}

/// Waits for a condition that nothing announces.
pub(crate) async fn eventually<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    let holds = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, holds).await.expect("the condition never held");
}
