//! `record`'s side of a replay: units go out as the other end takes them.
//!
//! Does not belong here: other questions (`footage_server`), the pace of playing (crate `rtsp`).

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use store::{Order, Reader, Replay, ReplayRequest, ReplayUnit, SampleFormat, StoreError};

use crate::footage::{ReplayHead, ReplayOf, Response, UnitHead};
use crate::footage_refusal::{no_disk, refusal};
use crate::ipc;
use crate::shelf::Shelf;

/// Units smaller than this are written with their head at once.
const SMALL_BYTES: usize = 64 << 10;

/// Answers a request, and ends when all was taken.
pub(crate) fn send(shelf: &Arc<Shelf>, socket: &mut UnixStream, request: &ReplayOf) -> io::Result<()> {
    // Before the volumes are asked for, so that none can go unnoticed.
    let _playing = shelf.playing(socket)?;
    let Some(reader) = shelf.reader() else { return ipc::write(socket, &no_disk()) };
    let (head, replay) = match open(&reader, request) {
        Ok(opened) => opened,
        Err(error) => return ipc::write(socket, &refusal(&error)),
    };
    let mut formats = [Some(head.video.clone()), head.audio.clone()];
    ipc::write(socket, &Response::Replay(head))?;
    let mut last: [Option<Arc<SampleFormat>>; 2] = [None, None];
    for next in replay {
        match next {
            Ok(next) => write(socket, &next, &mut last, &mut formats)?,
            Err(error) => return ipc::write(socket, &refusal(&error)),
        }
    }
    ipc::write(socket, &Response::End)
}

fn open<'a>(reader: &'a Reader, request: &ReplayOf) -> Result<(ReplayHead, Replay<'a>), StoreError> {
    let ReplayOf { stream, sound, start, end, reverse, keyframes_only } = *request;
    let order = if reverse { Order::Reverse } else { Order::Forward };
    let mut replay = reader.replay(&ReplayRequest { stream, sound, start, end, order, keyframes_only })?;
    let newest = reader.bounds(stream)?.map(|(_, newest)| newest);
    let audio = replay.first_sound().map(|unit| unit.format.encode());
    let (video, first) =
        replay.first_picture().map(|unit| (unit.format.encode(), unit.wall)).unwrap_or_default();
    Ok((ReplayHead { video, audio, first, newest: newest.unwrap_or(first) }, replay))
}

fn write(
    socket: &mut UnixStream,
    next: &ReplayUnit,
    last: &mut [Option<Arc<SampleFormat>>; 2],
    formats: &mut [Option<Vec<u8>>; 2],
) -> io::Result<()> {
    let unit = &next.unit;
    let sound = matches!(*unit.format, SampleFormat::Audio(_));
    let track = usize::from(sound);
    let mut format = None;
    // The same within a chunk; most chunks have the same as the one before.
    if !last[track].as_ref().is_some_and(|last| Arc::ptr_eq(last, &unit.format)) {
        last[track] = Some(Arc::clone(&unit.format));
        let encoded = unit.format.encode();
        if formats[track].as_ref() != Some(&encoded) {
            format = Some(encoded.clone());
            formats[track] = Some(encoded);
        }
    }
    let head = UnitHead {
        format,
        sound,
        pts: unit.pts,
        wall: unit.wall,
        keyframe: unit.keyframe,
        missing_micros: next.missing_micros,
        ends_section: next.ends_section,
        is_last: next.is_last,
        bytes: unit.data.len() as u32,
    };
    let mut frame = ipc::encode(&Response::Unit(head))?;
    if unit.data.len() <= SMALL_BYTES {
        frame.extend_from_slice(&unit.data);
        return socket.write_all(&frame);
    }
    socket.write_all(&frame)?;
    socket.write_all(&unit.data)
}
