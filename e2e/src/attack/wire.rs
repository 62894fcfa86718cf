//! A raw connection: sends bytes exactly as written and reads answers, each with a timeout.

use std::io;
use std::time::Duration;

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio::time::timeout;

/// Timeout for an answer or for the end of a connection. Rejections are immediate; the rest is for
/// a busy machine.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

/// The stream below a connection.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// The receiving half of a connection.
pub type Reading = ReadHalf<Box<dyn Io>>;
/// The sending half of a connection.
pub type Writing = WriteHalf<Box<dyn Io>>;

/// A raw connection.
pub struct Wire {
    io: Box<dyn Io>,
    ahead: Vec<u8>,
}

/// An HTTP/1.1 answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head as received, including the empty line.
    pub head: String,
    /// The decoded body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a field, if present.
    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .next()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Wire {
    /// Wraps a connection on which nothing was read.
    pub fn new(io: impl Io + 'static) -> Self {
        Self { io: Box::new(io), ahead: Vec::new() }
    }

    /// Splits the connection, to read and write concurrently.
    pub fn split(self) -> (Reading, Writing) {
        tokio::io::split(self.io)
    }

    /// Sends bytes. Fails if the peer stops reading.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sending = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        timeout(RESPONSE_TIMEOUT, sending)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads the next answer; `bodiless` if it answers a HEAD. The error describes what was
    /// received instead: silence, the end of the connection, or something that is not an answer.
    pub async fn answer(&mut self, bodiless: bool) -> Result<Answer, String> {
        timeout(RESPONSE_TIMEOUT, self.read_answer(bodiless)).await.unwrap_or_else(|_| {
            Err(format!("silence after {} bytes of an answer", self.ahead.len()))
        })
    }

    /// Reads until the peer closes. Fails if it does not.
    pub async fn rest(&mut self) -> Result<Vec<u8>, String> {
        let reading = async { while self.more().await.unwrap_or(0) > 0 {} };
        match timeout(RESPONSE_TIMEOUT, reading).await {
            Ok(()) => Ok(std::mem::take(&mut self.ahead)),
            Err(_) => Err(format!("still open after {} more bytes", self.ahead.len())),
        }
    }

    /// Reads once and returns the number of bytes; 0 at the end of the connection.
    pub async fn more(&mut self) -> io::Result<usize> {
        self.io.read_buf(&mut self.ahead).await
    }

    /// Bytes read and not yet consumed.
    pub fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    async fn read_answer(&mut self, bodiless: bool) -> Result<Answer, String> {
        let end = loop {
            if let Some(end) = position(&self.ahead, b"\r\n\r\n") {
                break end;
            }
            match self.more().await {
                Ok(0) => {
                    return Err(format!(
                        "the connection ended after {:?}",
                        String::from_utf8_lossy(&self.ahead)
                    ));
                }
                Ok(_) => {}
                Err(error) => {
                    return Err(format!(
                        "{error} after {:?}",
                        String::from_utf8_lossy(&self.ahead)
                    ));
                }
            }
        };
        let head =
            String::from_utf8_lossy(&self.ahead.drain(..end + 4).collect::<Vec<_>>()).into_owned();
        let version = head.strip_prefix("HTTP/1.1 ").or_else(|| head.strip_prefix("HTTP/1.0 "));
        let status = version.and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| format!("no status line: {head:?}"))?;
        let mut answer = Answer { status, head, body: Vec::new() };
        let length = answer.field("content-length").map(|length| length.parse::<usize>());
        answer.body = match length {
            _ if bodiless || matches!(status, 100..=199 | 204 | 304) => Vec::new(),
            Some(Ok(length)) => self.take(length).await?,
            Some(Err(error)) => return Err(format!("{error}: {}", answer.head)),
            None if answer.field("transfer-encoding") == Some("chunked") => self.chunks().await?,
            None => {
                while self.more().await.unwrap_or(0) > 0 {}
                std::mem::take(&mut self.ahead)
            }
        };
        Ok(answer)
    }

    async fn chunks(&mut self) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = position(&self.ahead, b"\r\n") {
                    break end;
                }
                self.expect_more().await?;
            };
            let line = String::from_utf8_lossy(&self.take(end + 2).await?).trim().to_owned();
            let size =
                usize::from_str_radix(&line, 16).map_err(|error| format!("{error}: {line:?}"))?;
            let data = self.take(size + 2).await?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(data.get(..size).unwrap_or_default());
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>, String> {
        while self.ahead.len() < length {
            self.expect_more().await?;
        }
        Ok(self.ahead.drain(..length).collect())
    }

    async fn expect_more(&mut self) -> Result<(), String> {
        match self.more().await {
            Ok(1..) => Ok(()),
            other => Err(format!("the body is incomplete: {other:?}")),
        }
    }
}

/// The position of the first occurrence of a sequence.
pub(super) fn position(within: &[u8], wanted: &[u8]) -> Option<usize> {
    within.windows(wanted.len()).position(|window| window == wanted)
}
