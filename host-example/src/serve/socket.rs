//! Opens the socket, and sets the system's limits for it.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
#[cfg(target_os = "linux")]
use std::time::Duration;

use tokio::net::TcpSocket;

use super::connections::Most;
use super::options::Options;
use crate::terminal::Failure;

/// After how long a silent client is asked whether it is still there.
#[cfg(target_os = "linux")]
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How long a client may leave sent data unacknowledged, in milliseconds.
#[cfg(target_os = "linux")]
const SILENCE_MS: u32 = 300_000;
/// Open files of the program itself: its plugin, logs, event queues.
const OTHER_FILES: usize = 64;
/// Silent connections cost little, and clients that come at once may all need a moment for their requests.
const LEAST_SILENT: usize = 1024;
/// However few files the system gives.
const LEAST_CONNECTIONS: usize = 4;
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

/// How many connections there may be: each request that runs or waits and each silent connection is an open file, and a
/// request that runs has a connection to the service.
pub fn most_connections(wanted: u32) -> Most {
    let wanted = wanted as usize;
    let silent = wanted.max(LEAST_SILENT);
    #[cfg(target_os = "linux")]
    if let Some(most_files) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        let room = usize::try_from(most_files)
            .unwrap_or(usize::MAX)
            .saturating_sub(OTHER_FILES)
            / 4;
        let room = room.max(LEAST_CONNECTIONS);
        if room < wanted {
            tracing::warn!(
                "`--max-connections {wanted}` needs more than {most_files} open files; going on with {room}; raise the \
                 limit: `ulimit -n`"
            );
        }
        return Most {
            requests: wanted.min(room),
            silent: silent.min(room),
        };
    }
    Most {
        requests: wanted,
        silent,
    }
}

/// Whether the process, or the system, has no free file descriptors.
pub fn is_out_of_files(cause: &io::Error) -> bool {
    #[cfg(unix)]
    let is_out = {
        use rustix::io::Errno;
        let code = cause.raw_os_error();
        code.is_some_and(|code| [Errno::MFILE, Errno::NFILE].contains(&Errno::from_raw_os_error(code)))
    };
    #[cfg(not(unix))]
    let is_out = {
        let _ = cause;
        false
    };
    is_out
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
