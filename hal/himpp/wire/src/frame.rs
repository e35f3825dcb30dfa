//! Frames: a length, then a postcard message, over a stream socket.
//!
//! The length is 4 bytes, little-endian. A frame that does not parse ends the conversation: both sides came in one
//! image, and the client starts another host.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest frame: a bitmap of the largest size ([`crate::MAX_BITMAP_BYTES`]) and what goes with it.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// Writes one message, with one system call where the socket takes it whole.
///
/// # Errors
/// `InvalidData` for a message above [`MAX_FRAME_BYTES`], else the socket's.
pub fn send<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    let mut frame = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let length = frame.len() - 4;
    if length > MAX_FRAME_BYTES {
        return Err(too_long(length));
    }
    frame[..4].copy_from_slice(&(length as u32).to_le_bytes());
    to.write_all(&frame)
}

/// Reads one message; `None` when the other end closed between two.
///
/// # Errors
/// `InvalidData` for what is no message or too long, else the socket's.
pub fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut head = [0; 4];
    match from.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(head) as usize;
    if length > MAX_FRAME_BYTES {
        return Err(too_long(length));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    let message = postcard::from_bytes(&body).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    Ok(Some(message))
}

fn too_long(length: usize) -> io::Error {
    let message = format!("a message of {length} bytes; at most {MAX_FRAME_BYTES} go");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{FromHost, ToHost};

    #[test]
    fn messages_follow_one_another_and_end_cleanly() {
        let mut pipe = Vec::new();
        send(&mut pipe, &ToHost::Stop).unwrap();
        send(&mut pipe, &ToHost::Stop).unwrap();
        let mut reader = pipe.as_slice();
        assert!(matches!(receive(&mut reader).unwrap(), Some(ToHost::Stop)));
        assert!(matches!(receive(&mut reader).unwrap(), Some(ToHost::Stop)));
        assert!(receive::<ToHost>(&mut reader).unwrap().is_none());
    }

    #[test]
    fn long_torn_and_foreign_frames_are_refused() {
        assert!(send(&mut Vec::new(), &vec![0_u8; MAX_FRAME_BYTES + 1]).is_err());
        for bytes in [&[0xFF, 0xFF, 0xFF, 0x7F, 0][..], &[9, 0, 0, 0, 1], &[1, 0, 0, 0, 0xFF]] {
            assert!(receive::<FromHost>(&mut &*bytes).is_err(), "{bytes:?}");
        }
    }
}
