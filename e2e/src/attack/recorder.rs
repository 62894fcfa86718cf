//! A backend that records every request byte by byte and detects ambiguous ones.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::wire::position;

/// Size of the answer to `/api/big`, in bytes.
pub const BIG: usize = 2 << 20;

/// A request as received.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The request head, including the empty line.
    pub head: Vec<u8>,
    /// The decoded body.
    pub body: Vec<u8>,
    /// Whether the request was complete.
    pub complete: bool,
}

/// A running backend. Dropping it stops it.
///
/// It answers `/ws` with a WebSocket handshake and echoes the data, `/api/big` with 2 MiB, and any
/// other request with its target.
pub struct Recorder {
    /// Its loopback port.
    pub port: u16,
    seen: Record,
    task: AbortHandle,
}

type Record = Arc<Mutex<Vec<Seen>>>;

impl Recorder {
    /// Starts the backend on a free port.
    pub async fn start() -> Self {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.expect("bind a free loopback port");
        let port = listener.local_addr().expect("the listener is bound").port();
        let seen = Record::default();
        let record = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, Arc::clone(&record)));
            }
        });
        Self { port, seen, task: task.abort_handle() }
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no connection panics").clone()
    }

    /// The requests whose request line contains this text.
    pub fn of(&self, text: &str) -> Vec<Seen> {
        let all = self.seen.lock().expect("no connection panics");
        all.iter().filter(|seen| seen.line().contains(text)).cloned().collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    /// The request line.
    pub fn line(&self) -> String {
        String::from_utf8_lossy(self.lines().next().unwrap_or_default()).into_owned()
    }

    /// The values of a field, in order.
    pub fn values(&self, name: &str) -> Vec<String> {
        self.fields()
            .into_iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// Names and values, as received.
    pub fn fields(&self) -> Vec<(String, String)> {
        let split = |line: &[u8]| {
            let text = String::from_utf8_lossy(line).into_owned();
            let (name, value) = text.split_once(':')?;
            Some((name.to_owned(), value.trim().to_owned()))
        };
        self.lines().skip(1).filter_map(split).collect()
    }

    /// The reason why another server could parse this request differently, if there is one (RFC
    /// 9112 sections 2.2, 5 and 6).
    pub fn ambiguity(&self) -> Option<String> {
        let named = |why: &str| Some(format!("{why}: {:?}", String::from_utf8_lossy(&self.head)));
        let text = String::from_utf8_lossy(&self.head).replace("\r\n", "");
        if text.contains(['\r', '\n', '\0']) {
            return named("a bare CR, LF or NUL");
        }
        if self.line().split(' ').count() != 3 || !self.line().ends_with(" HTTP/1.1") {
            return named("a request line without exactly three parts");
        }
        for line in self.lines().skip(1).filter(|line| !line.is_empty()) {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            let token =
                |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
            if name.is_empty() || name.len() == line.len() || !name.iter().all(token) {
                return named("a field line that is not `name: value`");
            }
        }
        let (lengths, codings) = (self.values("content-length"), self.values("transfer-encoding"));
        let one_number = |length: &String| {
            !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit())
        };
        match (lengths.as_slice(), codings.as_slice()) {
            ([], []) => None,
            ([length], []) if one_number(length) => None,
            ([], [coding]) if coding == "chunked" => None,
            _ => named("more than one framing"),
        }
        .or_else(|| {
            (self.values("host").len() != 1).then(|| named("not exactly one Host")).flatten()
        })
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.head.as_slice();
        std::iter::from_fn(move || {
            let end = position(rest, b"\r\n")?;
            let (line, after) = rest.split_at_checked(end)?;
            rest = after.get(2..)?;
            Some(line)
        })
    }
}

async fn serve(mut tcp: TcpStream, record: Record) -> io::Result<()> {
    let mut ahead = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = position(&ahead, b"\r\n\r\n") {
                break end + 4;
            }
            if tcp.read_buf(&mut ahead).await? == 0 {
                return Ok(());
            }
        };
        let seen = Seen { head: ahead.drain(..end).collect(), ..Seen::default() };
        let index = {
            let mut all = record.lock().expect("no connection panics");
            all.push(seen.clone());
            all.len() - 1
        };
        let note = |body: &[u8], complete| {
            if let Some(seen) = record.lock().expect("no connection panics").get_mut(index) {
                (seen.body, seen.complete) = (body.to_vec(), complete);
            }
        };
        if seen.values("expect").iter().any(|value| value.eq_ignore_ascii_case("100-continue")) {
            tcp.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut body = Vec::new();
        let whole = read_body(&mut tcp, &mut ahead, &seen, &mut body).await;
        note(&body, whole.is_ok());
        whole?;
        let target = seen.line().split(' ').nth(1).unwrap_or_default().to_owned();
        if target.starts_with("/ws") && !seen.values("upgrade").is_empty() {
            tcp.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
                .await?;
            let (mut reading, mut writing) = tcp.split();
            tokio::io::copy(&mut reading, &mut writing).await?;
            return Ok(());
        }
        let answer = if target == "/api/big" { vec![b'x'; BIG] } else { target.into_bytes() };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        tcp.write_all(head.as_bytes()).await?;
        if !seen.line().starts_with("HEAD ") {
            tcp.write_all(&answer).await?;
        }
    }
}

async fn read_body(
    tcp: &mut TcpStream,
    ahead: &mut Vec<u8>,
    seen: &Seen,
    body: &mut Vec<u8>,
) -> io::Result<()> {
    if !seen.values("transfer-encoding").is_empty() {
        loop {
            let line = take_line(tcp, ahead).await?;
            let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
            let size = std::str::from_utf8(digits)
                .ok()
                .and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
            let size = size.ok_or(io::ErrorKind::InvalidData)?;
            if size == 0 {
                while !take_line(tcp, ahead).await?.is_empty() {}
                return Ok(());
            }
            take(tcp, ahead, size, body).await?;
            take(tcp, ahead, 2, &mut Vec::new()).await?;
        }
    }
    let length =
        seen.values("content-length").first().and_then(|length| length.parse().ok()).unwrap_or(0);
    take(tcp, ahead, length, body).await
}

async fn take(
    tcp: &mut TcpStream,
    ahead: &mut Vec<u8>,
    length: usize,
    body: &mut Vec<u8>,
) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        if ahead.is_empty() && tcp.read_buf(ahead).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let now = left.min(ahead.len());
        body.extend(ahead.drain(..now));
        left -= now;
    }
    Ok(())
}

async fn take_line(tcp: &mut TcpStream, ahead: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    loop {
        if let Some(end) = position(ahead, b"\r\n") {
            let line: Vec<u8> = ahead.drain(..end + 2).collect();
            return Ok(line.get(..end).unwrap_or_default().to_vec());
        }
        if tcp.read_buf(ahead).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
