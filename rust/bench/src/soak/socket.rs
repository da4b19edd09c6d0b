//! Sockets of clients that come from many addresses, some with segments as small as on the internet.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use mio::net::TcpStream;
use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

/// Payload of a segment on most ways through the internet. A kernel also keeps less for a connection
/// with small segments than the megabytes that it takes for one on the same machine.
const SEGMENT: u32 = 1400;

/// Starts to connect from an address of client `key`; `None` if nobody listens.
pub(super) fn connect(
    address: SocketAddr,
    key: u32,
    has_small_segments: bool,
) -> Result<Option<TcpStream>> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if has_small_segments {
        socket.set_tcp_mss(SEGMENT)?;
    }
    socket.bind(&SocketAddr::from((source(key), 0)).into()).context("no address is free")?;
    match socket.connect(&address.into()) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(None),
        Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => {
            Err(error).context("failed to connect")
        }
        _ => Ok(Some(TcpStream::from_std(socket.into()))),
    }
}

/// One of the addresses of this machine, as if players came from everywhere.
fn source(key: u32) -> Ipv4Addr {
    Ipv4Addr::from(Ipv4Addr::LOCALHOST.to_bits() + (1 << 16) + key % (1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_addresses_of_this_machine() {
        assert_eq!(source(1), Ipv4Addr::new(127, 1, 0, 2));
        assert!((0..1 << 22).step_by(997).all(|key| source(key).is_loopback()));
    }
}
