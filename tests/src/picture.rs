//! What decoded pictures of simulated inputs say of themselves.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hal_sim::mark::{self, Mark};

use crate::programs::run;
use crate::setup::{HEIGHT, WIDTH};

/// Decodes a movie of a simulated main stream and reads each picture's mark.
///
/// # Panics
/// When the decoder complains, or a picture has no mark.
#[must_use]
pub fn marks(path: &Path) -> Vec<Mark> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(path);
    marks_of(&mut command)
}

/// As [`marks`], of what `ffmpeg` was told to read.
///
/// # Panics
/// As [`marks`].
#[must_use]
pub fn marks_of(ffmpeg: &mut Command) -> Vec<Mark> {
    ffmpeg.args(["-an", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray"]);
    // The movie's own time base: with the guessed frame rate's, pictures beside a gap may round to one time.
    ffmpeg.args(["-enc_time_base", "-1", "-"]);
    let decoded = run(Duration::from_secs(60), ffmpeg).flawless();
    let (width, height) = (usize::from(WIDTH), usize::from(HEIGHT));
    decoded
        .stdout
        .chunks(width * height)
        .enumerate()
        .map(|(number, luma)| {
            mark::decode(luma, width, height, width).unwrap_or_else(|| panic!("picture {number} has no mark"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 60 pictures 15 times a second, a pause of 0.295 s and 15 more: with the mean rate's steps two would be one.
    #[test]
    fn pictures_beside_a_gap_are_all_read() {
        let dir = tempfile::tempdir().unwrap();
        let (raw, movie) = (dir.path().join("raw.gray"), dir.path().join("gap.mp4"));
        let sent: Vec<Mark> =
            (0..75).map(|counter| Mark { channel: 1, counter, wall_ms: u64::from(counter) * 67 }).collect();
        std::fs::write(&raw, sent.iter().flat_map(|mark| luma(*mark)).collect::<Vec<u8>>()).unwrap();
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-f", "rawvideo", "-pix_fmt", "gray", "-r", "15"]);
        command.args(["-s", &format!("{WIDTH}x{HEIGHT}"), "-i"]).arg(&raw);
        command.args(["-vf", "settb=1/90000,setpts=(N*6000+gte(N\\,60)*20594)", "-fps_mode", "passthrough"]);
        command
            .args(["-enc_time_base", "-1", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-bf", "0"])
            .arg(&movie);
        let _made = run(Duration::from_secs(60), &mut command).flawless();
        assert_eq!(marks(&movie), sent);
    }

    fn luma(mark: Mark) -> Vec<u8> {
        let cells = mark::encode(mark);
        let cell = |at: usize| at / mark::CELL as usize;
        let white = |x: usize, y: usize| {
            cell(x) < mark::COLUMNS && cell(y) < mark::ROWS && cells[cell(y) * mark::COLUMNS + cell(x)]
        };
        let (width, height) = (usize::from(WIDTH), usize::from(HEIGHT));
        (0..width * height).map(|at| if white(at % width, at / width) { 235 } else { 16 }).collect()
    }
}
