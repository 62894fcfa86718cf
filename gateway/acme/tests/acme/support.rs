//! Real servers on free ports, ended by process id, and a clock that can be advanced.

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

/// Longer than anything here takes: only a failing test waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A child process that is killed on drop.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until the port accepts connections.
pub(crate) async fn listening(port: u16) {
    eventually(|| async move { TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() })
        .await;
}

/// Polls a condition until it holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    let holds = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, holds).await.expect("the condition holds in time");
}
