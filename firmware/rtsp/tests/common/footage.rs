//! Coded clips for tests: real footage where it is there, else what FFmpeg makes.

use std::path::{Path, PathBuf};
use std::process::Command;

use hal::{AudioCodec, AudioFormat, Pts90k, StreamFormat, VideoCodec};

/// One coded unit of a clip.
#[derive(Clone)]
pub struct Coded {
    pub pts: Pts90k,
    pub keyframe: bool,
    pub data: Vec<u8>,
}

/// A clip that can be played in a loop.
#[derive(Clone)]
pub struct Clip {
    pub format: StreamFormat,
    pub units: Vec<Coded>,
    /// The distance from one round to the next.
    pub length: Pts90k,
}

impl Clip {
    /// The clip of a street: H.264 without B-frames, 12.5 frames a second.
    pub fn street(work: &Path) -> Self {
        let footage = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/footage/car-detection.mp4");
        if footage.exists() {
            Self::h264_file(&footage, work)
        } else {
            Self::h264(work, "street", 768, "-bf 0 -g 60")
        }
    }

    /// A test picture as H.264 at 25 frames a second.
    pub fn h264(work: &Path, name: &str, width: u32, options: &str) -> Self {
        let file = work.join(format!("{name}.mp4"));
        let height = width * 9 / 16 / 2 * 2;
        ffmpeg(&format!(
            "-f lavfi -i testsrc2=size={width}x{height}:rate=25 -t 8 -c:v libx264 -preset ultrafast {options} {}",
            file.display()
        ));
        Self::h264_file(&file, work)
    }

    /// A test picture as H.265 at 25 frames a second.
    pub fn h265(work: &Path) -> Self {
        let file = work.join("h265.mp4");
        ffmpeg(&format!(
            "-f lavfi -i testsrc2=size=640x360:rate=25 -t 6 -c:v libx265 -preset ultrafast \
             -x265-params keyint=25:log-level=none {}",
            file.display()
        ));
        video(&file, work, VideoCodec::H265, "hevc_mp4toannexb,hevc_metadata=aud=insert", "hevc")
    }

    /// Shaped like H.264 for whoever does not decode: `bytes` a unit, 25 units a second.
    pub fn noise(codec: VideoCodec, bytes: usize, gop: usize) -> Self {
        let units = (0..gop)
            .map(|index| {
                let (sets, slice): (&[&[u8]], &[u8]) = match codec {
                    VideoCodec::H264 => {
                        (&[&[0x67, 0x64, 1, 31, 1], &[0x68, 1, 1]], &[[0x65], [0x41]][index.min(1)])
                    }
                    VideoCodec::H265 => (
                        &[&[0x40, 1, 1], &[0x42, 1, 1], &[0x44, 1, 1]],
                        &[[0x26, 1], [0x02, 1]][index.min(1)],
                    ),
                };
                let mut data = Vec::new();
                for set in sets.iter().take(if index == 0 { sets.len() } else { 0 }) {
                    data.extend_from_slice(&[0, 0, 0, 1]);
                    data.extend_from_slice(set);
                }
                data.extend_from_slice(&[0, 0, 0, 1]);
                data.extend_from_slice(slice);
                data.extend((0..bytes).map(|at| (at % 251) as u8 + 1));
                Coded { pts: Pts90k(index as i64 * 3600), keyframe: index == 0, data }
            })
            .collect();
        Self { format: StreamFormat::Video(codec), units, length: Pts90k(gop as i64 * 3600) }
    }

    fn h264_file(file: &Path, work: &Path) -> Self {
        video(file, work, VideoCodec::H264, "h264_mp4toannexb,h264_metadata=aud=insert", "h264")
    }

    /// A tone as AAC-LC, 48 kHz stereo.
    pub fn aac(work: &Path) -> Self {
        let file = work.join("tone.aac");
        ffmpeg(&format!(
            "-f lavfi -i sine=440:sample_rate=48000 -ac 2 -t 10 -c:a aac -f adts {}",
            file.display()
        ));
        let bytes = std::fs::read(&file).unwrap();
        let mut units = Vec::new();
        let mut at = 0;
        while at + 7 < bytes.len() {
            // ADTS without CRC (ISO 14496-3 section 1.A.2.2): 7 bytes, 13 bits of length.
            let length = usize::from(bytes[at + 3] & 3) << 11
                | usize::from(bytes[at + 4]) << 3
                | usize::from(bytes[at + 5]) >> 5;
            units.push(bytes[at + 7..at + length].to_vec());
            at += length;
        }
        let ticks = 1024 * 90_000 / 48_000;
        let format = AudioFormat {
            codec: AudioCodec::Aac,
            sample_rate: 48_000,
            channels: 2,
            config: vec![0x11, 0x90],
        };
        sound(format, units, ticks)
    }

    /// A tone as G.711 A-law, 8 kHz mono, 40 ms a unit.
    pub fn alaw(work: &Path) -> Self {
        let file = work.join("tone.alaw");
        ffmpeg(&format!("-f lavfi -i sine=440:sample_rate=8000 -ac 1 -t 10 -f alaw {}", file.display()));
        let bytes = std::fs::read(&file).unwrap();
        let format =
            AudioFormat { codec: AudioCodec::G711A, sample_rate: 8000, channels: 1, config: Vec::new() };
        sound(format, bytes.chunks_exact(320).map(<[u8]>::to_vec).collect(), 3600)
    }
}

fn sound(format: AudioFormat, units: Vec<Vec<u8>>, ticks: i64) -> Clip {
    let length = Pts90k(units.len() as i64 * ticks);
    let units = units
        .into_iter()
        .enumerate()
        .map(|(index, data)| Coded { pts: Pts90k(index as i64 * ticks), keyframe: true, data })
        .collect();
    Clip { format: StreamFormat::Audio(format), units, length }
}

fn video(file: &Path, work: &Path, codec: VideoCodec, filter: &str, muxer: &str) -> Clip {
    let raw: PathBuf = work.join(format!("{}.{muxer}", file.file_stem().unwrap().to_string_lossy()));
    ffmpeg(&format!("-i {} -map 0:v -c copy -bsf:v {filter} -f {muxer} {}", file.display(), raw.display()));
    let bytes = std::fs::read(&raw).unwrap();
    let data = access_units(&bytes, codec);
    let probe = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v",
            "-show_entries",
            "packet=pts_time,flags",
            "-of",
            "csv=p=0",
        ])
        .arg(file)
        .output()
        .unwrap();
    let times: Vec<(i64, bool)> = String::from_utf8(probe.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let (time, flags) = line.split_once(',').unwrap();
            ((time.parse::<f64>().unwrap() * 90_000.0).round() as i64, flags.starts_with('K'))
        })
        .collect();
    assert_eq!(times.len(), data.len(), "one access unit a packet");
    let mut sorted: Vec<i64> = times.iter().map(|(time, _)| *time).collect();
    sorted.sort_unstable();
    let length = Pts90k(sorted[sorted.len() - 1] - sorted[0] + sorted[1] - sorted[0]);
    let units = times
        .into_iter()
        .zip(data)
        .map(|((time, keyframe), data)| Coded { pts: Pts90k(time - sorted[0]), keyframe, data })
        .collect();
    Clip { format: StreamFormat::Video(codec), units, length }
}

/// Cut before every delimiter, which FFmpeg put in for this.
fn access_units(bytes: &[u8], codec: VideoCodec) -> Vec<Vec<u8>> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    for nal in media::annexb::nal_units(bytes) {
        let delimiter = match codec {
            VideoCodec::H264 => nal[0] & 0x1f == 9,
            VideoCodec::H265 => nal[0] >> 1 & 0x3f == 35,
        };
        if delimiter {
            units.push(Vec::new());
        }
        let unit = units.last_mut().expect("it begins with a delimiter");
        unit.extend_from_slice(&[0, 0, 0, 1]);
        unit.extend_from_slice(nal);
    }
    units
}

fn ffmpeg(arguments: &str) {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
