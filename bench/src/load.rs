//! Load generator: requests or handshakes as fast as the proxy accepts them, for a fixed time, and
//! the proxy's CPU time for each.

use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::try_join_all;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt as _;

use crate::peer::{Proxy, Site};

/// HTTP version of the load.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

type Failure = Box<dyn Error + Send + Sync>;

/// The proxy's CPU time per request, in microseconds.
pub(crate) async fn cpu_per_request(
    proxy: &Proxy,
    site: &Site,
    protocol: Protocol,
    path: &str,
    time: Duration,
) -> Result<f64, Box<dyn Error>> {
    // Warm-up: connections, handshakes and caches are not part of the measurement.
    run(proxy, site, protocol, path, Duration::from_millis(500))
        .await
        .map_err(|error| error.to_string())?;
    let before = proxy.cpu_time()?;
    let requests =
        run(proxy, site, protocol, path, time).await.map_err(|error| error.to_string())?;
    let used = proxy.cpu_time()?.saturating_sub(before);
    Ok(used.as_secs_f64() * 1e6 / requests.max(1) as f64)
}

/// The proxy's CPU time per full handshake, including closing the connection, in microseconds.
pub(crate) async fn cpu_per_handshake(
    proxy: &Proxy,
    site: &Site,
    time: Duration,
) -> Result<f64, Box<dyn Error>> {
    let run = async |time| {
        let until = Instant::now() + time;
        let counts = try_join_all((0..16).map(|_| handshakes(proxy, site, until))).await;
        counts.map(|counts| counts.into_iter().sum::<u64>()).map_err(|error| error.to_string())
    };
    run(Duration::from_millis(500)).await?;
    let before = proxy.cpu_time()?;
    let count = run(time).await?;
    let used = proxy.cpu_time()?.saturating_sub(before);
    Ok(used.as_secs_f64() * 1e6 / count.max(1) as f64)
}

async fn handshakes(proxy: &Proxy, site: &Site, until: Instant) -> Result<u64, Failure> {
    let mut count = 0;
    while Instant::now() < until {
        let mut stream = site.connect(proxy, Some(b"http/1.1")).await?;
        stream.shutdown().await?;
        count += 1;
    }
    Ok(count)
}

async fn run(
    proxy: &Proxy,
    site: &Site,
    protocol: Protocol,
    path: &str,
    time: Duration,
) -> Result<u64, Failure> {
    let until = Instant::now() + time;
    let counts = match protocol {
        Protocol::Http1 => {
            try_join_all((0..64).map(|_| http1_connection(proxy, site, path, until))).await?
        }
        Protocol::Http2 => {
            try_join_all((0..8).map(|_| http2_connection(proxy, site, path, until))).await?
        }
    };
    Ok(counts.into_iter().sum())
}

async fn http1_connection(
    proxy: &Proxy,
    site: &Site,
    path: &str,
    until: Instant,
) -> Result<u64, Failure> {
    let stream = site.connect(proxy, Some(b"http/1.1")).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let mut count = 0;
    while Instant::now() < until {
        sender.ready().await?;
        let request = Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new())?;
        finish(sender.send_request(request).await?).await?;
        count += 1;
    }
    driver.abort();
    Ok(count)
}

async fn http2_connection(
    proxy: &Proxy,
    site: &Site,
    path: &str,
    until: Instant,
) -> Result<u64, Failure> {
    let stream = site.connect(proxy, Some(b"h2")).await?;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let streams = (0..8).map(|_| {
        let mut sender = sender.clone();
        async move {
            let mut count = 0;
            while Instant::now() < until {
                sender.ready().await?;
                let request =
                    Request::get(format!("https://localhost{path}")).body(Empty::<Bytes>::new())?;
                finish(sender.send_request(request).await?).await?;
                count += 1;
            }
            Ok::<u64, Failure>(count)
        }
    });
    let counts = try_join_all(streams).await?;
    driver.abort();
    Ok(counts.into_iter().sum())
}

/// Reads the response to its end. An error status fails the run: it would measure something else.
async fn finish(response: Response<Incoming>) -> Result<(), Failure> {
    if !response.status().is_success() {
        return Err(format!("the proxy answered {}", response.status()).into());
    }
    response.into_body().collect().await?;
    Ok(())
}
