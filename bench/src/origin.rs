//! The backend behind every proxy: a small response on every path, and a silent WebSocket.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

/// Starts the backend on a free loopback port.
pub(crate) async fn start() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Without it, Nagle's algorithm in the backend would distort the figures.
            let _ = stream.set_nodelay(true);
            tokio::spawn(async move {
                let service = service_fn(answer);
                // The load generator reports connections that fail.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades()
                    .await;
            });
        }
    });
    Ok(address)
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    if request.headers().contains_key(UPGRADE) {
        return Ok(websocket(request));
    }
    Ok(Response::new(Full::new(Bytes::from_static(&[b'x'; 256])).boxed()))
}

/// Switches protocols and waits until the peer closes. The accept value belongs to the fixed key in
/// `sockets.rs` (RFC 6455 section 1.3).
fn websocket(request: Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
    tokio::spawn(async move {
        if let Ok(stream) = hyper::upgrade::on(request).await {
            let mut stream = TokioIo::new(stream);
            while matches!(stream.read(&mut [0; 16]).await, Ok(read) if read > 0) {}
        }
    });
    let mut response = Response::new(Full::default().boxed());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    response
}
