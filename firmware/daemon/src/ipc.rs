//! Frames between processes: a length, then a postcard message, over a Unix socket.
//!
//! The length is 4 bytes, little-endian. Both ends are this program, of the same build: there is no version
//! to agree on, and a frame that does not parse ends the connection.
//!
//! Does not belong here: what the messages mean (`messages.rs`, `footage.rs`).

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest frame: a settings file and every account fit several times.
pub(crate) const MAX_FRAME_BYTES: usize = 1 << 20;

/// A message as bytes, length first.
pub(crate) fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut frame = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let length = frame.len() - 4;
    if length > MAX_FRAME_BYTES {
        return Err(too_long(length));
    }
    frame[..4].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(frame)
}

/// Writes one message with one system call where the socket takes it whole.
pub(crate) fn write<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    to.write_all(&encode(message)?)
}

/// Reads one message; `None` when the other end closed between two.
pub(crate) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut head = [0; 4];
    match from.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut body = vec![0; body_length(head)?];
    from.read_exact(&mut body)?;
    decode(&body).map(Some)
}

/// The length that a frame's head announces, when it is allowed.
pub(crate) fn body_length(head: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(head) as usize;
    if length > MAX_FRAME_BYTES { Err(too_long(length)) } else { Ok(length) }
}

/// A frame's body as a message.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    postcard::from_bytes(body).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn too_long(length: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a frame of {length} bytes; at most {MAX_FRAME_BYTES} go"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_one_another_and_end_cleanly() {
        let mut pipe = Vec::new();
        write(&mut pipe, &"one").unwrap();
        write(&mut pipe, &"two").unwrap();
        let mut reader = pipe.as_slice();
        assert_eq!(read::<String>(&mut reader).unwrap().as_deref(), Some("one"));
        assert_eq!(read::<String>(&mut reader).unwrap().as_deref(), Some("two"));
        assert_eq!(read::<String>(&mut reader).unwrap(), None);
    }

    #[test]
    fn long_and_broken_frames_are_refused() {
        assert!(encode(&vec![0_u8; MAX_FRAME_BYTES + 1]).is_err());
        let huge = u32::MAX.to_le_bytes();
        assert!(read::<String>(&mut huge.as_slice()).is_err());
        let cut = [9, 0, 0, 0, 1, 2];
        assert!(read::<String>(&mut cut.as_slice()).is_err());
        let wrong = [1, 0, 0, 0, 0xff];
        assert!(read::<String>(&mut wrong.as_slice()).is_err());
    }
}
