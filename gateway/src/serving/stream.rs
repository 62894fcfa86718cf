//! A client's connection as Pingora wants it: plain or TLS, with what was read ahead, and bounded
//! to one request at a time.

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
use crate::serving::tls::Asked;
use chunks::Chunks;
use session::Digests;

/// What is known about a client's connection, for as long as it lasts.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Who connected: the peer, or whom the PROXY header named.
    pub(crate) client: SocketAddr,
    /// Whether it is TLS.
    pub(crate) secure: bool,
    /// The subject of the certificate that the client has shown.
    pub(crate) client_subject: Option<Arc<str>>,
    /// Of an h2 connection.
    pub(crate) outlet: Option<Arc<Outlet>>,
    /// The name that it was opened for (SNI), if one was named.
    pub(crate) asked: Option<Arc<Asked>>,
}

/// A client's connection.
pub(crate) struct ClientStream {
    transport: Transport,
    /// Read from the transport, and not yet taken by a reader.
    ahead: BytesMut,
    /// Written, and held back until it is flushed or full: the head and the body of a small answer
    /// leave together.
    unsent: BytesMut,
    end: End,
    facts: Facts,
    h2: bool,
    /// Whether the end was announced and what still came was read.
    parted: bool,
    /// Made once for all requests of the connection.
    digests: Option<Digests>,
}

/// Where the present request ends.
#[derive(Debug)]
enum End {
    /// No request is being read.
    Unknown,
    /// After so many bytes.
    After(u64),
    /// After its chunks, which begin after so many bytes.
    Chunks { head: u64, chunks: Chunks },
}

/// Most bytes of a following request that are taken while the present one is being answered.
const AHEAD_MAX: usize = 4096;
/// Longest time to end a connection.
const FAREWELL: Duration = Duration::from_secs(5);
/// Most bytes thrown away while it ends: enough for a request that is a little too large, too
/// little to be worth an attack.
const FAREWELL_BYTES: usize = 512 * 1024;
/// Most bytes held back before they are sent: one TLS record.
const UNSENT_MAX: usize = 16 * 1024;

impl ClientStream {
    /// A connection of which nothing was read yet.
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
            parted: false,
            digests: None,
        }
    }

    /// Whether the client chose h2.
    pub(crate) fn is_h2(&self) -> bool {
        self.h2
    }

    /// What is known about it.
    pub(crate) fn facts(&self) -> Facts {
        self.facts.clone()
    }

    /// What was read ahead.
    pub(crate) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Takes bytes that were read ahead.
    pub(crate) fn take_ahead(&mut self, len: usize) -> BytesMut {
        self.ahead.split_to(len.min(self.ahead.len()))
    }

    /// Reads more ahead; 0 at the end of the connection.
    pub(crate) async fn read_ahead(&mut self) -> io::Result<usize> {
        self.ahead.reserve(1024);
        self.transport.read_buf(&mut self.ahead).await
    }

    /// Frees the room for what was read ahead, if nothing is in it: a connection may be idle for
    /// long.
    pub(crate) fn rest(&mut self) {
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
        if self.unsent.is_empty() {
            self.unsent = BytesMut::new();
        }
    }

    /// The next reader gets this request and nothing after it, and the end of the connection
    /// there.
    pub(crate) fn begin(&mut self, request: &Head) {
        let head = request.len as u64;
        self.end = match request.framing {
            // A length that no connection could carry stays one that is refused for its size.
            Framing::Length(length) => End::After(head.saturating_add(length)),
            Framing::Chunked => End::Chunks { head, chunks: Chunks::new() },
        };
    }

    /// The request is over: what comes next is another one.
    pub(crate) fn finish(&mut self) {
        self.end = End::Unknown;
    }

    /// Ends the connection so that the last answer arrives: closing while input is unread would
    /// reset the connection and take the answer away, so what still comes is read and thrown away
    /// for a while (RFC 9112 section 9.6).
    pub(crate) async fn part(&mut self) {
        if std::mem::replace(&mut self.parted, true) {
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
        // The client may be gone.
        let _ = tokio::time::timeout(FAREWELL, last_words).await;
    }

    /// Answers a request that goes no further and ends the connection.
    pub(crate) async fn refuse(&mut self, answer: Answer) {
        let write = async {
            self.write_all(&answer.to_h1()).await?;
            self.flush().await
        };
        // A client that is gone needs no answer.
        if matches!(tokio::time::timeout(FAREWELL, write).await, Ok(Ok(()))) {
            self.part().await;
        }
    }

    /// The transport and what was read ahead.
    pub(crate) fn into_parts(self) -> (Transport, BytesMut) {
        (self.transport, self.ahead)
    }

    /// After the end of the present request: keeps what arrives for the next one, and reports only
    /// the end of the connection.
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
        // Not woken again: the caller waits for its answer too, and the next request is read after
        // that.
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
                    // What follows the last chunk is the next request's.
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
    /// Notes for an h2 connection whether its client's socket takes what it is sent.
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
        // h2 gathers its frames itself.
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
