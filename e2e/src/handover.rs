//! Sits between a gateway and its successor during an upgrade: forwards handover messages and
//! sockets, but withholds the successor's last message, that it serves.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::process::TIMEOUT;

/// A handover in which the successor's message that it serves is withheld. Dropping it closes both
/// connections.
pub struct Held {
    /// The withheld message.
    pub withheld: String,
    _connections: (UnixStream, UnixStream),
}

/// Waits for a successor at `listener` and forwards its handover messages to the gateway at
/// `socket`, up to that point.
pub fn hold(listener: &UnixListener, socket: &Path) -> io::Result<Held> {
    let (mut successor, _) = listener.accept()?;
    let mut gateway = UnixStream::connect(socket)?;
    for stream in [&successor, &gateway] {
        stream.set_read_timeout(Some(TIMEOUT))?;
    }
    forward_message(&mut successor, &mut gateway)?;
    forward_message(&mut gateway, &mut successor)?;
    forward_sockets(&gateway, &successor)?;
    let withheld = String::from_utf8_lossy(&receive(&mut successor)?).into_owned();
    Ok(Held { withheld, _connections: (successor, gateway) })
}

fn receive(from: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut text = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut text)?;
    Ok(text)
}

fn forward_message(from: &mut UnixStream, to: &mut UnixStream) -> io::Result<()> {
    let text = receive(from)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&text)
}

fn forward_sockets(from: &UnixStream, to: &UnixStream) -> io::Result<()> {
    let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(64))];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let mut byte = [0];
    recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let all: Vec<OwnedFd> = rights.flatten().collect();
    assert!(!all.is_empty(), "the gateway sends its sockets");
    let all: Vec<_> = all.iter().map(|descriptor| descriptor.as_fd()).collect();
    let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(64))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    assert!(
        control.push(SendAncillaryMessage::ScmRights(&all)),
        "the buffer has room for 64 descriptors"
    );
    sendmsg(to, &[IoSlice::new(&byte)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}
