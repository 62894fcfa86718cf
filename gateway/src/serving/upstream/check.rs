//! An active health check: a TCP connect, or a GET that expects a 2xx status.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Address;

/// Whether the target passes the check.
pub(super) async fn is_well(address: &Address, path: Option<&str>, deadline: Duration) -> bool {
    let check = async { probe(address.connect(deadline).await?, path).await };
    matches!(tokio::time::timeout(deadline, check).await, Ok(Ok(true)))
}

async fn probe(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    path: Option<&str>,
) -> io::Result<bool> {
    let Some(path) = path else { return Ok(true) };
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: gateway-health-check\r\naccept: */*\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    Ok(start.starts_with(b"HTTP/1.1 2") || start.starts_with(b"HTTP/1.0 2"))
}
