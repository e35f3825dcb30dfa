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
    command.args(["-an", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-"]);
    let decoded = run(Duration::from_secs(60), &mut command).flawless();
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
