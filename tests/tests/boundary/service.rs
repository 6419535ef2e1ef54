//! A service of one connection, for what the stand-in never does: it says exactly what it is told to, then waits.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use tests::LIMIT;

pub struct RawService {
    address: SocketAddr,
    answered: Receiver<()>,
    closed: Receiver<()>,
}

impl RawService {
    /// Answers the first request with these bytes, and then leaves the connection open until the client closes it.
    pub fn answering(answer: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let address = listener.local_addr().expect("it listens");
        let (told_answered, answered) = mpsc::channel();
        let (told, closed) = mpsc::channel();
        thread::spawn(move || {
            let (mut connection, _) = listener.accept().expect("somebody connects");
            let mut buffer = [0; 4096];
            let read = connection.read(&mut buffer).expect("a request comes");
            assert!(read > 0);
            connection.write_all(answer.as_bytes()).expect("somebody listens");
            // Not every test waits for it.
            let _ = told_answered.send(());
            // The rest of the request, and then the end; a connection that was reset has ended, too.
            while connection.read(&mut buffer).is_ok_and(|read| read > 0) {}
            let _ = told.send(());
        });
        Self {
            address,
            answered,
            closed,
        }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// Waits until the answer was written.
    #[track_caller]
    pub fn wait_until_answered(&self) {
        self.answered.recv_timeout(LIMIT).expect("the client asks");
    }

    /// Waits until the client has closed the connection.
    #[track_caller]
    pub fn wait_until_closed(&self) {
        self.closed
            .recv_timeout(LIMIT)
            .expect("the client closes the connection");
    }
}
