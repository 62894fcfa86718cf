//! A stream with timeouts for slow clients: while sending a request head, between requests, and
//! while reading a response.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Timeout of a request head, from accept or from the first byte of a later request.
const HEAD: Duration = Duration::from_secs(10);
/// Idle timeout between two requests.
const IDLE: Duration = Duration::from_secs(75);
/// Timeout for a client that reads nothing of its response.
const TAKEN: Duration = Duration::from_secs(10);

/// The phase of a connection: waiting for a head, responding, idle, and again. Each transition adds
/// one or more to the counter.
#[derive(Debug, Default)]
pub(super) struct Phase(AtomicU64);

const STEPS: u64 = 3;
const HEAD_AWAITED: u64 = 0;
const ANSWERING: u64 = 1;
const IDLING: u64 = 2;

impl Phase {
    /// A complete head has arrived.
    pub(super) fn begin_answer(&self) {
        self.advance_to(ANSWERING);
    }

    /// The response is ready; sending it has its own timeout.
    pub(super) fn end_answer(&self) {
        self.advance_to(IDLING);
    }

    /// Whether a response is being prepared.
    pub(super) fn is_answering(&self) -> bool {
        self.now() % STEPS == ANSWERING
    }

    fn begin_head(&self) {
        if self.now() % STEPS == IDLING {
            self.advance_to(HEAD_AWAITED);
        }
    }

    fn advance_to(&self, step: u64) {
        // Only one task changes it.
        let now = self.now();
        let further = (step + STEPS - now % STEPS) % STEPS;
        self.0.store(now.wrapping_add(further), Ordering::Release);
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// A stream with timeouts.
pub(super) struct Deadlines<S> {
    stream: S,
    phase: std::sync::Arc<Phase>,
    /// The read timer and the phase it belongs to.
    reading: Option<(u64, Pin<Box<Sleep>>)>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Deadlines<S> {
    pub(super) fn new(stream: S, phase: std::sync::Arc<Phase>) -> Self {
        Self { stream, phase, reading: None, writing: None }
    }

    /// Whether the read timeout has expired.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.phase.now();
        let longest = match now % STEPS {
            HEAD_AWAITED => HEAD,
            IDLING => IDLE,
            // The time to prepare a response is not limited here.
            _ => {
                self.reading = None;
                return false;
            }
        };
        let (_, sleep) = match self.reading.take() {
            Some((step, sleep)) if step == now => self.reading.insert((step, sleep)),
            _ => self
                .reading
                .insert((now, Box::pin(tokio::time::sleep_until(Instant::now() + longest)))),
        };
        sleep.as_mut().poll(cx).is_ready()
    }

    /// Applies the write timeout.
    fn within_taken<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.writing = None;
            return polled;
        }
        let sleep = self.writing.get_or_insert_with(|| Box::pin(tokio::time::sleep(TAKEN)));
        if sleep.as_mut().poll(cx).is_ready() { late() } else { Poll::Pending }
    }
}

fn late<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
}

impl<S: AsyncRead + Unpin> AsyncRead for Deadlines<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            this.phase.begin_head();
        }
        // The timeout also applies to a client that keeps sending single bytes.
        if this.poll_late(cx) { late() } else { polled }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deadlines<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.within_taken(cx, polled)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
        this.within_taken(cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.within_taken(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    fn pair() -> (Deadlines<DuplexStream>, DuplexStream, Arc<Phase>) {
        let (ours, theirs) = tokio::io::duplex(64);
        let phase = Arc::new(Phase::default());
        (Deadlines::new(ours, Arc::clone(&phase)), theirs, phase)
    }

    #[tokio::test(start_paused = true)]
    async fn the_head_timeout_applies_to_heads_sent_byte_by_byte() {
        let (mut ours, mut theirs, _phase) = pair();
        let begun = Instant::now();
        let sending = tokio::spawn(async move {
            while theirs.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let mut byte = [0];
        let error = loop {
            match ours.read(&mut byte).await {
                Ok(read) => assert_eq!(read, 1),
                Err(error) => break error,
            }
        };
        assert_eq!(
            (error.kind(), begun.elapsed().as_secs()),
            (io::ErrorKind::TimedOut, HEAD.as_secs())
        );
        drop(ours);
        sending.await.expect("it ends with the connection");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_times_out_but_preparing_a_response_does_not() {
        let (mut ours, mut theirs, phase) = pair();
        theirs.write_all(b"x").await.expect("it is open");
        ours.read_exact(&mut [0]).await.expect("no timeout applies");
        phase.begin_answer();
        let hour = Duration::from_secs(3600);
        tokio::time::timeout(hour, ours.read_u8()).await.expect_err("no timeout applies");
        phase.end_answer();
        let begun = Instant::now();
        let error = ours.read_u8().await.expect_err("the idle timeout applies");
        assert_eq!(
            (error.kind(), begun.elapsed().as_secs()),
            (io::ErrorKind::TimedOut, IDLE.as_secs())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_its_response_times_out() {
        let (mut ours, _theirs, _phase) = pair();
        let begun = Instant::now();
        let error = ours.write_all(&[0; 65]).await.expect_err("64 bytes fit");
        assert_eq!(
            (error.kind(), begun.elapsed().as_secs()),
            (io::ErrorKind::TimedOut, TAKEN.as_secs())
        );
    }
}
