//! Listening sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::Error;

/// Connections that the kernel completes and keeps until they are accepted. The system lowers it
/// to its own limit (`net.core.somaxconn` on Linux).
const BACKLOG: i32 = 4096;
/// A socket that listens on `port` of `address`, or of all addresses of both families.
///
/// # Errors
/// When the address is taken or not of this machine.
pub(crate) fn listen(address: Option<IpAddr>, port: u16) -> Result<TcpListener, Error> {
    bind(address, port).map_err(|error| Error::Listen {
        address: address
            .map_or_else(|| format!("*:{port}"), |ip| SocketAddr::new(ip, port).to_string()),
        error: error.to_string(),
    })
}

/// The address of `text`: an IP address, or `None` for `*`, which is all of both families.
///
/// # Errors
/// For anything else: names are not resolved.
pub(crate) fn bind_address(text: &str) -> Result<Option<IpAddr>, Error> {
    match text {
        "*" => Ok(None),
        text => text.parse().map(Some).map_err(|_| Error::BindAddress(text.to_owned())),
    }
}

/// A listening socket on `address`, or on all addresses of both families.
fn bind(address: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    let Some(address) = address else {
        return bind_to(Ipv6Addr::UNSPECIFIED.into(), port, false)
            // A machine without IPv6.
            .or_else(|error| match error.kind() {
                io::ErrorKind::AddrInUse => Err(error),
                _ => bind_to(Ipv4Addr::UNSPECIFIED.into(), port, true),
            });
    };
    bind_to(address, port, true)
}

fn bind_to(address: IpAddr, port: u16, only_v6: bool) -> io::Result<TcpListener> {
    let address = SocketAddr::new(address, port);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // On Unix this lets a server start again at once; on Windows it would let another process
    // take the port over.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}
