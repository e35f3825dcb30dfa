//! The board's description, and the settings that a recorder begins with.

use std::error::Error;
use std::fs;

use board::{Board, CaptureBackend};
use hal::{ChannelId, VideoCodec};

use crate::settings::{Channel, Input, Settings, Stream};

/// The largest description read; the largest that ships has 8 KB.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// More than any disk has: on a board the disk is the limit, unless the owner chooses a lower one.
const WHOLE_DISK_BYTES: u64 = 1 << 50;

/// A built-in board by its name, or a file by its path.
pub(crate) fn find(name: &str) -> Result<Board, Box<dyn Error + Send + Sync>> {
    let looks_like_a_file = name.ends_with(".toml") || name.contains('/');
    if !looks_like_a_file {
        return Ok(Board::builtin(name)?);
    }
    let size = fs::metadata(name).map_err(|error| format!("{name}: {error}"))?.len();
    if size > MAX_FILE_BYTES {
        return Err(
            format!("{name}: {size} bytes; a board's description has at most {MAX_FILE_BYTES}").into()
        );
    }
    let text = fs::read_to_string(name).map_err(|error| format!("{name}: {error}"))?;
    Ok(Board::parse(name, &text)?)
}

/// What a recorder begins with when it is a board's only program, and not one of a PC's.
pub(crate) fn first_alone(board: &Board) -> Settings {
    let mut settings = first(board);
    settings.web.address.set_port(443);
    settings.rtsp.address.set_port(554);
    settings.rtsp.tls_address.set_port(322);
    settings.storage.max_bytes = WHOLE_DISK_BYTES;
    settings
}

/// Every input of the board becomes a channel; what captures nothing begins without channels.
pub(crate) fn first(board: &Board) -> Settings {
    let mut settings = Settings::new();
    let backend = match board.capture {
        CaptureBackend::Sim => "sim",
        CaptureBackend::Gst => "gst",
        CaptureBackend::Himpp => "himpp",
        CaptureBackend::None => return settings,
    };
    let inputs = board.inputs.iter().zip((1..=hal::MAX_CHANNELS).filter_map(ChannelId::new));
    settings.channels = inputs
        .map(|(input, number)| Channel {
            number,
            title: format!("Camera {number}"),
            keep_days: None,
            keep_event_days: None,
            input: Some(Input {
                source: format!("{backend}:{}", input.name),
                clock: true,
                audio: true,
                main: stream(1280, 720, 2_000_000),
                sub: Some(stream(320, 180, 250_000)),
            }),
            camera: None,
        })
        .collect();
    settings
}

fn stream(width: u16, height: u16, bit_rate_bps: u32) -> Stream {
    Stream { codec: VideoCodec::H264, width, height, frame_rate: 15, bit_rate_bps, gop_frames: 30 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    #[test]
    fn every_built_in_board_begins_with_settings_that_are_taken() {
        for name in Board::builtin_names() {
            let board = find(name).unwrap();
            for first in [first(&board), first_alone(&board)] {
                let text = settings::text_for(&first, settings::VERSION).unwrap();
                assert_eq!(settings::parse(name, &text).unwrap(), first, "{name}");
            }
        }
    }

    #[test]
    fn a_board_has_the_usual_ports_to_itself() {
        let first = first_alone(&find("virt-a7").unwrap());
        let ports = [first.web.address, first.rtsp.address, first.rtsp.tls_address].map(|a| a.port());
        assert_eq!(ports, [443, 554, 322]);
        assert_eq!(first.channels.len(), 8);
    }

    #[test]
    fn a_missing_or_bad_board_is_an_error_that_names_it() {
        assert!(find("no-such-board").unwrap_err().to_string().contains("no-such-board"));
        assert!(find("/nowhere/board.toml").unwrap_err().to_string().contains("/nowhere/board.toml"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("board.toml");
        fs::write(&path, "name = 7\n").unwrap();
        let refused = find(&path.display().to_string()).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("{}:1:", path.display())), "{refused}");
    }
}
