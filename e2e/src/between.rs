//! Stands between a gateway that is being taken over and its successor: passes on what they say and
//! hand over, except that the successor serves.

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

use crate::process::PATIENCE;

/// A conversation held where the successor has said that it serves, and was not heard. Dropping it
/// ends both halves.
pub struct Held {
    /// What was not passed on.
    pub unheard: String,
    _ends: (UnixStream, UnixStream),
}

/// Waits for a successor at `listener`, and passes its conversation on to the gateway at `socket`,
/// up to that point.
pub fn hold(listener: &UnixListener, socket: &Path) -> io::Result<Held> {
    let (mut successor, _) = listener.accept()?;
    let mut gateway = UnixStream::connect(socket)?;
    for stream in [&successor, &gateway] {
        stream.set_read_timeout(Some(PATIENCE))?;
    }
    pass_word(&mut successor, &mut gateway)?;
    pass_word(&mut gateway, &mut successor)?;
    pass_descriptors(&gateway, &successor)?;
    let unheard = String::from_utf8_lossy(&word(&mut successor)?).into_owned();
    Ok(Held { unheard, _ends: (successor, gateway) })
}

fn word(from: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut text = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut text)?;
    Ok(text)
}

fn pass_word(from: &mut UnixStream, to: &mut UnixStream) -> io::Result<()> {
    let text = word(from)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&text)
}

fn pass_descriptors(from: &UnixStream, to: &UnixStream) -> io::Result<()> {
    let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(64))];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let mut octet = [0];
    recvmsg(from, &mut [IoSliceMut::new(&mut octet)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let all: Vec<OwnedFd> = rights.flatten().collect();
    assert!(!all.is_empty(), "sockets are handed over");
    let all: Vec<_> = all.iter().map(|descriptor| descriptor.as_fd()).collect();
    let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(64))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    assert!(control.push(SendAncillaryMessage::ScmRights(&all)), "there is room for 64");
    sendmsg(to, &[IoSlice::new(&octet)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}
