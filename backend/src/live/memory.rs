//! Memory of an idle connection. The clients are plain sockets of the standard library, so nearly
//! all growth is the server's.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use backend_protocol::limits::SUBPROTOCOL;

use super::tests::House;

/// The target is 16 KiB per idle socket; twice as much means a forgotten buffer.
const BYTES_PER_CONNECTION: usize = 32 * 1024;

/// Enough connections for one-time allocations of the allocator and the runtime.
const WARM_UP: usize = 50;
const CONNECTIONS: usize = 300;

#[tokio::test]
async fn an_idle_connection_holds_no_large_buffer() {
    let house = House::new().await;
    let mut open = Vec::new();
    let mut before = 0;
    for n in 0..WARM_UP + CONNECTIONS {
        if n == WARM_UP {
            before = resident();
        }
        let name = format!("person{n}");
        let (cookie, address) = (house.person(&name).await, house.address);
        open.push(
            tokio::task::spawn_blocking(move || welcome(address, &cookie, &name))
                .await
                .expect("the test's own connection and system work"),
        );
    }
    let each = resident().saturating_sub(before) / CONNECTIONS;
    assert_eq!(house.hub.connections(), WARM_UP + CONNECTIONS);
    assert!(each <= BYTES_PER_CONNECTION, "{each} bytes per idle connection");
}

/// A connection after hello and welcome.
fn welcome(address: SocketAddr, cookie: &str, device: &str) -> TcpStream {
    let mut socket =
        TcpStream::connect(address).expect("the test's own connection and system work");
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("the test's own connection and system work");
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nCookie: {cookie}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).expect("the test's own connection and system work");
    read_until(&mut socket, b"\r\n\r\n");
    let hello = format!(r#"{{"id":1,"do":{{"type":"hello","device":"{device}"}}}}"#);
    // A final text frame, masked with zeros (RFC 6455 section 5.2).
    let mut frame =
        vec![0x81, 0x80 | u8::try_from(hello.len()).expect("shorter than 126 bytes"), 0, 0, 0, 0];
    frame.extend(hello.as_bytes());
    socket.write_all(&frame).expect("the test's own connection and system work");
    read_until(&mut socket, b"}}");
    socket
}

fn read_until(socket: &mut TcpStream, end: &[u8]) {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(end) {
        socket.read_exact(&mut byte).expect("the test's own connection and system work");
        seen.extend(byte);
    }
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status")
        .expect("the test's own connection and system work");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("the test's own connection and system work");
    line.trim()
        .trim_end_matches(" kB")
        .parse::<usize>()
        .expect("the test's own connection and system work")
        * 1024
}
