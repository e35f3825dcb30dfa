//! One analog channel: input, scaler, encoders, sound, motion, overlays.
//!
//! ```text
//! VI(input) ─▶ VPSS(group = input) ─▶ 0 main ─▶ encoder, snapshot
//!                    covers here     ├▶ 1 sub ─▶ encoder
//!                                    ├▶ 2 monitor's tile
//!                                    └▶ 3 motion
//! ```
//!
//! Covers lie on the scaler's picture, so that nothing behind it is without them; title and clock lie on each encoder's.
//! Taking down is the same whether a channel is whole or failed halfway: whatever may be there is asked to go.
//!
//! Does not belong here: how an encoder is read (`encoder.rs`), which structures a step takes (`shapes.rs`).

use mpp_abi::common::MppChn;
use mpp_abi::value;
use mpp_wire::{
    BitmapPlan, ChannelPlan, Fault, FaultKind, MAX_COVERS, PackHead, PackKind, PackWriter, RatePlan, Rect,
    StreamPlan, StreamTag,
};

use crate::encoder::Encoder;
use crate::library::Arg;
use crate::motion::{self, Motion};
use crate::overlay::Region;
use crate::param::Param;
use crate::platform::Platform;
use crate::sound::Sound;

/// The scaler's outputs.
const MONITOR: i32 = 2;
const MOTION: i32 = 3;
/// Encoders a channel: main, sub, snapshot. The largest chip has 33 inputs and 128 encoders.
const ENCODERS: i32 = 3;
const SNAPSHOT: i32 = 2;
/// Regions a channel: two bitmaps a stream, and covers.
const REGIONS: i32 = 16;
const COVERS_FROM: i32 = 8;
const MAX_BITMAPS: usize = 2;
/// What is shown where an input has no picture: blue, as people know it.
const NO_SIGNAL_RGB: u32 = 0x00_00_60;
/// Pictures of one encoder a turn of the loop: more wait, and others have their turn.
const PICTURES_A_TURN: usize = 8;

/// Who can tell where a channel's picture for the monitor comes from.
pub(crate) trait Outputs {
    /// The output of a channel, scaled to a tile; `None` while it is not open.
    fn monitor_output(&self, platform: &Platform, channel: u16, place: Rect)
    -> Result<Option<MppChn>, Fault>;
}

/// An open channel.
#[derive(Debug)]
pub(crate) struct Channel {
    plan: ChannelPlan,
    /// The scaler's module. The number differs by generation, and a wrong one may be bound to without a word.
    scaler: i32,
    streams: Vec<Stream>,
    sound: Option<Sound>,
    motion: Option<Motion>,
    covers: Vec<Region>,
    snapshot: Option<Encoder>,
}

#[derive(Debug)]
struct Stream {
    plan: StreamPlan,
    encoder: Encoder,
    bitmaps: Vec<Region>,
    /// A picture found no room in the ring: those up to the next keyframe are worth nothing.
    broken: bool,
}

impl Channel {
    /// Starts everything that the plan asks for. Sound and motion that cannot be had are said and left out: the picture
    /// is worth having without them.
    ///
    /// # Errors
    /// What the library says; nothing is left of the channel then.
    pub(crate) fn open(platform: &mut Platform, plan: ChannelPlan) -> Result<Self, Fault> {
        let mut channel = Self {
            plan,
            scaler: platform.codes().mod_vpss,
            streams: Vec::new(),
            sound: None,
            motion: None,
            covers: Vec::new(),
            snapshot: None,
        };
        channel.start(platform).inspect_err(|_| channel.close(platform))?;
        Ok(channel)
    }

    fn start(&mut self, platform: &mut Platform) -> Result<(), Fault> {
        let mut tags: Vec<StreamTag> = self.plan.streams.iter().map(|stream| stream.stream).collect();
        tags.dedup();
        if tags.len() != self.plan.streams.len() || tags.is_empty() {
            return Err(Fault::new(
                FaultKind::Unsupported,
                "a channel has a main stream, a sub stream, or both",
            ));
        }
        self.start_input(platform)?;
        self.start_scaler(platform)?;
        for plan in self.plan.streams.clone() {
            let mut attr = platform.shapes.encoder(&plan, &self.plan.input);
            let source = self.output(output(plan.stream));
            let id = self.encoder(output(plan.stream));
            let encoder = Encoder::open(platform, id, Some(plan.codec), source, &mut attr)?;
            self.streams.push(Stream { plan, encoder, bitmaps: Vec::new(), broken: false });
        }
        if let Some(plan) = self.plan.audio {
            match Sound::open(platform, self.input(), plan) {
                Ok(sound) => self.sound = Some(sound),
                Err(error) => eprintln!("channel {} has no sound: {error}", self.plan.channel),
            }
        }
        if self.plan.motion.is_some()
            && let Err(error) = self.start_motion(platform)
        {
            eprintln!("channel {} has no motion grid: {error}", self.plan.channel);
        }
        Ok(())
    }

    fn start_input(&self, platform: &Platform) -> Result<(), Fault> {
        let (library, plan) = (&platform.library, &self.plan.input);
        let input = || Arg::Int(self.input());
        let mut attr = platform.shapes.input(plan);
        library.call("VI_SetChnAttr", &mut [input(), Arg::Of(&mut attr)])?;
        // The first generation spells it otherwise.
        let bind = if library.has("VI_BindChn") { "VI_BindChn" } else { "VI_ChnBind" };
        let mut place = Param::array(&[i32::from(plan.device), i32::from(plan.way)]);
        if library.has(bind) {
            library.call(bind, &mut [input(), Arg::Of(&mut place)])?;
        }
        library.call("VI_EnableChn", &mut [input()])?;
        Ok(())
    }

    fn start_scaler(&mut self, platform: &Platform) -> Result<(), Fault> {
        let library = &platform.library;
        let group = || Arg::Int(self.input());
        let mut attr = platform.shapes.group(&self.plan.input);
        library.call("VPSS_CreateGrp", &mut [group(), Arg::Of(&mut attr)])?;
        for stream in &self.plan.streams {
            self.enable_output(platform, output(stream.stream), stream.width, stream.height)?;
        }
        library.call("VPSS_StartGrp", &mut [group()])?;
        // Before the first picture comes.
        self.set_covers(platform, &self.plan.covers.clone())?;
        platform.bind(self.source(), self.output(0))?;
        Ok(())
    }

    fn enable_output(&self, platform: &Platform, output: i32, width: u16, height: u16) -> Result<(), Fault> {
        let (library, shapes) = (&platform.library, &platform.shapes);
        let group = || Arg::Int(self.input());
        let mut attr = shapes.output();
        library.call("VPSS_SetChnAttr", &mut [group(), Arg::Int(output), Arg::Of(&mut attr)])?;
        let mut mode = shapes.output_size(width, height);
        library.call("VPSS_SetChnMode", &mut [group(), Arg::Int(output), Arg::Of(&mut mode)])?;
        library.call("VPSS_EnableChn", &mut [group(), Arg::Int(output)])?;
        Ok(())
    }

    fn start_motion(&mut self, platform: &Platform) -> Result<(), Fault> {
        let Some(plan) = self.plan.motion.filter(|_| Motion::is_there(platform)) else {
            return Err(Fault::new(FaultKind::Unsupported, "the library has no detector"));
        };
        self.enable_output(platform, MOTION, motion::WIDTH, motion::HEIGHT)?;
        let source = self.output(MOTION);
        self.motion = Some(Motion::open(platform, self.input(), source, plan, &self.plan.input)?);
        Ok(())
    }

    /// Stops and removes everything, in the opposite order.
    pub(crate) fn close(&mut self, platform: &Platform) {
        if let Some(mut motion) = self.motion.take() {
            motion.close(platform);
        }
        if let Some(mut sound) = self.sound.take() {
            sound.close(platform);
        }
        if let Some(mut snapshot) = self.snapshot.take() {
            snapshot.close(platform);
        }
        for mut stream in self.streams.drain(..) {
            stream.bitmaps.drain(..).for_each(|bitmap| bitmap.remove(platform));
            stream.encoder.close(platform);
        }
        platform.unbind(self.source(), self.output(0));
        self.covers.drain(..).for_each(|cover| cover.remove(platform));
        let library = &platform.library;
        let input = || Arg::Int(self.input());
        library.try_call("VPSS_StopGrp", &mut [input()]);
        for output in [0, 1, MONITOR, MOTION] {
            library.try_call("VPSS_DisableChn", &mut [input(), Arg::Int(output)]);
        }
        library.try_call("VPSS_DestroyGrp", &mut [input()]);
        library.try_call("VI_DisableUserPic", &mut [input()]);
        library.try_call("VI_DisableChn", &mut [input()]);
    }

    pub(crate) fn number(&self) -> u16 {
        self.plan.channel
    }

    /// All that becomes readable when something waits.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = i32> {
        let streams = self.streams.iter().map(|stream| stream.encoder.descriptor());
        let others = [
            self.sound.as_ref().map(Sound::descriptor),
            self.motion.as_ref().map(Motion::descriptor),
            self.snapshot.as_ref().map(Encoder::descriptor),
        ];
        streams.chain(others.into_iter().flatten()).filter(|descriptor| *descriptor >= 0)
    }

    /// Makes the next picture of a stream a keyframe.
    pub(crate) fn keyframe(&self, platform: &Platform, tag: StreamTag) -> Result<(), Fault> {
        Ok(self.stream(tag)?.encoder.request_keyframe(platform)?)
    }

    /// Changes a running encoder's rates.
    pub(crate) fn rate(&mut self, platform: &Platform, tag: StreamTag, rate: RatePlan) -> Result<(), Fault> {
        let input = self.plan.input;
        let stream = self.stream_mut(tag)?;
        let plan = StreamPlan { rate, ..stream.plan };
        stream.encoder.set(platform, &mut platform.shapes.encoder(&plan, &input))?;
        stream.plan = plan;
        Ok(())
    }

    /// Shows one colour instead of the input's picture, or the picture again.
    pub(crate) fn user_picture(&self, platform: &Platform, on: bool) -> Result<(), Fault> {
        let library = &platform.library;
        let input = || Arg::Int(self.input());
        if !on {
            return Ok(library.call("VI_DisableUserPic", &mut [input()])?);
        }
        let mut picture = platform.shapes.user_picture(NO_SIGNAL_RGB);
        library.call("VI_SetUserPic", &mut [input(), Arg::Of(&mut picture)])?;
        Ok(library.call("VI_EnableUserPic", &mut [input()])?)
    }

    /// Replaces title and clock of a stream: what keeps its place is only drawn anew.
    pub(crate) fn bitmaps(
        &mut self,
        platform: &Platform,
        tag: StreamTag,
        plans: &[BitmapPlan],
    ) -> Result<(), Fault> {
        if plans.len() > MAX_BITMAPS {
            return Err(Fault::new(FaultKind::Unsupported, format!("{} bitmaps on one stream", plans.len())));
        }
        let first = self.input() * REGIONS + output(tag) * MAX_BITMAPS as i32;
        let stream = self.stream_mut(tag)?;
        for unwanted in stream.bitmaps.drain(plans.len().min(stream.bitmaps.len())..) {
            unwanted.remove(platform);
        }
        let target = stream.encoder.region_target(platform);
        for (number, plan) in plans.iter().enumerate() {
            if let Some(bitmap) = stream.bitmaps.get_mut(number).filter(|bitmap| bitmap.fits(plan)) {
                bitmap.fill(platform, plan)?;
                continue;
            }
            // Whatever comes after it is made anew as well: handles follow the order.
            for old in stream.bitmaps.drain(number.min(stream.bitmaps.len())..) {
                old.remove(platform);
            }
            let handle = first + number as i32;
            stream.bitmaps.push(Region::bitmap(platform, handle, target, plan, number as u32, false)?);
        }
        Ok(())
    }

    /// Draws what came too soon after something else was drawn.
    pub(crate) fn draw_late(&mut self, platform: &Platform) -> Result<(), Fault> {
        let mut bitmaps = self.streams.iter_mut().flat_map(|stream| &mut stream.bitmaps);
        bitmaps.try_for_each(|bitmap| bitmap.fill_late(platform))
    }

    /// Replaces the covers: those that are there are moved, so that there is no moment without one. If one cannot be drawn,
    /// the old ones are as they were.
    pub(crate) fn set_covers(&mut self, platform: &Platform, covers: &[Rect]) -> Result<(), Fault> {
        if covers.len() > MAX_COVERS {
            let message = format!("{} covers; a channel has at most {MAX_COVERS}", covers.len());
            return Err(Fault::new(FaultKind::Unsupported, message));
        }
        let (kept, first) = (self.covers.len(), self.input() * REGIONS + COVERS_FROM);
        for (number, place) in covers.iter().enumerate().skip(kept) {
            match Region::cover(platform, first + number as i32, self.output(0), *place, number as u32) {
                Ok(cover) => self.covers.push(cover),
                Err(fault) => {
                    self.covers.drain(kept..).for_each(|cover| cover.remove(platform));
                    return Err(fault);
                }
            }
        }
        let old: Vec<Rect> = self.covers.iter().map(Region::place).collect();
        for (number, place) in covers.iter().enumerate().take(kept) {
            if let Err(fault) = self.covers[number].move_cover(platform, *place, number as u32) {
                for (number, place) in old.iter().enumerate().take(number) {
                    // It was there before; what else could be done?
                    let _ = self.covers[number].move_cover(platform, *place, number as u32);
                }
                self.covers.drain(kept..).for_each(|cover| cover.remove(platform));
                return Err(fault);
            }
        }
        self.covers.drain(covers.len()..).for_each(|cover| cover.remove(platform));
        Ok(())
    }

    /// Starts one JPEG of the main picture; it is read like a stream.
    pub(crate) fn take_snapshot(&mut self, platform: &Platform) -> Result<(), Fault> {
        if self.snapshot.is_some() {
            return Err(Fault::new(FaultKind::Busy, "a snapshot is being taken already"));
        }
        let from = self
            .streams
            .first()
            .ok_or_else(|| Fault::new(FaultKind::NotFound, "no stream to take it from"))?;
        let (plan, source) = (from.plan, self.output(output(from.plan.stream)));
        let mut attr = platform.shapes.snapshot(plan.width, plan.height);
        self.snapshot = Some(Encoder::open(platform, self.encoder(SNAPSHOT), None, source, &mut attr)?);
        Ok(())
    }

    /// Puts everything that waits into the ring.
    ///
    /// # Errors
    /// The library failed: the channel is of no use any more.
    pub(crate) fn read(
        &mut self,
        platform: &Platform,
        writer: &mut PackWriter,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let channel = self.plan.channel;
        let now = platform.now();
        let head = |kind, keyframe, sequence, pts_micros| {
            let age = now.and_then(|now| now.checked_sub(pts_micros)).and_then(|age| u32::try_from(age).ok());
            PackHead { kind, channel, keyframe, sequence, pts_micros, age_micros: age.unwrap_or(0) }
        };
        for stream in &mut self.streams {
            for _ in 0..PICTURES_A_TURN {
                let Some(picture) = stream.encoder.read(platform, scratch)? else { break };
                if stream.broken && !picture.keyframe {
                    continue;
                }
                let kind = PackKind::Video(stream.plan.stream);
                let put = writer.put(&head(kind, picture.keyframe, picture.sequence, picture.pts), scratch);
                if !put && !stream.broken {
                    stream.encoder.request_keyframe(platform)?;
                }
                stream.broken = !put;
            }
        }
        if let Some(sound) = &self.sound {
            for _ in 0..PICTURES_A_TURN {
                let Some(spoken) = sound.read(platform, scratch)? else { break };
                writer.put(&head(PackKind::Audio, true, spoken.sequence, spoken.pts), scratch);
            }
        }
        if let Some(motion) = &self.motion {
            for _ in 0..PICTURES_A_TURN {
                let Some(grid) = motion.read(platform, scratch)? else { break };
                let kind = PackKind::Motion { columns: grid.columns, rows: grid.rows };
                writer.put(&head(kind, true, 0, grid.pts), scratch);
            }
        }
        if let Some(mut snapshot) = self.snapshot.take() {
            match snapshot.read(platform, scratch)? {
                None => self.snapshot = Some(snapshot),
                Some(picture) => {
                    snapshot.close(platform);
                    writer.put(&head(PackKind::Snapshot, true, picture.sequence, picture.pts), scratch);
                }
            }
        }
        Ok(())
    }

    /// The picture for a monitor's tile.
    pub(crate) fn monitor_output(&self, platform: &Platform, place: Rect) -> Result<MppChn, Fault> {
        self.enable_output(platform, MONITOR, place.width, place.height)?;
        Ok(self.output(MONITOR))
    }

    fn stream(&self, tag: StreamTag) -> Result<&Stream, Fault> {
        let missing = || no_stream(self.plan.channel, tag);
        self.streams.iter().find(|stream| stream.plan.stream == tag).ok_or_else(missing)
    }

    fn stream_mut(&mut self, tag: StreamTag) -> Result<&mut Stream, Fault> {
        let missing = no_stream(self.plan.channel, tag);
        self.streams.iter_mut().find(|stream| stream.plan.stream == tag).ok_or(missing)
    }

    fn input(&self) -> i32 {
        self.plan.input.input.into()
    }

    fn source(&self) -> MppChn {
        MppChn::new(value::MOD_VIU, 0, self.input())
    }

    /// An output of the scaler; with 0 also the scaler itself.
    fn output(&self, output: i32) -> MppChn {
        MppChn::new(self.scaler, self.input(), output)
    }

    fn encoder(&self, which: i32) -> i32 {
        self.input() * ENCODERS + which
    }
}

/// The scaler's output, and the encoder, of a stream.
fn output(tag: StreamTag) -> i32 {
    match tag {
        StreamTag::Main => 0,
        StreamTag::Sub => 1,
    }
}

fn no_stream(channel: u16, tag: StreamTag) -> Fault {
    Fault::new(FaultKind::NotFound, format!("channel {channel} has no {tag:?} stream"))
}
