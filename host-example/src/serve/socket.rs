//! Opens the socket, and sets the system's limits for it.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
#[cfg(target_os = "linux")]
use std::time::Duration;

use tokio::net::TcpSocket;

use super::options::Options;
use crate::terminal::Failure;

/// After how long a silent client is asked whether it is still there.
#[cfg(target_os = "linux")]
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How long a client may leave sent data unacknowledged, in milliseconds.
#[cfg(target_os = "linux")]
const SILENCE_MS: u32 = 300_000;
/// Connections that the system keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// Opens the socket that the command line names.
pub fn listen(options: &Options) -> Result<StdListener, Failure> {
    let address = SocketAddr::new(options.listen, options.port);
    open(address).map_err(|cause| {
        let port = options.port;
        match cause.kind() {
            io::ErrorKind::AddrInUse => {
                Failure::usage(format!("port {port} is in use: another program listens on {address}"))
                    .with_hint("stop that program, or choose another port: `--port N`, or `--port 0` for any free one")
            }
            io::ErrorKind::PermissionDenied => Failure::usage(format!("permission denied: cannot listen on {address}"))
                .with_hint("choose a port above 1023: `--port 8484`"),
            io::ErrorKind::AddrNotAvailable => {
                let address = options.listen;
                Failure::usage(format!("this machine does not have the address `{address}`"))
                    .with_hint("use an address of this machine: `--listen 127.0.0.1`")
            }
            _ => Failure::internal(format!("cannot listen on {address}: {cause}")),
        }
    })
}

/// Opens the socket. The port may be taken right after another program gave it up.
pub fn open(address: SocketAddr) -> io::Result<StdListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // On Windows it would let two programs have the same port.
    if cfg!(unix) {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Lets the system end a connection whose client vanished or stopped reading: it would hold its answer for ever.
pub fn give_up_the_silent(socket: &tokio::net::TcpStream) {
    #[cfg(target_os = "linux")]
    {
        use rustix::net::sockopt;
        // On failure the connection keeps the system's defaults.
        let _ = sockopt::set_socket_keepalive(socket, true);
        let _ = sockopt::set_tcp_keepidle(socket, KEEPALIVE);
        let _ = sockopt::set_tcp_user_timeout(socket, SILENCE_MS);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

/// Raises the limit of open files to the system's maximum, for more connections.
pub fn raise_file_limit() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        // Best effort: with fewer files there are fewer connections.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}
