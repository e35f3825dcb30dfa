//! Real cameras' clips, or drawn ones where these are missing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::programs::run;

/// A road: 12.5 frames a second, Baseline, with AAC.
pub const CAR_CLIP: &str = "car-detection.mp4";
/// People: 10 frames a second, Main with B-frames, silent.
pub const PEOPLE_CLIP: &str = "one-by-one-person-detection.mp4";

/// A clip; drawn into `dir` where the real one is missing.
///
/// # Panics
/// When it can be neither found nor drawn.
#[must_use]
pub fn clip(name: &str, dir: &Path) -> PathBuf {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/footage").join(name);
    if real.exists() {
        return real;
    }
    let path = dir.join(name);
    let (scene, [profile, b_frames], sound): (_, _, &[&str]) = if name == CAR_CLIP {
        let sound =
            &["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-c:a", "aac", "-b:a", "64k"];
        ("testsrc2=size=768x432:rate=25/2", ["baseline", "0"], sound)
    } else {
        ("mandelbrot=size=768x432:rate=10", ["main", "2"], &[])
    };
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "lavfi", "-i", scene]).args(&sound[..sound.len().min(4)]);
    command.args(["-t", "30", "-c:v", "libx264", "-profile:v", profile, "-preset", "ultrafast", "-g", "25"]);
    command.args(["-bf", b_frames]);
    command.args(["-pix_fmt", "yuv420p"]).args(&sound[sound.len().min(4)..]).arg(&path);
    let _ = run(Duration::from_secs(60), &mut command).flawless();
    path
}
