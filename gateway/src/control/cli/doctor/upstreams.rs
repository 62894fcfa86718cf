//! Upstreams: whether each target is reachable, and accepts WebSockets if a route allows them.

use std::io;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gateway_config::{Action, Config, PathMatch, Target, Upstream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::Finding;
use super::network::ANSWER;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(super) async fn upstreams(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for upstream in &config.upstreams {
        let websocket = websocket_path(config, upstream);
        for target in &upstream.targets {
            findings.push(reach(upstream, target).await);
            if let Some(path) = &websocket {
                findings.push(upgrade(upstream, target, path).await);
            }
        }
    }
    findings
}

fn websocket_path(config: &Config, upstream: &Upstream) -> Option<String> {
    let leads_here =
        |action: &Action| matches!(action, Action::Upstream(name) if *name == upstream.name);
    let route = config.routes.iter().find(|route| route.websocket && leads_here(&route.action))?;
    Some(match &route.path {
        PathMatch::Exact(path) | PathMatch::Prefix(path) => path.clone(),
    })
}

async fn reach(upstream: &Upstream, target: &Target) -> Finding {
    let subject = format!("upstream {} at {target}", upstream.name);
    match timeout(upstream.connect_timeout, connect(target)).await {
        Ok(Ok(_stream)) => Finding::good(subject, "is reachable"),
        Ok(Err(error)) => {
            Finding::bad(subject, format!("{error}: is it running and listening there?"))
        }
        Err(_) => {
            Finding::bad(subject, "does not respond in time: check firewalls and network policies")
        }
    }
}

/// Sends a WebSocket handshake (RFC 6455 section 4.1) without a cookie. A backend may reject it as
/// unauthenticated, which proves WebSocket support as well as 101 does.
async fn upgrade(upstream: &Upstream, target: &Target, path: &str) -> Finding {
    let subject = format!("WebSocket {path} at {target}");
    let handshake = async {
        let mut stream = connect(target).await?;
        let key = BASE64_STANDARD.encode(rand::random::<[u8; 16]>());
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        // "HTTP/1.1 101"
        let mut status_line = [0; 12];
        stream.read_exact(&mut status_line).await?;
        Ok::<_, io::Error>(status_line)
    };
    match timeout(upstream.connect_timeout + ANSWER, handshake).await {
        Ok(Ok(line)) => match line.strip_prefix(b"HTTP/1.1 ") {
            Some(b"101") => Finding::good(subject, "accepts WebSockets"),
            Some(b"401" | b"403") => {
                Finding::good(subject, "accepts WebSockets, but requires a session")
            }
            Some(code) => Finding::bad(
                subject,
                format!(
                    "expected status 101, found {}: does the route point to the live role?",
                    code.escape_ascii()
                ),
            ),
            None => Finding::bad(subject, "expected an HTTP/1.1 response, found something else"),
        },
        Ok(Err(error)) => Finding::bad(subject, error.to_string()),
        Err(_) => Finding::bad(subject, "does not respond in time"),
    }
}

async fn connect(target: &Target) -> io::Result<Box<dyn Stream>> {
    Ok(match target {
        Target::Socket(address) => Box::new(TcpStream::connect(address).await?),
        Target::Host { host, port } | Target::Dns { host, port } => {
            Box::new(TcpStream::connect((host.as_str(), *port)).await?)
        }
        Target::Unix(path) => Box::new(UnixStream::connect(path).await?),
    })
}
