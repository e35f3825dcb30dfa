//! The floor: what the sockets alone cost.
//!
//! One thread and no event loop: each access unit goes to each socket as one contiguous write, with its length and its stamp
//! before it. What a socket does not take is kept for it until the next unit is due; meanwhile it gets no other.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::stream::{STAMP_BYTES, Stream};
use crate::talk::{Failure, say_port, until_told};

/// As this crate's server has it.
const SEND_BUFFER_BYTES: usize = 256 << 10;

struct Viewer {
    socket: TcpStream,
    /// What it did not take.
    left: Vec<u8>,
}

/// Serves until told.
pub(crate) fn run() -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    say_port(listener.local_addr()?.port())?;
    let stop = Arc::new(AtomicBool::new(false));
    let serving = thread::spawn({
        let stop = Arc::clone(&stop);
        move || serve(&listener, &stop)
    });
    until_told();
    stop.store(true, Ordering::Relaxed);
    serving.join().map_err(|_| "the floor broke")??;
    Ok(())
}

fn serve(listener: &TcpListener, stop: &AtomicBool) -> io::Result<()> {
    let mut stream = Stream::new();
    let mut viewers: Vec<Viewer> = Vec::new();
    let mut frame = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let (stamp, unit) = stream.next();
        frame.clear();
        frame.extend_from_slice(&((STAMP_BYTES + unit.len()) as u32).to_be_bytes());
        frame.extend_from_slice(&stamp.to_bytes());
        frame.extend_from_slice(unit);
        loop {
            match listener.accept() {
                Ok((socket, _)) => {
                    socket.set_nonblocking(true)?;
                    socket.set_nodelay(true)?;
                    socket2::SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER_BYTES)?;
                    viewers.push(Viewer { socket, left: Vec::new() });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        viewers.retain_mut(|viewer| viewer.give(&frame).is_ok());
    }
    Ok(())
}

impl Viewer {
    fn give(&mut self, frame: &[u8]) -> io::Result<()> {
        if !self.left.is_empty() {
            let taken = write(&mut self.socket, &self.left)?;
            self.left.drain(..taken);
        }
        if self.left.is_empty() {
            let taken = write(&mut self.socket, frame)?;
            self.left.extend_from_slice(&frame[taken..]);
        }
        Ok(())
    }
}

/// How much the socket took.
fn write(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match socket.write(bytes) {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}
