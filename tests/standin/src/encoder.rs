//! `VENC`: an encoder, its stream buffer, and pictures on their way to the caller.
//!
//! Does not belong here: which pictures reach it (`flow.rs`), and how packs look in a generation (`exported`).

use std::collections::VecDeque;

use hal::{ChannelId, WallTime};
use hal_sim::{Overlay, Source, SourceConfig};
use mpp_abi::{Codes, ErrorCode, value};

use crate::config::EncoderConfig;
use crate::jpeg;
use crate::refusal::{Module, Outcome};
use crate::ring::{Lay, Place, Ring};

/// The texture's.
const SEED: u64 = 0x5EED;

/// Pictures that may be fetched and not released; with more the channel stands still.
const MAX_HELD: usize = 3;

/// Every so many pictures begin with bytes that are not the stream's.
const OFFSET_EVERY: u32 = 3;
/// How many such bytes.
const OFFSET_BYTES: usize = 24;
/// What they are.
const OFFSET_FILL: u8 = 0xEE;

/// A picture that comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// The input's number, 0 up.
    pub(crate) input: i32,
    /// Microseconds of the platform's clock.
    pub(crate) pts: u64,
    /// For the mark.
    pub(crate) wall: WallTime,
}

/// How an encoder behaves, well or badly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Delivers nothing.
    pub(crate) stalled: bool,
    /// As if the stream buffer were full.
    pub(crate) full: bool,
    /// How packs lie in the buffer.
    pub(crate) lay: Lay,
    /// Counts changes of what lies over pictures.
    pub(crate) overlays: u64,
}

/// A pack as the caller gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pack {
    /// Address and bytes of both pieces; the second has none unless the pack wraps.
    pub(crate) pieces: [(u32, u32); 2],
    /// Pretended physical addresses of both.
    pub(crate) physical: [u32; 2],
    /// Bytes at the start that are not the stream's.
    pub(crate) offset: u32,
    /// Kind of NAL unit or JPEG piece, in the generation's numbers.
    pub(crate) data_type: i32,
    /// Whether the picture ends here.
    pub(crate) frame_end: bool,
}

/// A picture in the stream buffer.
#[derive(Clone, Debug)]
pub(crate) struct Coded {
    pub(crate) sequence: u32,
    pub(crate) pts: u64,
    pub(crate) packs: Vec<Pack>,
    /// Bytes of the stream.
    pub(crate) bytes: u32,
    place: Place,
}

/// `VENC_Query`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) registered: bool,
    pub(crate) left_bytes: u32,
    pub(crate) left_frames: u32,
    pub(crate) packs: u32,
    pub(crate) left_to_take: u32,
}

/// A channel.
#[derive(Debug)]
pub(crate) struct Encoder {
    pub(crate) config: EncoderConfig,
    /// G1: the group that it is registered to.
    pub(crate) group: Option<i32>,
    receiving: bool,
    left_to_take: Option<u32>,
    scene: Option<(i32, Source)>,
    overlays: Option<u64>,
    ring: Ring,
    waiting: VecDeque<Coded>,
    held: VecDeque<Coded>,
    sequence: u32,
    /// What is left of the input's rate for the next picture.
    share: u32,
    broken: bool,
}

impl Encoder {
    /// `VENC_CreateChn`, once the configuration was checked.
    pub(crate) fn new(config: EncoderConfig) -> Self {
        Self {
            ring: Ring::new(config.buffer_bytes as usize),
            config,
            group: None,
            receiving: false,
            left_to_take: None,
            scene: None,
            overlays: None,
            waiting: VecDeque::new(),
            held: VecDeque::new(),
            sequence: 0,
            share: u32::MAX,
            broken: false,
        }
    }

    /// `VENC_StartRecvPic`; a JPEG channel takes one picture by itself.
    pub(crate) fn start(&mut self, pictures: Option<u32>) {
        let one = (self.config.payload == value::PT_JPEG).then_some(1);
        self.receiving = true;
        self.left_to_take = pictures.or(one);
        if let Some((_, source)) = &mut self.scene {
            source.request_keyframe();
        }
    }

    /// `VENC_StopRecvPic`.
    pub(crate) fn stop(&mut self) {
        self.receiving = false;
    }

    /// `VENC_DestroyChn`'s rules.
    pub(crate) fn check_end(&self, bound: bool) -> Outcome {
        Module::Venc.permit(!self.receiving, "VENC_DestroyChn before VENC_StopRecvPic")?;
        Module::Venc.permit(self.group.is_none(), "VENC_DestroyChn before VENC_UnRegisterChn")?;
        Module::Venc.permit(!bound, "VENC_DestroyChn while it is bound")?;
        if self.held.is_empty() {
            return Ok(());
        }
        Module::Venc.refuse(ErrorCode::Busy, "VENC_DestroyChn while a stream is not released")
    }

    pub(crate) fn is_receiving(&self) -> bool {
        self.receiving
    }

    /// `VENC_SetChnAttr`.
    pub(crate) fn change(&mut self, codes: &Codes, to: EncoderConfig) -> Outcome {
        self.config.check_change(codes, &to)?;
        let stream = to.source_stream()?;
        if let Some((_, source)) = &mut self.scene
            && let Err(error) = source.set_stream(stream)
        {
            return Module::Venc.refuse(ErrorCode::Unsupported, error);
        }
        self.config = to;
        Ok(())
    }

    /// `VENC_RequestIDR`.
    pub(crate) fn request_keyframe(&mut self) -> Outcome {
        Module::Venc.permit(self.config.payload == value::PT_H264, "VENC_RequestIDR of single JPEGs")?;
        if let Some((_, source)) = &mut self.scene {
            source.request_keyframe();
        }
        Ok(())
    }

    /// `VENC_Query`.
    pub(crate) fn status(&self) -> Status {
        Status {
            registered: self.group.is_some(),
            left_bytes: self.waiting.iter().map(|picture| picture.bytes).sum(),
            left_frames: self.waiting.len() as u32,
            packs: self.waiting.front().map_or(0, |picture| picture.packs.len() as u32),
            left_to_take: self.left_to_take.unwrap_or(0),
        }
    }

    /// Whether a picture waits to be fetched.
    pub(crate) fn has_picture(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// `VENC_GetStream`, with room for so many packs.
    pub(crate) fn fetch(&mut self, room: u32) -> Outcome<Coded> {
        let Some(picture) = self.waiting.front() else {
            return Module::Venc.refuse(ErrorCode::Empty, "no picture waits");
        };
        let packs = picture.packs.len() as u32;
        Module::Venc.require(packs <= room, format_args!("room for {room} packs, there are {packs}"))?;
        let picture = picture.clone();
        self.held.extend(self.waiting.pop_front());
        Ok(picture)
    }

    /// `VENC_ReleaseStream`: the oldest one that was fetched, told by its number and its first pack's address.
    pub(crate) fn release(&mut self, sequence: u32, address: u32) -> Outcome {
        let oldest = self
            .held
            .front()
            .is_some_and(|held| held.sequence == sequence && held.packs[0].pieces[0].0 == address);
        Module::Venc.require(oldest, format_args!("stream {sequence} is not the oldest one fetched"))?;
        if let Some(picture) = self.held.pop_front() {
            self.ring.free(&picture.place);
        }
        Ok(())
    }

    /// A picture comes in. Whether one goes out follows from the rates, from what is not released, and from `manner`.
    /// Returns what is to be said about a picture that is lost.
    pub(crate) fn take(
        &mut self,
        codes: &Codes,
        frame: &Frame,
        manner: &Manner,
        overlays: impl FnOnce() -> Vec<Overlay>,
    ) -> Option<&'static str> {
        if !self.receiving || self.left_to_take == Some(0) || !self.is_due() {
            return None;
        }
        if let Err(refusal) = self.open_scene(frame.input) {
            return (!std::mem::replace(&mut self.broken, true)).then(|| {
                eprintln!("standin: {}", refusal.why);
                "no scene can be made"
            });
        }
        let (_, source) = self.scene.as_mut()?;
        if manner.stalled {
            source.skip();
            return None;
        }
        if manner.full || self.held.len() >= MAX_HELD {
            source.skip();
            return self.drop_picture("the stream buffer is full, or streams are not released");
        }
        if self.overlays != Some(manner.overlays) {
            source.set_overlays(&overlays());
            self.overlays = Some(manner.overlays);
        }
        self.sequence = self.sequence.wrapping_add(1);
        let offset = if self.sequence.is_multiple_of(OFFSET_EVERY) { OFFSET_BYTES } else { 0 };
        let (packs, types) = if self.config.payload == value::PT_JPEG {
            source.next_unit_at(frame.wall);
            let (width, height) = (self.config.width as u16, self.config.height as u16);
            let jpeg = jpeg::encode(&source.render_i420(), width, height);
            (vec![behind(offset, &jpeg)], vec![value::JPEG_PICTURE])
        } else {
            let unit = source.next_unit_at(frame.wall);
            let nals = nal_units(unit.data);
            let packs = nals
                .iter()
                .enumerate()
                .map(|(n, nal)| behind(if n == 0 { offset } else { 0 }, nal))
                .collect();
            (packs, nals.iter().map(|nal| data_type(codes, nal)).collect())
        };
        let Some(place) = self.ring.put(&packs, manner.lay) else {
            // The pictures that follow would refer to one that is not there.
            source.request_keyframe();
            return self.drop_picture("the stream buffer is full");
        };
        self.broken = false;
        let memory = &self.ring.memory;
        let last = place.packs.len() - 1;
        let coded = place.packs.iter().zip(types).enumerate().map(|(n, (pieces, data_type))| Pack {
            pieces: pieces.map(|piece| {
                (if piece.length > 0 { memory.address(piece.at) } else { 0 }, piece.length as u32)
            }),
            physical: pieces.map(|piece| if piece.length > 0 { memory.physical(piece.at) } else { 0 }),
            offset: if n == 0 { offset as u32 } else { 0 },
            data_type,
            frame_end: n == last,
        });
        let packs: Vec<Pack> = coded.collect();
        let bytes: u32 = packs.iter().map(|pack| pack.pieces[0].1 + pack.pieces[1].1 - pack.offset).sum();
        self.waiting.push_back(Coded { sequence: self.sequence, pts: frame.pts, packs, bytes, place });
        if let Some(left) = &mut self.left_to_take {
            *left -= 1;
        }
        None
    }

    /// Says so once until a picture goes through again.
    fn drop_picture(&mut self, why: &'static str) -> Option<&'static str> {
        (!std::mem::replace(&mut self.broken, true)).then_some(why)
    }

    /// Whether this picture of the input's is one of the output's.
    fn is_due(&mut self) -> bool {
        if self.config.payload == value::PT_JPEG {
            return true;
        }
        let target = self.config.rate.target();
        let source = self.config.rate.source_rate * target.denominator;
        // The first picture always is.
        self.share = self.share.saturating_add(target.numerator);
        if self.share < source {
            return false;
        }
        self.share = if self.share == u32::MAX { 0 } else { self.share - source };
        true
    }

    fn open_scene(&mut self, input: i32) -> Outcome {
        if self.scene.as_ref().is_some_and(|(from, _)| *from == input) {
            return Ok(());
        }
        let stream = self.config.source_stream()?;
        let Some(channel) = u16::try_from(input + 1).ok().and_then(ChannelId::new) else {
            return Module::Venc.refuse(ErrorCode::BadChannel, format_args!("input {input}"));
        };
        let title = String::new();
        let start = WallTime::from_unix_micros(0);
        let config = SourceConfig { seed: SEED, channel, title, clock: false, stream, start };
        match Source::new(config) {
            Ok(source) => {
                (self.scene, self.overlays) = (Some((input, source)), None);
                Ok(())
            }
            Err(error) => Module::Venc.refuse(ErrorCode::Unsupported, error),
        }
    }
}

fn behind(offset: usize, bytes: &[u8]) -> Vec<u8> {
    [&vec![OFFSET_FILL; offset][..], bytes].concat()
}

/// The NAL units of a picture of the simulator's, start codes included; its slice is the last one.
fn nal_units(picture: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    let mut rest = picture;
    while rest.len() > 4 && !matches!(rest[4] & 0x1f, 1 | 5) {
        let end = rest[4..].windows(4).position(|four| four == [0, 0, 0, 1]).map_or(rest.len(), |at| at + 4);
        let (unit, behind) = rest.split_at(end);
        units.push(unit);
        rest = behind;
    }
    if !rest.is_empty() {
        units.push(rest);
    }
    units
}

fn data_type(codes: &Codes, nal: &[u8]) -> i32 {
    match nal.get(4).map(|header| header & 0x1f) {
        Some(5) => codes.nalu_h264_idr,
        Some(7) => value::NALU_H264_SPS,
        Some(8) => value::NALU_H264_PPS,
        Some(6) => value::NALU_H264_SEI,
        _ => value::NALU_H264_P,
    }
}

#[cfg(test)]
mod tests {
    use mpp_abi::Dialect;

    use super::*;
    use crate::config::Rate;
    use crate::config::tests::config;

    const WELL: Manner = Manner { stalled: false, full: false, lay: Lay::Wrapped, overlays: 0 };

    fn feed(encoder: &mut Encoder, number: u64, manner: &Manner) -> Option<&'static str> {
        let micros = number * 40_000;
        let frame = Frame { input: 0, pts: micros, wall: WallTime::from_unix_micros(micros as i64) };
        encoder.take(Dialect::G1.codes(), &frame, manner, Vec::new)
    }

    fn started(config: EncoderConfig) -> Encoder {
        let mut encoder = Encoder::new(config);
        encoder.start(None);
        encoder
    }

    fn stream(encoder: &Encoder, picture: &Coded) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (pack, [first, second]) in picture.packs.iter().zip(&picture.place.packs) {
            let both = [
                encoder.ring.memory.read(first.at, first.length),
                encoder.ring.memory.read(second.at, second.length),
            ]
            .concat();
            bytes.extend_from_slice(&both[pack.offset as usize..]);
        }
        bytes
    }

    fn code(outcome: Outcome<Coded>) -> ErrorCode {
        outcome.unwrap_err().code
    }

    #[test]
    fn a_keyframe_is_three_packs_and_the_others_one() {
        let mut encoder = started(config(320, 180));
        assert_eq!(code(encoder.fetch(8)), ErrorCode::Empty);
        feed(&mut encoder, 0, &WELL);
        feed(&mut encoder, 1, &WELL);
        assert_eq!((encoder.status().packs, encoder.status().left_frames), (3, 2));
        assert_eq!(code(encoder.fetch(2)), ErrorCode::BadParameter);
        let key = encoder.fetch(3).unwrap();
        assert_eq!(key.packs.iter().map(|pack| pack.data_type).collect::<Vec<_>>(), [7, 8, 5]);
        assert_eq!(key.packs.iter().map(|pack| pack.frame_end).collect::<Vec<_>>(), [false, false, true]);
        let bytes = stream(&encoder, &key);
        assert_eq!((&bytes[..5], bytes.len() as u32), (&[0, 0, 0, 1, 0x67][..], key.bytes));
        let other = encoder.fetch(1).unwrap();
        assert_eq!((other.packs[0].data_type, other.pts), (1, 40_000));
    }

    #[test]
    fn every_third_picture_begins_with_what_is_not_the_streams() {
        let mut encoder = started(config(320, 180));
        let mut offsets = Vec::new();
        for number in 0..6 {
            feed(&mut encoder, number, &WELL);
            let picture = encoder.fetch(3).unwrap();
            assert_eq!(stream(&encoder, &picture)[..4], [0, 0, 0, 1]);
            offsets.push(picture.packs[0].offset);
            encoder.release(picture.sequence, picture.packs[0].pieces[0].0).unwrap();
        }
        assert_eq!(offsets, [0, 0, 24, 0, 0, 24]);
    }

    #[test]
    fn streams_that_are_not_released_stop_the_channel() {
        let mut encoder = started(config(320, 180));
        let mut fetched = Vec::new();
        for number in 0..3 {
            feed(&mut encoder, number, &WELL);
            fetched.push(encoder.fetch(3).unwrap());
        }
        assert!(feed(&mut encoder, 3, &WELL).is_some());
        assert_eq!(feed(&mut encoder, 4, &WELL), None, "it is said once");
        assert_eq!(code(encoder.fetch(3)), ErrorCode::Empty);
        let address = |picture: &Coded| picture.packs[0].pieces[0].0;
        let foreign = encoder.release(fetched[0].sequence, address(&fetched[1])).unwrap_err();
        assert_eq!(foreign.code, ErrorCode::BadParameter);
        let second = encoder.release(fetched[1].sequence, address(&fetched[1])).unwrap_err();
        assert_eq!(second.code, ErrorCode::BadParameter, "the oldest first");
        encoder.release(fetched[0].sequence, address(&fetched[0])).unwrap();
        feed(&mut encoder, 5, &WELL);
        assert!(encoder.fetch(3).is_ok());
        encoder.stop();
        assert_eq!(encoder.check_end(false).unwrap_err().code, ErrorCode::Busy);
    }

    #[test]
    fn a_full_buffer_loses_pictures_and_begins_again_with_a_keyframe() {
        let rate = Rate { kilobits: Some(8000), ..config(320, 180).rate };
        let small = EncoderConfig { buffer_bytes: 320 * 192, rate, ..config(320, 180) };
        let mut encoder = started(small);
        let lost = (0..60).filter_map(|number| feed(&mut encoder, number, &WELL)).count();
        assert_eq!(lost, 1);
        let mut last = 0;
        while let Ok(picture) = encoder.fetch(3) {
            last = picture.sequence;
            encoder.release(picture.sequence, picture.packs[0].pieces[0].0).unwrap();
        }
        feed(&mut encoder, 60, &WELL);
        let next = encoder.fetch(3).unwrap();
        assert_eq!(next.packs.len(), 3, "a keyframe");
        assert!(next.sequence > last + 1);
    }

    #[test]
    fn a_stalled_encoder_waits_and_a_slower_one_leaves_pictures_out() {
        let rate = Rate { target_rate: 10, kilobits: Some(256), ..config(320, 180).rate };
        let mut encoder = started(EncoderConfig { rate, ..config(320, 180) });
        for number in 0..25 {
            feed(&mut encoder, number, &WELL);
        }
        assert_eq!(encoder.status().left_frames, 10);
        feed(&mut encoder, 25, &Manner { stalled: true, ..WELL });
        assert_eq!(encoder.status().left_frames, 10);
    }

    #[test]
    fn a_jpeg_channel_takes_one_picture_a_start() {
        let mut encoder = started(EncoderConfig { payload: value::PT_JPEG, ..config(320, 180) });
        feed(&mut encoder, 0, &WELL);
        feed(&mut encoder, 1, &WELL);
        let picture = encoder.fetch(1).unwrap();
        assert_eq!(stream(&encoder, &picture)[..2], [0xFF, 0xD8]);
        assert_eq!(code(encoder.fetch(1)), ErrorCode::Empty);
        encoder.start(None);
        feed(&mut encoder, 2, &WELL);
        assert!(encoder.fetch(1).is_ok());
    }

    #[test]
    fn rates_change_while_running_and_a_keyframe_comes_when_wanted() {
        let mut encoder = started(config(320, 180));
        feed(&mut encoder, 0, &WELL);
        feed(&mut encoder, 1, &WELL);
        encoder.request_keyframe().unwrap();
        feed(&mut encoder, 2, &WELL);
        let packs: Vec<usize> = (0..3).map(|_| encoder.fetch(3).unwrap().packs.len()).collect();
        assert_eq!(packs, [3, 1, 3]);
        let slower = Rate { target_rate: 5, gop: 10, ..config(320, 180).rate };
        encoder.change(Dialect::G1.codes(), EncoderConfig { rate: slower, ..config(320, 180) }).unwrap();
        let refused = encoder.change(Dialect::G1.codes(), config(640, 360)).unwrap_err();
        assert_eq!(refused.code, ErrorCode::BadParameter);
    }
}
