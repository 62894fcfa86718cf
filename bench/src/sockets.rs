//! Resident memory of the proxy per idle secure WebSocket, measured with thousands of them.

use std::error::Error;

use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::peer::{Proxy, Site};

/// Concurrent handshakes: enough to be fast, few enough for every proxy's accept queue.
const AT_ONCE: usize = 32;

/// The proxy's resident memory for each of `count` idle sockets, in KiB.
pub(crate) async fn memory_per_socket(
    proxy: &Proxy,
    site: &Site,
    count: usize,
) -> Result<f64, Box<dyn Error>> {
    // Warm-up: the first sockets cause one-time allocations.
    let warm = open_many(proxy, site, 50).await?;
    let before = proxy.resident()?;
    let sockets = open_many(proxy, site, count).await?;
    let after = proxy.resident()?;
    drop((warm, sockets));
    Ok(after.saturating_sub(before) as f64 / 1024.0 / count as f64)
}

async fn open_many(
    proxy: &Proxy,
    site: &Site,
    count: usize,
) -> Result<Vec<TlsStream<TcpStream>>, Box<dyn Error>> {
    let mut opening = FuturesUnordered::new();
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        if opening.len() == AT_ONCE
            && let Some(opened) = opening.next().await
        {
            open.push(opened?);
        }
        opening.push(open_one(proxy, site));
    }
    while let Some(opened) = opening.next().await {
        open.push(opened?);
    }
    Ok(open)
}

async fn open_one(proxy: &Proxy, site: &Site) -> Result<TlsStream<TcpStream>, Box<dyn Error>> {
    let mut stream =
        site.connect(proxy, Some(b"http/1.1")).await.map_err(|error| error.to_string())?;
    let head = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: \
                13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://localhost\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    // The TLS session buffers unwritten data until it is flushed.
    stream.flush().await?;
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    if !answer.starts_with(b"HTTP/1.1 101") {
        return Err(format!(
            "the proxy rejected the WebSocket handshake: {}",
            String::from_utf8_lossy(&answer)
        )
        .into());
    }
    Ok(stream)
}
