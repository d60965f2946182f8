//! The way to a service manager: a datagram socket by a path or an abstract name. The words are `sd-notify`'s; its own sending
//! knows no abstract name, and waits where the other side is full.

use sd_notify::NotifyState;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

#[derive(Debug)]
pub(super) struct Socket {
    from: UnixDatagram,
    to: SocketAddr,
}

impl Socket {
    /// To whom `NOTIFY_SOCKET` names. A name that is of no use is told once, and no reason to fail.
    pub(super) fn of_environment() -> Option<Self> {
        let name = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty())?;
        let opened = address(&name).and_then(|to| {
            let from = UnixDatagram::unbound()?;
            from.set_nonblocking(true)?;
            Ok(Self { from, to })
        });
        opened.map_err(|e| tracing::warn!("cannot notify the service manager at NOTIFY_SOCKET={}: {e}", name.display())).ok()
    }

    /// One datagram, a word a line; `false` where it did not get there and may be said again.
    pub(super) fn send(&self, words: &[NotifyState<'_>]) -> bool {
        let text: Vec<String> = words.iter().map(ToString::to_string).collect();
        self.from.send_to_addr(text.join("\n").as_bytes(), &self.to).is_ok()
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::other("expected a path, or '@' and an abstract name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_an_abstract_name_are_addresses_and_nothing_else_is() {
        let of = |name: &str| address(OsStr::new(name)).expect("an address");
        assert_eq!(of("/run/systemd/notify").as_pathname().expect("a path"), "/run/systemd/notify");
        assert_eq!(of("@/org/a").as_abstract_name().expect("abstract"), b"/org/a");
        for name in ["vsock:2:1234", "relative/path", ""] {
            assert!(address(OsStr::new(name)).is_err(), "{name}");
        }
    }
}
