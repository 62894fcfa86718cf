//! Notifies systemd, or a compatible service manager, that the gateway serves: sd_notify(3).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Environment variable with the socket of the service manager; `@` marks an abstract socket name.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// Reports that this process serves and, after an upgrade, that it is the main process of the
/// service. Does nothing without a service manager.
pub(crate) fn serving(took_over: bool) {
    let Some(address) = std::env::var_os(VARIABLE).filter(|address| !address.is_empty()) else {
        return;
    };
    if let Err(error) = notify(&address, took_over) {
        tracing::warn!(%error, socket = %address.display(), "cannot notify the service manager");
    }
}

fn notify(address: &OsStr, took_over: bool) -> io::Result<()> {
    let main = if took_over { format!("MAINPID={}\n", std::process::id()) } else { String::new() };
    let address = match address.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A service manager that does not read must not block the gateway.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(format!("{main}READY=1").as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut room = [0; 128];
        let length = socket.recv(&mut room).unwrap();
        String::from_utf8_lossy(&room[..length]).into_owned()
    }

    #[test]
    fn notifications_reach_a_path_and_an_abstract_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        notify(path.as_os_str(), false).unwrap();
        assert_eq!(received(&socket), "READY=1");

        let name = format!("gateway-test-{}", std::process::id());
        let socket =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        notify(OsStr::new(&format!("@{name}")), true).unwrap();
        assert_eq!(received(&socket), format!("MAINPID={}\nREADY=1", std::process::id()));
    }
}
