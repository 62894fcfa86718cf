//! Handover messages between two gateways: JSON after its length, then descriptors
//! (SCM_RIGHTS, unix(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Raised when an older gateway could no longer understand a newer one, or the other way round. New
/// fields and new messages that the other side may ignore do not raise it.
pub(crate) const PROTOCOL: u32 = 1;

/// How long a successor may take from its sockets to serving: it has read its configuration before.
pub(crate) const PREPARATION: Duration = Duration::from_secs(30);

/// Longest message: the description of some thousand sockets.
const LONGEST: u32 = 1 << 20;
/// Descriptors that travel at once; Linux takes 253.
const AT_ONCE: usize = 64;

/// A handover message.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub(crate) enum Message {
    /// The successor: give me the listening sockets.
    Ask { protocol: u32, version: String },
    /// The predecessor: these, whose descriptors follow in this order.
    Sockets { version: String, sockets: Vec<Described> },
    /// The predecessor: no.
    Refused { reason: String },
    /// The successor: I accept on them and am ready.
    Serving,
    /// The successor: I cannot.
    Failed { reason: String },
    /// The predecessor: they are yours; I stop accepting.
    HandedOver,
}

/// What a socket is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Described {
    /// The listener's name; none: the admin address.
    pub(crate) listener: Option<String>,
    /// The address as the configuration has it, which may be `localhost:8443` or have port 0.
    pub(crate) configured: String,
}

/// One side of the conversation.
pub(crate) struct Channel(UnixStream);

impl Channel {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// Who is at the other end: user and process.
    pub(crate) fn peer(&self) -> io::Result<(u32, Option<i32>)> {
        let credentials = self.0.peer_cred()?;
        Ok((credentials.uid(), credentials.pid()))
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, message: &Message, within: Duration) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        let length = u32::try_from(text.len()).ok().filter(|length| *length <= LONGEST);
        let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend_from_slice(&text);
        timeout(within, self.0.write_all(&frame)).await?
    }

    /// The next message; none when the other side has gone.
    pub(crate) async fn receive(&mut self, within: Duration) -> io::Result<Option<Message>> {
        timeout(within, self.next()).await?
    }

    async fn next(&mut self) -> io::Result<Option<Message>> {
        let mut length = [0; 4];
        match self.0.read_exact(&mut length).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let length = u32::from_be_bytes(length);
        if length > LONGEST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a message of {length} bytes"),
            ));
        }
        let mut text = vec![0; length as usize];
        self.0.read_exact(&mut text).await?;
        Ok(Some(serde_json::from_slice(&text)?))
    }

    /// Sends descriptors.
    pub(crate) async fn send_descriptors(
        &self,
        descriptors: &[BorrowedFd<'_>],
        within: Duration,
    ) -> io::Result<()> {
        let give = async {
            for some in descriptors.chunks(AT_ONCE) {
                self.0.async_io(Interest::WRITABLE, || give(&self.0, some)).await?;
            }
            Ok(())
        };
        timeout(within, give).await?
    }

    /// Receives this many descriptors; they are not passed on to programs that this one starts.
    pub(crate) async fn receive_descriptors(
        &self,
        count: usize,
        within: Duration,
    ) -> io::Result<Vec<OwnedFd>> {
        let take = async {
            let mut all = Vec::new();
            while all.len() < count {
                let some = self.0.async_io(Interest::READABLE, || take(&self.0)).await?;
                if some.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                all.extend(some);
            }
            Ok(all)
        };
        timeout(within, take).await?
    }
}

fn give(stream: &UnixStream, some: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(AT_ONCE))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    if !control.push(SendAncillaryMessage::ScmRights(some)) {
        return Err(io::Error::other("too many descriptors at once"));
    }
    // Descriptors need at least one byte to travel with.
    sendmsg(stream, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn take(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(AT_ONCE))];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let mut byte = [0];
    let received =
        recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let all: Vec<OwnedFd> = rights.flatten().collect();
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other(
            "not every descriptor arrived: is the limit of open files reached?",
        ));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd as _;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn words_and_more_descriptors_than_travel_at_once_arrive_in_order() {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut one, mut other) = (Channel::new(one), Channel::new(other));
        let sockets: Vec<_> =
            (0..AT_ONCE + 7).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let giving = async {
            one.send(&Message::HandedOver, SOON).await.unwrap();
            one.send_descriptors(
                &sockets.iter().map(|socket| socket.as_fd()).collect::<Vec<_>>(),
                SOON,
            )
            .await
            .unwrap();
            one.send(&Message::Serving, SOON).await.unwrap();
        };
        let taking = async {
            assert_eq!(other.receive(SOON).await.unwrap(), Some(Message::HandedOver));
            let taken = other.receive_descriptors(sockets.len(), SOON).await.unwrap();
            assert_eq!(other.receive(SOON).await.unwrap(), Some(Message::Serving));
            taken
        };
        let ((), taken) = tokio::join!(giving, taking);
        let port = |socket: &TcpListener| socket.local_addr().unwrap().port();
        let taken: Vec<_> =
            taken.into_iter().map(|socket| port(&TcpListener::from(socket))).collect();
        assert_eq!(taken, sockets.iter().map(port).collect::<Vec<_>>());
        drop(one);
        assert_eq!(other.receive(SOON).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_word_that_is_too_long_or_senseless_is_refused() {
        for bytes in [&[255, 255, 255, 255][..], b"\0\0\0\x02{}", b"\0\0\0\x05hello"] {
            let (mut one, other) = UnixStream::pair().unwrap();
            one.write_all(bytes).await.unwrap();
            Channel::new(other).receive(SOON).await.unwrap_err();
        }
    }

    #[tokio::test]
    async fn silence_ends_at_the_deadline() {
        let (_one, other) = UnixStream::pair().unwrap();
        let error = Channel::new(other).receive(Duration::from_millis(1)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
