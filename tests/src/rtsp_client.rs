//! Plain RTSP over TCP, for what no player sends.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// A server that has not answered by now never will.
const LIMIT: Duration = Duration::from_secs(20);

/// A connection.
pub struct RtspClient(TcpStream);

impl RtspClient {
    /// To the recorder's RTSP port.
    ///
    /// # Panics
    /// When nobody listens.
    #[must_use]
    pub fn connect(port: u16) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let socket = TcpStream::connect_timeout(&address, LIMIT).expect("somebody listens");
        socket.set_read_timeout(Some(LIMIT)).expect("a limit");
        socket.set_write_timeout(Some(LIMIT)).expect("a limit");
        Self(socket)
    }

    /// Sends bytes; a server may close the connection while they are sent.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// Everything until the server closes, or until the end of the first answer's header.
    ///
    /// # Panics
    /// When nothing comes and it is not closed.
    #[must_use]
    pub fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        let mut block = [0; 4096];
        loop {
            match self.0.read(&mut block) {
                Ok(0) => break,
                Ok(read) => answer.extend_from_slice(&block[..read]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("no answer and not closed: {error}"),
            }
            if answer.windows(4).any(|end| end == b"\r\n\r\n") {
                break;
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}
