//! Deadlines, shared connect attempts and reconnecting, against servers of a few lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::ProtocolVersion;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::{Address, Options};

/// Longer than any test here takes.
const PATIENCE: Duration = Duration::from_secs(30);

const OPTIONS: Options = Options {
    protocol: ProtocolVersion::RESP2,
    connect: Duration::from_millis(500),
    reply: Duration::from_millis(300),
    call: Duration::from_secs(10),
};

/// A server on a port of loopback that counts its connections.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

#[derive(Clone, Copy, PartialEq)]
enum Behavior {
    /// Never replies.
    Silent,
    /// Replies `+OK` to every command and closes the connection after `PING`.
    ClosesAfterPing,
}

impl Server {
    async fn start(behavior: Behavior) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                open.spawn(serve(stream, behavior));
            }
        });
        Self { port, connections, _tasks: tasks }
    }

    fn connection(&self, options: Options) -> Connection {
        let address = Address::new(format!("redis://:word@127.0.0.1:{}", self.port));
        Connection::new(Target::new(&address, options, None).unwrap())
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: TcpStream, behavior: Behavior) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        if behavior == Behavior::Silent {
            continue;
        }
        let received = String::from_utf8_lossy(&buffer[..length]);
        // A command is an array, which begins with `*`.
        let commands = received.lines().filter(|line| line.starts_with('*')).count();
        stream.write_all("+OK\r\n".repeat(commands).as_bytes()).await.expect("the client reads");
        if received.contains("PING") {
            return;
        }
    }
}

async fn ping(connection: &Connection) -> Result<String, Error> {
    let replied = timeout(PATIENCE, connection.command(&redis::cmd("PING"))).await;
    replied.expect("a call has a deadline")
}

#[tokio::test]
async fn a_server_that_never_replies_is_a_timeout_and_not_a_hang() {
    let server = Server::start(Behavior::Silent).await;
    let error = ping(&server.connection(OPTIONS)).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(server.connections(), 1, "no retry after a timeout");
}

#[tokio::test]
async fn one_deadline_covers_all_attempts_of_a_call() {
    let server = Server::start(Behavior::Silent).await;
    let call = Duration::from_millis(50);
    let error = ping(&server.connection(Options { call, ..OPTIONS })).await.unwrap_err();
    assert_eq!(error, Error::Timeout { waited_for: "reply", within: call });
}

#[tokio::test]
async fn callers_that_wait_share_one_failed_attempt_to_connect() {
    let server = Server::start(Behavior::Silent).await;
    let connection = Arc::new(server.connection(OPTIONS));
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let connection = Arc::clone(&connection);
        calls.spawn(async move { ping(&connection).await });
    }
    let errors = calls.join_all().await;
    assert!(errors.iter().all(|outcome| matches!(outcome, Err(Error::Timeout { .. }))));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_refused_connection_is_unavailable() {
    let unused = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let target = Target::new(&Address::new(format!("redis://{unused}")), OPTIONS, None).unwrap();
    let error = ping(&Connection::new(target)).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn a_closed_connection_is_replaced_by_the_next_attempt() {
    let server = Server::start(Behavior::ClosesAfterPing).await;
    let connection = server.connection(OPTIONS);
    for _ in 0..3 {
        assert_eq!(ping(&connection).await.as_deref(), Ok("OK"));
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_command_over_a_replaced_connection_is_refused() {
    let server = Server::start(Behavior::ClosesAfterPing).await;
    let connection = server.connection(OPTIONS);
    let first = connection.number().await.unwrap();
    for _ in 0..2 {
        assert_eq!(ping(&connection).await.as_deref(), Ok("OK"));
    }
    let reply = connection.command_over::<String>(first, &redis::cmd("PING")).await;
    assert!(matches!(reply, Err(Error::Unavailable(_))), "{reply:?}");
    assert!(connection.number().await.unwrap() > first);
}
