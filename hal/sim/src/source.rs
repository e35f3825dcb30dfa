//! A source: one simulated encoder, picture by picture, without threads.
//!
//! Decides which macroblocks are sent, and how much texture fills the bit rate. What a picture shows depends on
//! the configuration, the seed, the channel, the frame counter and the wall time alone. Does not belong here:
//! waiting for a picture's time (`backend.rs`).

use hal::{
    AccessUnit, BitsPerSecond, ChannelId, ErrorKind, FrameRate, HalError, Pts90k, Resolution, StreamConfig,
    StreamId, VideoCodec, WallTime,
};

use crate::bits::BitWriter;
use crate::mark::{MAX_WALL_MS, Mark};
use crate::overlay::Overlay;
use crate::picture::{self, Cell, MIN_HEIGHT, MIN_WIDTH, Picture};
use crate::syntax::{self, PCM_CODED_BYTES, Prediction, SliceKind};

/// The largest picture: 4096 x 2304, more than any board of the family encodes.
pub const MAX_WIDTH: u16 = 4096;
/// See [`MAX_WIDTH`].
pub const MAX_HEIGHT: u16 = 2304;
/// The fastest source: twice the fastest analog standard.
pub const MAX_FRAMES_PER_SEC: u32 = 120;
/// The longest GOP, as [`StreamConfig::gop_frames`] has it.
pub const MAX_GOP_FRAMES: u16 = 600;
/// The lowest bit rate. Small rates are only kept where title, clock and mark fit in: about 70 kbit/s at 25
/// pictures a second and a GOP of 2 s; below, a picture costs what it must.
pub const MIN_BIT_RATE: BitsPerSecond = BitsPerSecond(32_000);

/// What one source is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// Changes the texture.
    pub seed: u64,
    /// The channel in the mark.
    pub channel: ChannelId,
    /// The title on the picture; cut where the picture ends, empty for none.
    pub title: String,
    /// Whether the time (UTC) is written on the picture.
    pub clock: bool,
    /// The encoder; H.264 only.
    pub stream: StreamConfig,
    /// The wall time of picture 0, for [`Source::next_unit`].
    pub start: WallTime,
}

/// One simulated encoder.
///
/// ```
/// use hal::{BitsPerSecond, ChannelId, FrameRate, Resolution, StreamConfig, StreamKind, VideoCodec, WallTime};
/// let mut source = hal_sim::Source::new(hal_sim::SourceConfig {
///     seed: 1,
///     channel: ChannelId::new(1).unwrap(),
///     title: "Gate".into(),
///     clock: true,
///     stream: StreamConfig {
///         kind: StreamKind::Main,
///         codec: VideoCodec::H264,
///         resolution: Resolution { width: 640, height: 360 },
///         frame_rate: FrameRate { numerator: 25, denominator: 1 },
///         bit_rate: BitsPerSecond(2_000_000),
///         gop_frames: 50,
///     },
///     start: WallTime::from_unix_micros(0),
/// })?;
/// assert!(source.next_unit().keyframe);
/// assert_eq!(source.next_unit().pts.0, 3600);
/// # Ok::<(), hal::HalError>(())
/// ```
#[derive(Debug)]
pub struct Source {
    config: SourceConfig,
    picture: Picture,
    parameter_sets: Vec<u8>,
    writer: BitWriter,
    changes: Vec<u32>,
    /// Per macroblock the `pictures` in which it was last coded as I_PCM.
    pcm_in: Vec<u32>,
    pictures: u32,
    counter: u64,
    frame_num: u32,
    idr_pictures: u16,
    keyframe_wanted: bool,
    shown_second: Option<i64>,
    credit: Credit,
}

impl Source {
    /// A source whose next picture is number 0, a keyframe.
    ///
    /// # Errors
    /// `Unsupported` for another codec than H.264, an odd size or one outside 288x160 to [`MAX_WIDTH`] x
    /// [`MAX_HEIGHT`], a frame rate above [`MAX_FRAMES_PER_SEC`], a GOP or a bit rate that cannot be made.
    pub fn new(config: SourceConfig) -> Result<Self, HalError> {
        let stream = config.stream;
        check(&stream)?;
        let picture = Picture::new(stream.resolution, config.seed, config.channel.get());
        let mut source = Self {
            parameter_sets: syntax::parameter_sets(stream.resolution, stream.frame_rate),
            writer: BitWriter::default(),
            changes: Vec::new(),
            pcm_in: vec![0; picture.macroblocks() as usize],
            picture,
            pictures: 0,
            counter: 0,
            frame_num: 0,
            idr_pictures: 0,
            keyframe_wanted: true,
            shown_second: None,
            credit: Credit::default(),
            config,
        };
        source.picture.draw_title(&source.config.title);
        Ok(source)
    }

    /// The next picture at its regular time: the configuration's start and one frame's time a picture.
    pub fn next_unit(&mut self) -> AccessUnit<'_> {
        let micros = frames_to_ticks(self.counter, &self.config.stream, 1_000_000);
        self.next_unit_at(self.config.start.offset_micros(micros))
    }

    /// The next picture, taken at `wall`. Its PTS is its number's, from 0.
    pub fn next_unit_at(&mut self, wall: WallTime) -> AccessUnit<'_> {
        let counter = self.counter;
        let stream = self.config.stream;
        self.counter = counter + 1;
        self.pictures = self.pictures.wrapping_add(1);
        let keyframe = std::mem::take(&mut self.keyframe_wanted)
            || self.frame_num + 1 >= u32::from(stream.gop_frames)
            || self.pictures == 1;
        self.draw(counter as u32, wall);

        self.writer.clear();
        let kind = if keyframe {
            self.idr_pictures = self.idr_pictures.wrapping_add(1);
            self.frame_num = 0;
            self.writer.put_nals(&self.parameter_sets);
            SliceKind::Idr { idr_pic_id: self.idr_pictures & 1 }
        } else {
            self.frame_num += 1;
            SliceKind::P
        };
        syntax::slice_header(&mut self.writer, kind, self.frame_num);
        self.picture.take_changes(&mut self.changes);
        if keyframe {
            for at in 0..self.picture.macroblocks() {
                self.code_macroblock(kind, at);
            }
        } else {
            let mut next = 0;
            for index in 0..self.changes.len() {
                let at = self.changes[index];
                self.writer.ue(at - next); // mb_skip_run
                self.code_macroblock(kind, at);
                next = at + 1;
            }
            let rest = self.picture.macroblocks() - next;
            if rest > 0 {
                self.writer.ue(rest);
            }
        }
        self.writer.end_nal();
        self.credit.spend(self.writer.bytes().len());
        AccessUnit {
            stream: StreamId::new(self.config.channel, stream.kind),
            pts: Pts90k(frames_to_ticks(counter, &stream, 90_000)),
            wall,
            keyframe,
            discontinuity: self.pictures == 1,
            data: self.writer.bytes(),
        }
    }

    /// Goes on by one picture without making it: it is missing, and its number with it.
    pub fn skip(&mut self) {
        self.counter += 1;
    }

    /// The number of the next picture. The mark has its low 32 bits.
    #[must_use]
    pub fn counter(&self) -> u64 {
        self.counter
    }

    /// Makes the next picture a keyframe.
    pub fn request_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }

    /// Changes the bit rate from the next picture on.
    ///
    /// # Errors
    /// `Unsupported` for a rate that the picture's size cannot make.
    pub fn set_bit_rate(&mut self, bit_rate: BitsPerSecond) -> Result<(), HalError> {
        self.set_stream(StreamConfig { bit_rate, ..self.config.stream })
    }

    /// Changes bit rate, GOP and frame rate from the next picture on; another frame rate makes it a keyframe, since the
    /// parameter sets say it.
    ///
    /// # Errors
    /// `Unsupported` for what cannot be made, and for another codec or size: those need a new source.
    pub fn set_stream(&mut self, stream: StreamConfig) -> Result<(), HalError> {
        check(&stream)?;
        let before = self.config.stream;
        if (stream.codec, stream.resolution) != (before.codec, before.resolution) {
            return Err(HalError::new(
                ErrorKind::Unsupported,
                "another codec or size needs a new source".to_owned(),
            ));
        }
        if stream.frame_rate != before.frame_rate {
            self.parameter_sets = syntax::parameter_sets(stream.resolution, stream.frame_rate);
            self.keyframe_wanted = true;
        }
        self.config.stream = stream;
        Ok(())
    }

    /// Puts those overlays over the picture from the next one on, in place of any before; later ones lie on top.
    pub fn set_overlays(&mut self, overlays: &[Overlay]) {
        self.picture.set_overlays(overlays);
    }

    /// The last picture as every decoder must show it: planar 4:2:0 in the stream's size.
    #[must_use]
    pub fn render_i420(&self) -> Vec<u8> {
        self.picture.render()
    }

    fn draw(&mut self, counter: u32, wall: WallTime) {
        let stream = self.config.stream;
        let wall_ms = u64::try_from(wall.as_unix_micros().div_euclid(1000)).unwrap_or(0).min(MAX_WALL_MS);
        self.picture.draw_mark(Mark { channel: self.config.channel.get() as u8, counter, wall_ms });
        let second = wall.as_unix_micros().div_euclid(1_000_000);
        if self.config.clock && self.shown_second != Some(second) {
            self.shown_second = Some(second);
            // A time that no calendar has is left out.
            let text = jiff::Timestamp::from_second(second)
                .map_or_else(|_| String::new(), |t| t.strftime("%Y-%m-%d %H:%M:%S").to_string());
            self.picture.draw_clock(&text);
        }
        let budget = self.credit.earn(&stream);
        let texture = (budget / PCM_CODED_BYTES) as u32;
        self.picture.move_scene(
            counter,
            stream.frame_rate,
            texture.min(Picture::max_texture(stream.resolution)),
        );
    }

    /// One macroblock: flat from a flat neighbour where there is one, else its samples.
    fn code_macroblock(&mut self, kind: SliceKind, at: u32) {
        let width = self.picture.width_mbs;
        let left = (!at.is_multiple_of(width)).then(|| at - 1);
        let above = at.checked_sub(width);
        let flat = |neighbour: Option<u32>| match self.picture.shown(neighbour?) {
            Cell::Flat(colour) => Some(colour),
            _ => None,
        };
        if let Cell::Flat(colour) = self.picture.shown(at) {
            let prediction = match (flat(left), flat(above)) {
                (Some(left), _) if left == colour => Some((Prediction::Horizontal, left)),
                (_, Some(above)) => Some((Prediction::Vertical, above)),
                (Some(left), None) => Some((Prediction::Horizontal, left)),
                (None, None) if at == 0 => Some((Prediction::Grey, [128; 3])),
                (None, None) => None,
            };
            if let Some((prediction, from)) = prediction {
                let beside_pcm =
                    [left, above].into_iter().flatten().any(|n| self.pcm_in[n as usize] == self.pictures);
                let change = std::array::from_fn(|plane| i32::from(colour[plane]) - i32::from(from[plane]));
                syntax::flat_macroblock(&mut self.writer, kind, prediction, change, beside_pcm);
                return;
            }
        }
        self.pcm_in[at as usize] = self.pictures;
        syntax::pcm_macroblock(&mut self.writer, kind, &self.picture.samples(at));
    }
}

/// Whether a stream can be made.
pub(crate) fn check(stream: &StreamConfig) -> Result<(), HalError> {
    let refuse = |why: String| {
        Err(HalError::new(
            ErrorKind::Unsupported,
            format!("the simulator cannot make a {} stream {why}", stream.kind),
        ))
    };
    let (size, rate) = (stream.resolution, stream.frame_rate);
    if stream.codec != VideoCodec::H264 {
        return refuse("in H.265; choose H.264".to_owned());
    }
    if size.width % 2 + size.height % 2 > 0
        || !(MIN_WIDTH..=MAX_WIDTH).contains(&size.width)
        || !(MIN_HEIGHT..=MAX_HEIGHT).contains(&size.height)
    {
        return refuse(format!(
            "of {}x{}; choose even numbers from {MIN_WIDTH}x{MIN_HEIGHT} to {MAX_WIDTH}x{MAX_HEIGHT}",
            size.width, size.height
        ));
    }
    if rate.denominator == 0 || rate.numerator == 0 || rate.numerator / rate.denominator > MAX_FRAMES_PER_SEC
    {
        return refuse(format!(
            "of {}/{} pictures a second; choose up to {MAX_FRAMES_PER_SEC}",
            rate.numerator, rate.denominator
        ));
    }
    if !(1..=MAX_GOP_FRAMES).contains(&stream.gop_frames) {
        return refuse(format!("with {} pictures a GOP; choose 1 to {MAX_GOP_FRAMES}", stream.gop_frames));
    }
    let most = most_bits(size, rate);
    if stream.bit_rate < MIN_BIT_RATE || u64::from(stream.bit_rate.0) > most {
        return refuse(format!(
            "of {} bit/s at this size; choose {} to {most}",
            stream.bit_rate.0, MIN_BIT_RATE.0
        ));
    }
    Ok(())
}

/// The most bits a second that a picture of that size can take.
fn most_bits(size: Resolution, rate: FrameRate) -> u64 {
    u64::from(Picture::max_texture(size)) * PCM_CODED_BYTES as u64 * 8 * u64::from(rate.numerator)
        / u64::from(rate.denominator)
}

/// The highest bit rate of a source of a size and frame rate that it can make.
#[must_use]
pub fn max_bit_rate(size: Resolution, rate: FrameRate) -> BitsPerSecond {
    BitsPerSecond(u32::try_from(most_bits(size, rate)).unwrap_or(u32::MAX))
}

/// The side of the block that moves through the scene, in macroblocks of 16 samples.
pub const SCENE_BLOCK_MBS: u32 = picture::BLOCK_MBS;

/// Where the scene's block is in picture `counter` of a source: its left and upper macroblock.
#[must_use]
pub fn scene_block(size: Resolution, counter: u32, rate: FrameRate) -> (u32, u32) {
    picture::block_position(size, counter, rate)
}

/// The time of frame `number` in ticks of 1/`per_second` s, rounded down.
pub(crate) fn frames_to_ticks(number: u64, stream: &StreamConfig, per_second: u32) -> i64 {
    let rate = stream.frame_rate;
    (u128::from(number) * u128::from(rate.denominator) * u128::from(per_second) / u128::from(rate.numerator))
        as i64
}

/// The bits that may be spent: what the bit rate gives a picture, less what the pictures before took too much.
#[derive(Debug, Default)]
struct Credit {
    bits: i64,
    /// The part of a bit that is left, in 1/numerator.
    remainder: u64,
}

impl Credit {
    /// Adds a picture's share; returns the bytes now at hand.
    fn earn(&mut self, stream: &StreamConfig) -> usize {
        let rate = stream.frame_rate;
        let share = u64::from(stream.bit_rate.0) * u64::from(rate.denominator) + self.remainder;
        let bits = (share / u64::from(rate.numerator)) as i64;
        self.remainder = share % u64::from(rate.numerator);
        // A debt older than a second is forgiven, and no more than a picture's share is saved up.
        self.bits = (self.bits + bits).clamp(-i64::from(stream.bit_rate.0), 2 * bits);
        usize::try_from(self.bits / 8).unwrap_or(0)
    }

    fn spend(&mut self, bytes: usize) {
        self.bits -= bytes as i64 * 8;
    }
}
