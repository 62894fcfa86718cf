//! What two gateways say to each other: words as JSON behind their length, then descriptors
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
/// fields and new words that the other side may ignore do not raise it.
pub(super) const PROTOCOL: u32 = 1;

/// Longest word: the description of some thousand sockets.
const LONGEST: u32 = 1 << 20;
/// Descriptors that travel at once; Linux takes 253.
const AT_ONCE: usize = 64;

/// What one side says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub(super) enum Word {
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
pub(super) struct Described {
    /// The listener's name; none: the admin address.
    pub(super) listener: Option<String>,
    /// The address as the configuration has it, which may be `localhost:8443` or have port 0.
    pub(super) configured: String,
}

/// One side of the conversation.
pub(super) struct Channel(UnixStream);

impl Channel {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// Who is at the other end: user and process.
    pub(super) fn peer(&self) -> io::Result<(u32, Option<i32>)> {
        let credentials = self.0.peer_cred()?;
        Ok((credentials.uid(), credentials.pid()))
    }

    /// Says a word.
    pub(super) async fn say(&mut self, word: &Word, within: Duration) -> io::Result<()> {
        let text = serde_json::to_vec(word)?;
        let length = u32::try_from(text.len()).ok().filter(|length| *length <= LONGEST);
        let length = length.ok_or_else(|| io::Error::other("too much to say"))?;
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend_from_slice(&text);
        timeout(within, self.0.write_all(&frame)).await?
    }

    /// The next word; none when the other side has gone.
    pub(super) async fn hear(&mut self, within: Duration) -> io::Result<Option<Word>> {
        timeout(within, self.next()).await?
    }

    async fn next(&mut self) -> io::Result<Option<Word>> {
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
                format!("a word of {length} octets"),
            ));
        }
        let mut text = vec![0; length as usize];
        self.0.read_exact(&mut text).await?;
        Ok(Some(serde_json::from_slice(&text)?))
    }

    /// Sends descriptors.
    pub(super) async fn give(
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
    pub(super) async fn take(&self, count: usize, within: Duration) -> io::Result<Vec<OwnedFd>> {
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
    // Descriptors need at least one octet to travel with.
    sendmsg(stream, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn take(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(AT_ONCE))];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let mut octet = [0];
    let received =
        recvmsg(stream, &mut [IoSliceMut::new(&mut octet)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
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
            one.say(&Word::HandedOver, SOON).await.unwrap();
            one.give(&sockets.iter().map(|socket| socket.as_fd()).collect::<Vec<_>>(), SOON)
                .await
                .unwrap();
            one.say(&Word::Serving, SOON).await.unwrap();
        };
        let taking = async {
            assert_eq!(other.hear(SOON).await.unwrap(), Some(Word::HandedOver));
            let taken = other.take(sockets.len(), SOON).await.unwrap();
            assert_eq!(other.hear(SOON).await.unwrap(), Some(Word::Serving));
            taken
        };
        let ((), taken) = tokio::join!(giving, taking);
        let port = |socket: &TcpListener| socket.local_addr().unwrap().port();
        let taken: Vec<_> =
            taken.into_iter().map(|socket| port(&TcpListener::from(socket))).collect();
        assert_eq!(taken, sockets.iter().map(port).collect::<Vec<_>>());
        drop(one);
        assert_eq!(other.hear(SOON).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_word_that_is_too_long_or_senseless_is_refused() {
        for octets in [&[255, 255, 255, 255][..], b"\0\0\0\x02{}", b"\0\0\0\x05hello"] {
            let (mut one, other) = UnixStream::pair().unwrap();
            one.write_all(octets).await.unwrap();
            Channel::new(other).hear(SOON).await.unwrap_err();
        }
    }

    #[tokio::test]
    async fn silence_ends_at_the_deadline() {
        let (_one, other) = UnixStream::pair().unwrap();
        let error = Channel::new(other).hear(Duration::from_millis(1)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
