//! A client's connection as a Pingora stream: plain or TLS, with a read-ahead buffer, limited to
//! one request at a time.

// Numbers here come from peers: arithmetic on them is checked or saturates.
#![warn(clippy::arithmetic_side_effects)]

mod chunks;
mod session;
mod transport;

pub(crate) use session::facts_of;
pub(crate) use transport::Transport;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{fmt, io};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::serving::answer::Answer;
use crate::serving::head::{Framing, Head};
use crate::serving::held::Outlet;
use crate::serving::tls::RequestedName;
use chunks::Chunks;
use session::Digests;

/// Facts about a client's connection that do not change while it is open.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The client's address: the peer, or the source address of the PROXY header.
    pub(crate) client: SocketAddr,
    /// Whether it is TLS.
    pub(crate) secure: bool,
    /// The subject of the client's certificate.
    pub(crate) client_subject: Option<Arc<str>>,
    /// For an h2 connection.
    pub(crate) outlet: Option<Arc<Outlet>>,
    /// The server name that the client requested (SNI).
    pub(crate) requested_name: Option<Arc<RequestedName>>,
}

/// A client's connection.
pub(crate) struct ClientStream {
    transport: Transport,
    /// Bytes that were read from the transport and not passed to a reader.
    ahead: BytesMut,
    /// Write buffer, sent when it is flushed or full: the head and body of a small response go out
    /// together.
    unsent: BytesMut,
    end: End,
    facts: Facts,
    h2: bool,
    /// Whether `part` was called.
    left_off: bool,
    /// Built once per connection.
    digests: Option<Digests>,
}

/// Where the current request ends.
#[derive(Debug)]
enum End {
    /// No request is being read.
    Unknown,
    /// After this many bytes.
    After(u64),
    /// After its chunks, which begin after `head` bytes.
    Chunks { head: u64, chunks: Chunks },
}

/// Maximum bytes read from the next request before the response to the current one.
const AHEAD_MAX: usize = 4096;
/// Timeout for the last response and the close of a connection.
const FAREWELL: Duration = Duration::from_secs(5);
/// Maximum bytes read and discarded before the close: enough for a request that is a little too
/// large, too few to be useful in an attack.
const FAREWELL_BYTES: usize = 512 * 1024;
/// Maximum size of the write buffer: one TLS record.
const UNSENT_MAX: usize = 16 * 1024;

impl ClientStream {
    /// A connection before its first byte is read.
    pub(crate) fn new(transport: Transport, mut facts: Facts) -> Self {
        let h2 = matches!(&transport, Transport::Tls(tls) if tls.get_ref().1.alpn_protocol() == Some(b"h2"));
        facts.outlet = h2.then(Arc::default);
        Self {
            transport,
            ahead: BytesMut::new(),
            unsent: BytesMut::new(),
            end: End::Unknown,
            facts,
            h2,
            left_off: false,
            digests: None,
        }
    }

    /// Whether ALPN selected h2.
    pub(crate) fn is_h2(&self) -> bool {
        self.h2
    }

    /// Facts about the connection.
    pub(crate) fn facts(&self) -> Facts {
        self.facts.clone()
    }

    /// The read-ahead buffer.
    pub(crate) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Takes up to `len` bytes from the read-ahead buffer.
    pub(crate) fn take_ahead(&mut self, len: usize) -> BytesMut {
        self.ahead.split_to(len.min(self.ahead.len()))
    }

    /// Reads into the read-ahead buffer; returns 0 at the end of the connection.
    pub(crate) async fn read_ahead(&mut self) -> io::Result<usize> {
        self.ahead.reserve(1024);
        self.transport.read_buf(&mut self.ahead).await
    }

    /// Frees empty buffers before the connection becomes idle.
    pub(crate) fn rest(&mut self) {
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
        if self.unsent.is_empty() {
            self.unsent = BytesMut::new();
        }
    }

    /// Limits the next reader to this request. After the request, a read returns only at the end of
    /// the connection.
    pub(crate) fn begin(&mut self, request: &Head) {
        let head = request.len as u64;
        self.end = match request.framing {
            // A length near 2^64 saturates; it is rejected later for its size.
            Framing::Length(length) => End::After(head.saturating_add(length)),
            Framing::Chunked => End::Chunks { head, chunks: Chunks::new() },
        };
    }

    /// Ends the current request: further bytes belong to the next one.
    pub(crate) fn finish(&mut self) {
        self.end = End::Unknown;
    }

    /// Closes the connection so that the last response arrives. Closing with unread input would
    /// reset the connection and lose the response, so up to [`FAREWELL_BYTES`] of input are read
    /// and discarded first (RFC 9112 section 9.6).
    pub(crate) async fn part(&mut self) {
        if std::mem::replace(&mut self.left_off, true) {
            return;
        }
        let all_read = matches!(self.end, End::After(0)) && self.ahead.is_empty();
        let last_words = async {
            AsyncWriteExt::shutdown(self).await?;
            if all_read || self.h2 {
                return Ok(());
            }
            self.ahead = BytesMut::new();
            let mut thrown_away = 0_usize;
            let mut room = vec![0; 16 * 1024];
            while thrown_away < FAREWELL_BYTES {
                match self.transport.read(&mut room).await? {
                    0 => break,
                    read => thrown_away = thrown_away.saturating_add(read),
                }
            }
            io::Result::Ok(())
        };
        // Errors are ignored: the client may have left.
        let _ = tokio::time::timeout(FAREWELL, last_words).await;
    }

    /// Sends a response without forwarding the request, then closes the connection.
    pub(crate) async fn refuse(&mut self, answer: Answer) {
        let write = async {
            self.write_all(&answer.to_h1()).await?;
            self.flush().await
        };
        // If the write fails, the client has left.
        if matches!(tokio::time::timeout(FAREWELL, write).await, Ok(Ok(()))) {
            self.part().await;
        }
    }

    /// The transport and the read-ahead buffer.
    pub(crate) fn into_parts(self) -> (Transport, BytesMut) {
        (self.transport, self.ahead)
    }

    /// Reads after the end of the current request: buffers bytes of the next one, and is ready only
    /// at the end of the connection.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ahead.len() < AHEAD_MAX {
            let mut room = [0; 512];
            let mut buffer = ReadBuf::new(&mut room);
            ready!(Pin::new(&mut self.transport).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.ahead.extend_from_slice(buffer.filled());
        }
        // No waker is registered: the caller also waits for the response, and the next request is
        // read after that.
        Poll::Pending
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let limit = match this.end {
            End::After(0) => return this.poll_end(cx),
            End::After(left) | End::Chunks { head: left @ 1.., .. } => left,
            End::Chunks { .. } | End::Unknown => u64::MAX,
        };
        let before = buffer.filled().len();
        if this.ahead.is_empty() {
            let mut limited = (&mut this.transport).take(limit);
            ready!(Pin::new(&mut limited).poll_read(cx, buffer))?;
        } else {
            let most = usize::try_from(limit).unwrap_or(usize::MAX);
            let now = this.ahead.len().min(buffer.remaining()).min(most);
            buffer.put_slice(this.ahead.get(..now).expect("not more than was read ahead"));
            this.ahead.advance(now);
        }
        let new = buffer.filled().get(before..).unwrap_or_default();
        match &mut this.end {
            End::After(left) | End::Chunks { head: left @ 1.., .. } => {
                *left = left.saturating_sub(new.len() as u64)
            }
            End::Chunks { chunks, .. } => {
                let end = chunks
                    .follow(new)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                if let Some(end) = end {
                    // Bytes after the last chunk belong to the next request.
                    let next = new.get(end..).unwrap_or_default();
                    this.ahead = [next, &this.ahead].concat().as_slice().into();
                    buffer.set_filled(before.saturating_add(end));
                    this.end = End::After(0);
                }
            }
            End::Unknown => {}
        }
        Poll::Ready(Ok(()))
    }
}

impl ClientStream {
    /// Records for an h2 connection whether the client's socket accepts more bytes.
    fn note_outlet(&self, blocked: bool, emptied: bool) {
        let Some(outlet) = &self.facts.outlet else { return };
        if blocked {
            outlet.blocked();
        } else if emptied {
            outlet.emptied();
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let sent = ready!(Pin::new(&mut self.transport).poll_write(cx, &self.unsent))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // The h2 library buffers its frames.
        if !this.h2 && this.unsent.len().saturating_add(bytes.len()) <= UNSENT_MAX {
            this.unsent.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(this.poll_send(cx))?;
        let written = Pin::new(&mut this.transport).poll_write(cx, bytes);
        this.note_outlet(written.is_pending(), false);
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        let flushed = Pin::new(&mut this.transport).poll_flush(cx);
        this.note_outlet(flushed.is_pending(), flushed.is_ready());
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.transport).poll_shutdown(cx)
    }
}

impl fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStream")
            .field("h2", &self.h2)
            .field("ahead", &self.ahead.len())
            .finish_non_exhaustive()
    }
}
