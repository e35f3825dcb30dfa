//! Plans: from board, settings and camera to what the host is told.
//!
//! Pure. Refuses what the platform cannot do before the platform is asked. Does not belong here: memory (`budget.rs`).

use board::{Board, Media, VideoInterface};
use hal::{
    AnalogFormat, Area, ChannelConfig, FrameRate, HalError, Resolution, StreamConfig, StreamKind, VideoCodec,
};
use mpp_wire::{
    AudioPlan, ChannelPlan, Codec, DevicePlan, InputPlan, Interface, MotionPlan, Multiplex, RatePlan, Ready,
    Rect, StreamPlan, StreamTag,
};

use crate::error::{not_found, unsupported};

/// The sound that goes with a picture: telephone quality, as G.711 has it.
pub(crate) const AUDIO_RATE: u32 = 8_000;

/// Motion grids a second: analytics look at seconds, not at pictures.
const GRIDS_PER_SEC: u8 = 5;

/// The largest coded side: an 8-megapixel picture.
const MAX_SIDE: u16 = 4096;
/// The platform's own bounds of a target bit rate, kbit/s (`VENC_ATTR_H264_CBR_S`).
const KBIT_PER_SEC: std::ops::RangeInclusive<u32> = 2..=102_400;
const GOP_FRAMES: std::ops::RangeInclusive<u16> = 1..=600;
const MAX_FRAMES_PER_SEC: u8 = 60;

/// What a generation can do at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    /// Video input channels.
    pub(crate) inputs: u8,
    /// Encoders of all channels.
    pub(crate) encoders: u16,
    /// Whether they make H.265.
    pub(crate) h265: bool,
    /// Whether there is a motion grid.
    pub(crate) motion: bool,
}

impl Platform {
    /// What a host that is ready has. Of an unknown generation no more is assumed than the smallest has.
    pub(crate) fn of(ready: &Ready) -> Self {
        let (inputs, encoders) = match ready.generation.as_str() {
            "G2" => (16, 128),
            "G3" => (33, 128),
            _ => (8, 64),
        };
        Self { inputs, encoders, h265: ready.h265, motion: ready.motion }
    }
}

/// Where an input's picture and sound are in the platform's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) input: u8,
    pub(crate) device: u8,
    pub(crate) way: u8,
    pub(crate) audio: Option<u8>,
    /// Channels of the audio device, as I2S has them.
    pub(crate) audio_channels: u8,
}

impl Place {
    /// Finds an input of the board.
    pub(crate) fn find(board: &Board, name: &str) -> Result<Self, HalError> {
        let Some(found) = board.inputs.iter().find(|input| input.name == name) else {
            let known: Vec<&str> = board.inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(not_found(format!("no input {name}; the board has {}", known.join(", "))));
        };
        let Some(input) = found.video_input else {
            return Err(not_found(format!(
                "the board's description does not say which video input of the platform {name} is (`video_input`)"
            )));
        };
        let devices = board.media.iter().flat_map(|media| &media.devices);
        let on_device = devices.into_iter().find_map(|device| {
            let way = device.inputs().iter().position(|&n| n == input)?;
            Some((device.number, way as u8))
        });
        let (device, way) = on_device.unwrap_or((0, 0));
        let sounds = board.inputs.iter().filter_map(|input| input.audio_input).max().unwrap_or(0);
        let audio_channels = sounds.saturating_add(1).min(16).next_power_of_two();
        Ok(Self { input, device, way, audio: found.audio_input, audio_channels })
    }
}

/// The SoC's ports as the host sets them up.
pub(crate) fn devices(media: &Media) -> Vec<DevicePlan> {
    let plans = media.devices.iter().map(|device| DevicePlan {
        device: device.number,
        interface: match device.interface {
            VideoInterface::Bt656 => Interface::Bt656,
            VideoInterface::Bt1120 => Interface::Bt1120,
        },
        multiplex: match device.multiplex {
            4 => Multiplex::Four,
            2 => Multiplex::Two,
            _ => Multiplex::One,
        },
        mask: device.mask,
        double_edge: device.double_edge,
    });
    plans.collect()
}

/// What an input sends: what its decoder has locked to. Where no decoder tells, a camera as the owner's main stream has it.
pub(crate) fn picture(config: &ChannelConfig, format: Option<AnalogFormat>) -> (Resolution, u8, bool) {
    if let Some(format) = format {
        return (format.resolution, rounded(format.frame_rate), format.interlaced);
    }
    let main = config.streams.iter().find(|stream| stream.kind == StreamKind::Main);
    let size = main.map_or(Resolution { width: 1920, height: 1080 }, |main| main.resolution);
    let fastest = config.streams.iter().map(|stream| rounded(stream.frame_rate)).max();
    (size, fastest.unwrap_or_default().max(25), false)
}

/// What the host is told of a channel. `platform` is absent until a host was ready.
pub(crate) fn channel(
    place: Place,
    config: &ChannelConfig,
    format: Option<AnalogFormat>,
    covers: &[Area],
    motion: bool,
    platform: Option<Platform>,
) -> Result<ChannelPlan, HalError> {
    let (size, frame_rate, interlaced) = picture(config, format);
    let mut streams: Vec<StreamPlan> = Vec::new();
    for asked in &config.streams {
        let plan = stream(config, asked, frame_rate, platform)?;
        if streams.iter().any(|other| other.stream == plan.stream) {
            return Err(unsupported(format!(
                "channel {}: each of main and sub can be asked for once",
                config.channel
            )));
        }
        streams.push(plan);
    }
    if let Some(platform) = platform.filter(|platform| place.input >= platform.inputs) {
        return Err(unsupported(format!(
            "channel {}: this platform has video inputs 0 to {}, not {}; correct the board's description",
            config.channel,
            platform.inputs - 1,
            place.input
        )));
    }
    Ok(ChannelPlan {
        channel: config.channel.get(),
        input: InputPlan {
            input: place.input,
            device: place.device,
            way: place.way,
            width: size.width,
            height: size.height,
            frame_rate,
            interlaced,
        },
        streams,
        audio: place.audio.filter(|_| config.audio).map(|input| AudioPlan {
            device: 0,
            device_channels: place.audio_channels,
            input,
            sample_rate: AUDIO_RATE,
        }),
        motion: (motion && platform.is_some_and(|p| p.motion))
            .then_some(MotionPlan { per_sec: GRIDS_PER_SEC }),
        covers: covers.iter().map(|area| rect(*area, size)).collect(),
    })
}

/// The platform encodes so many streams in all.
pub(crate) fn check_encoders(streams: usize, platform: Option<Platform>) -> Result<(), HalError> {
    match platform {
        Some(platform) if streams > usize::from(platform.encoders) => Err(unsupported(format!(
            "{streams} streams are asked for, and this platform encodes {}; leave out sub streams",
            platform.encoders
        ))),
        _ => Ok(()),
    }
}

/// An area on a picture, even samples.
pub(crate) fn rect(area: Area, size: Resolution) -> Rect {
    let (x, y, width, height) = area.in_samples(size);
    Rect { x, y, width, height }
}

/// What a running encoder can be changed to.
pub(crate) fn rate(config: &StreamConfig) -> RatePlan {
    RatePlan {
        kbit_per_sec: config.bit_rate.0 / 1_000,
        gop_frames: config.gop_frames,
        frame_rate: rounded(config.frame_rate),
    }
}

/// The platform's name of a video stream.
pub(crate) fn tag(kind: StreamKind) -> Option<StreamTag> {
    match kind {
        StreamKind::Main => Some(StreamTag::Main),
        StreamKind::Sub => Some(StreamTag::Sub),
        StreamKind::Audio => None,
    }
}

/// Ours for it.
pub(crate) fn kind(tag: StreamTag) -> StreamKind {
    match tag {
        StreamTag::Main => StreamKind::Main,
        StreamTag::Sub => StreamKind::Sub,
    }
}

fn stream(
    channel: &ChannelConfig,
    config: &StreamConfig,
    input_rate: u8,
    platform: Option<Platform>,
) -> Result<StreamPlan, HalError> {
    let refuse = |message: String| Err(unsupported(format!("channel {}: {message}", channel.channel)));
    let Some(stream) = tag(config.kind) else {
        return refuse("sound has no encoder of its own; ask for it with the channel".to_owned());
    };
    let Resolution { width, height } = config.resolution;
    let is_even = width.is_multiple_of(2) && height.is_multiple_of(2);
    if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE || !is_even {
        return refuse(format!("a picture of {width}x{height}; both must be even, and at most {MAX_SIDE}"));
    }
    let codec = match config.codec {
        VideoCodec::H264 => Codec::H264,
        VideoCodec::H265 if platform.is_some_and(|p| !p.h265) => {
            return refuse("this platform does not encode H.265; choose H.264".to_owned());
        }
        VideoCodec::H265 => Codec::H265,
    };
    let rate = rate(config);
    if rate.frame_rate == 0 || rate.frame_rate > MAX_FRAMES_PER_SEC {
        return refuse(format!("{} frames a second; 1 to {MAX_FRAMES_PER_SEC} can be", rate.frame_rate));
    }
    // A camera that sends fewer, such as one for 50 Hz after one for 60, is recorded with what it sends.
    let rate = RatePlan { frame_rate: rate.frame_rate.min(input_rate), ..rate };
    if !KBIT_PER_SEC.contains(&rate.kbit_per_sec) || !GOP_FRAMES.contains(&rate.gop_frames) {
        return refuse(format!(
            "{} kbit/s and a keyframe each {} frames; {} to {} kbit/s and {} to {} frames can be",
            rate.kbit_per_sec,
            rate.gop_frames,
            KBIT_PER_SEC.start(),
            KBIT_PER_SEC.end(),
            GOP_FRAMES.start(),
            GOP_FRAMES.end()
        ));
    }
    Ok(StreamPlan { stream, codec, width, height, rate })
}

/// Whole frames a second, rounded; 0 for a rate without sense.
fn rounded(rate: FrameRate) -> u8 {
    let denominator = u64::from(rate.denominator);
    let rounded = (u64::from(rate.numerator) + denominator / 2).checked_div(denominator);
    u8::try_from(rounded.unwrap_or(0)).unwrap_or(u8::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use hal::{AnalogStandard, BitsPerSecond, ChannelId, ErrorKind};

    use super::*;

    pub(crate) fn config(width: u16, height: u16) -> ChannelConfig {
        let stream = |kind, width, height| StreamConfig {
            kind,
            codec: VideoCodec::H264,
            resolution: Resolution { width, height },
            frame_rate: FrameRate { numerator: 15, denominator: 1 },
            bit_rate: BitsPerSecond(2_000_000),
            gop_frames: 30,
        };
        ChannelConfig {
            channel: ChannelId::new(3).unwrap(),
            input: "video2".to_owned(),
            title: "Door".to_owned(),
            clock: true,
            audio: true,
            streams: vec![stream(StreamKind::Main, width, height), stream(StreamKind::Sub, 320, 180)],
        }
    }

    fn ntsc() -> AnalogFormat {
        AnalogFormat {
            standard: AnalogStandard::Ntsc,
            resolution: Resolution { width: 960, height: 480 },
            frame_rate: FrameRate { numerator: 30_000, denominator: 1001 },
            interlaced: true,
        }
    }

    const PLATFORM: Platform = Platform { inputs: 8, encoders: 64, h265: false, motion: true };

    fn place() -> Place {
        Place::find(&Board::builtin("virt-mpp").unwrap(), "video6").unwrap()
    }

    fn refused(change: impl FnOnce(&mut ChannelConfig)) -> String {
        let mut config = config(1280, 720);
        change(&mut config);
        let error = channel(place(), &config, Some(ntsc()), &[], false, Some(PLATFORM)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        error.to_string()
    }

    #[test]
    fn inputs_are_found_on_their_device() {
        assert_eq!(place(), Place { input: 6, device: 1, way: 2, audio: Some(6), audio_channels: 8 });
        let board = Board::builtin("virt-mpp").unwrap();
        let missing = Place::find(&board, "video8").unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(missing.to_string().contains("video0, video1"), "{missing}");
        let undescribed = Place::find(&Board::builtin("virt-a7").unwrap(), "sim0").unwrap_err();
        assert!(undescribed.to_string().contains("`video_input`"), "{undescribed}");
        let plans = devices(&board.media.unwrap());
        assert_eq!((plans.len(), plans[1].device, plans[1].multiplex), (2, 1, Multiplex::Four));
    }

    #[test]
    fn a_plan_has_the_camera_s_format_and_the_owner_s_streams() {
        let cover = Area::new(0, 0, 5_000, 5_000).unwrap();
        let plan = channel(place(), &config(704, 480), Some(ntsc()), &[cover], true, Some(PLATFORM)).unwrap();
        let input = InputPlan {
            input: 6,
            device: 1,
            way: 2,
            width: 960,
            height: 480,
            frame_rate: 30,
            interlaced: true,
        };
        assert_eq!((plan.channel, plan.input), (3, input));
        assert_eq!(plan.streams.len(), 2);
        let rate = RatePlan { kbit_per_sec: 2_000, gop_frames: 30, frame_rate: 15 };
        let main = StreamPlan { stream: StreamTag::Main, codec: Codec::H264, width: 704, height: 480, rate };
        assert_eq!(plan.streams[0], main);
        assert_eq!(
            plan.audio,
            Some(AudioPlan { device: 0, device_channels: 8, input: 6, sample_rate: 8_000 })
        );
        assert_eq!(plan.motion, Some(MotionPlan { per_sec: 5 }));
        assert_eq!(plan.covers, [Rect { x: 0, y: 0, width: 480, height: 240 }]);
    }

    #[test]
    fn an_input_without_a_decoder_is_taken_to_be_what_is_recorded() {
        let plan = channel(place(), &config(1280, 720), None, &[], true, None).unwrap();
        assert_eq!((plan.input.width, plan.input.height, plan.input.frame_rate), (1280, 720, 25));
        assert_eq!(plan.motion, None, "nobody knows of a grid yet");
    }

    #[test]
    fn a_camera_that_sends_fewer_pictures_is_recorded_with_what_it_sends() {
        let mut config = config(1280, 720);
        config.streams[0].frame_rate = FrameRate { numerator: 50, denominator: 1 };
        let plan = channel(place(), &config, Some(ntsc()), &[], true, None).unwrap();
        assert_eq!((plan.input.frame_rate, plan.streams[0].rate.frame_rate), (30, 30));
    }

    #[test]
    fn what_the_platform_cannot_do_is_refused_before_it_is_asked() {
        assert!(refused(|c| c.streams[0].resolution.width = 1279).contains("1279x720; both must be even"));
        assert!(refused(|c| c.streams[1].resolution.height = 0).contains("320x0"));
        assert!(refused(|c| c.streams[0].codec = VideoCodec::H265).contains("choose H.264"));
        assert!(refused(|c| c.streams[1].kind = StreamKind::Main).contains("can be asked for once"));
        assert!(refused(|c| c.streams[1].kind = StreamKind::Audio).contains("with the channel"));
        assert!(refused(|c| c.streams[0].bit_rate = BitsPerSecond(1_999)).contains("1 kbit/s"));
        assert!(refused(|c| c.streams[0].gop_frames = 601).contains("601 frames"));
        assert!(refused(|c| c.streams[0].frame_rate.denominator = 0).contains("0 frames a second"));
    }

    #[test]
    fn a_generation_has_so_many_inputs_and_encoders() {
        let ready = |generation: &str| Ready {
            library: String::new(),
            generation: generation.to_owned(),
            confinement: mpp_wire::Confinement::default(),
            motion: false,
            h265: true,
        };
        assert_eq!(Platform::of(&ready("G1")).inputs, 8);
        assert_eq!(Platform::of(&ready("G2")).inputs, 16);
        assert_eq!(Platform::of(&ready("G3")).inputs, 33);
        let few = Platform { inputs: 4, ..PLATFORM };
        let refused = channel(place(), &config(1280, 720), None, &[], false, Some(few)).unwrap_err();
        assert!(refused.to_string().contains("0 to 3, not 6"), "{refused}");
        assert!(check_encoders(64, Some(PLATFORM)).is_ok());
        assert!(check_encoders(65, Some(PLATFORM)).is_err());
        assert!(check_encoders(65, None).is_ok());
    }
}
