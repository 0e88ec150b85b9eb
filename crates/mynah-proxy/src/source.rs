//! Connections to the application from the client's own address.
//!
//! The socket is bound to an address that is not ours, which `IP_TRANSPARENT` allows, and marked, so that the rules of
//! `mynah takeover --preserve-source` bring the application's answers back here instead of sending them to the client.

use std::io;
use std::net::SocketAddr;

use mynah_core::UPSTREAM_MARK;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};

/// Connects to `address` as if from `client`, which connected to `local`. The client's port is kept as well while no other
/// connection has it. A client in the pod itself is not imitated: it shares its addresses with everyone there.
pub(crate) async fn connect_from(client: SocketAddr, local: SocketAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let client = SocketAddr::new(client.ip().to_canonical(), client.port());
    if client.ip().is_loopback() {
        return TcpStream::connect(address).await;
    }
    let address = beside(address, local);
    match connect_bound(client, address).await {
        // Such as a connection of before that the system has not forgotten yet.
        Err(error) if taken(&error) => connect_bound(SocketAddr::new(client.ip(), 0), address).await,
        result => result,
    }
}

async fn connect_bound(client: SocketAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(client), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_cloexec(true)?;
    socket.set_reuse_address(true)?;
    // Linux takes the option of IPv4 for both families.
    socket.set_ip_transparent_v4(true)?;
    socket.set_mark(UPSTREAM_MARK)?;
    socket.bind(&client.into())?;
    TcpSocket::from_std_stream(socket.into()).connect(address).await
}

/// An application on the loopback device, at the address of the pod that the client used: from a loopback address no answer
/// can be sent to a client's.
fn beside(address: SocketAddr, local: SocketAddr) -> SocketAddr {
    if address.ip().is_loopback() {
        SocketAddr::new(local.ip().to_canonical(), address.port())
    } else {
        address
    }
}

fn taken(error: &io::Error) -> bool {
    let codes = [Errno::ADDRINUSE, Errno::ADDRNOTAVAIL, Errno::EXIST];
    codes
        .iter()
        .any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_beside_is_reached_at_the_address_that_the_client_used() {
        let app: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:9480".parse().unwrap();
        assert_eq!(beside(app, mapped), "192.0.2.7:8080".parse().unwrap());
        let v6: SocketAddr = "[2001:db8::1]:9480".parse().unwrap();
        assert_eq!(beside(app, v6), "[2001:db8::1]:8080".parse().unwrap());
        let distant: SocketAddr = "198.51.100.1:80".parse().unwrap();
        assert_eq!(beside(distant, v6), distant);
    }
}
