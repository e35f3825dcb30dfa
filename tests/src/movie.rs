//! An MP4 taken apart by a program that is not ours.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde_json::Value;

use crate::programs::run;

/// Of reading a file of some megabytes.
const LIMIT: Duration = Duration::from_secs(60);

/// One access unit or one frame of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// When it is shown, microseconds.
    pub pts_micros: i64,
    /// A keyframe.
    pub keyframe: bool,
    /// Of its bytes, parameter sets and access unit delimiters apart.
    pub hash: [u8; 32],
}

/// The units of a file, in decoding order.
#[derive(Clone, Debug)]
pub struct Movie {
    /// Of its video track.
    pub video: Vec<Unit>,
    /// Of its sound; empty without.
    pub audio: Vec<Unit>,
}

impl Movie {
    /// By ffprobe, which must not complain.
    ///
    /// # Panics
    /// When it does.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let mut command = Command::new("ffprobe");
        command.args(["-v", "error", "-of", "json", "-show_packets", "-show_streams", "-show_entries"]);
        command.arg("packet=stream_index,pts,pos,size,flags:stream=index,codec_type,time_base").arg(path);
        let probed = run(LIMIT, &mut command).flawless();
        let json: Value = serde_json::from_slice(&probed.stdout).expect("ffprobe writes JSON");
        let bytes = std::fs::read(path).expect("ffprobe just read it");
        Self { video: units(&json, &bytes, "video"), audio: units(&json, &bytes, "audio") }
    }
}

/// Where `part` is in the endless loop of `whole`: the index of its first unit; `None` when it is not a part.
#[must_use]
pub fn same_units(part: &[Unit], whole: &[Unit]) -> Option<usize> {
    let is_at = |at: usize| part.iter().zip(whole.iter().cycle().skip(at)).all(|(a, b)| a.hash == b.hash);
    (0..whole.len()).find(|at| is_at(*at))
}

fn units(json: &Value, bytes: &[u8], kind: &str) -> Vec<Unit> {
    let stream = json["streams"].as_array().into_iter().flatten().find(|stream| stream["codec_type"] == kind);
    let Some(stream) = stream else { return Vec::new() };
    let (numerator, denominator) =
        stream["time_base"].as_str().and_then(|base| base.split_once('/')).expect("a time base");
    let (numerator, denominator): (i128, i128) = (numerator.parse().unwrap(), denominator.parse().unwrap());
    let packets = json["packets"].as_array().into_iter().flatten();
    packets
        .filter(|packet| packet["stream_index"] == stream["index"])
        .map(|packet| {
            let pts = i128::from(packet["pts"].as_i64().expect("every packet has a time"));
            let number = |key: &str| -> usize { packet[key].as_str().unwrap().parse().unwrap() };
            let data = &bytes[number("pos")..][..number("size")];
            let hash = digest(&SHA256, &if kind == "video" { essence(data) } else { data.to_vec() });
            Unit {
                pts_micros: i64::try_from(pts * numerator * 1_000_000 / denominator).unwrap(),
                keyframe: packet["flags"].as_str().is_some_and(|flags| flags.starts_with('K')),
                hash: hash.as_ref().try_into().unwrap(),
            }
        })
        .collect()
}

/// An H.264 access unit (ISO 14496-15 section 5.3.2, lengths of 4 bytes) without parameter sets and delimiters,
/// which each container keeps in its own place (ITU-T H.264 table 7-1: 7, 8, 9).
fn essence(mut unit: &[u8]) -> Vec<u8> {
    let mut essence = Vec::with_capacity(unit.len());
    while let Some((length, rest)) = unit.split_first_chunk::<4>() {
        let (nal, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        if !matches!(nal[0] & 0x1f, 7..=9) {
            essence.extend_from_slice(length);
            essence.extend_from_slice(nal);
        }
        unit = rest;
    }
    essence
}
