//! What a board keeps in its state log, set and seen while it has no power.
//!
//! Does not belong here: the log's format (crate `update`).

use std::fs::File;
use std::os::unix::fs::FileExt;

use board::PartitionRole;
use hal::{ErrorKind, FlashGeometry, HalError, NorFlash};
use update::StateLog;

use crate::board::Board;
use crate::board_image::Layout;
use crate::emulator_storage::NOR_BYTES;

/// Settings that tests give a board before its first boot.
#[derive(Clone, Debug)]
pub struct BoardSetup {
    /// Inputs with a channel each.
    pub channels: u16,
    /// Whose they are and what they are called, but for their number: `sim:sim`.
    pub inputs: &'static str,
    /// Of their main streams.
    pub width: u16,
    /// Of their main streams.
    pub height: u16,
    /// Of their main streams.
    pub bit_rate_bps: u32,
    /// Whether plain RTSP is served.
    pub rtsp: bool,
    /// Where the time comes from.
    pub ntp_servers: Vec<String>,
    /// Whether the first alarm input switches the relay, and for how long.
    pub alarm_sec: Option<u32>,
    /// A segment's size; 4 segments are the least.
    pub segment_bytes: u32,
    /// What all segments may take; the disk itself has a say, too.
    pub max_bytes: u64,
}

impl Default for BoardSetup {
    fn default() -> Self {
        Self {
            channels: 2,
            inputs: "sim:sim",
            width: 640,
            height: 360,
            bit_rate_bps: 400_000,
            rtsp: false,
            ntp_servers: Vec::new(),
            alarm_sec: None,
            segment_bytes: 64 << 20,
            max_bytes: 1 << 50,
        }
    }
}

impl BoardSetup {
    /// The settings' text (docs/settings.md).
    fn text(&self) -> String {
        let mut text = format!(
            "version = 2\nname = \"Test\"\n[web]\naddress = \"0.0.0.0:443\"\n[rtsp]\nenabled = {}\n\
             address = \"0.0.0.0:554\"\ntls_address = \"0.0.0.0:322\"\n[storage]\nmax_bytes = {}\n\
             segment_bytes = {}\n[time]\nntp_servers = {:?}\n",
            self.rtsp, self.max_bytes, self.segment_bytes, self.ntp_servers
        );
        if let Some(seconds) = self.alarm_sec {
            text += &format!("[[alarm]]\ninput = \"alarm1\"\nrelay = \"relay1\"\nrelay_sec = {seconds}\n");
        }
        for number in 1..=self.channels {
            let stream = |width, height, bit_rate: u32| {
                format!(
                    "{{ codec = \"h264\", width = {width}, height = {height}, frame_rate = 15, \
                     bit_rate_bps = {bit_rate}, gop_frames = 15 }}"
                )
            };
            text += &format!(
                "[[channel]]\nnumber = {number}\ntitle = \"Camera {number}\"\n[channel.input]\n\
                 source = \"{}{}\"\nmain = {}\nsub = {}\n",
                self.inputs,
                number - 1,
                stream(self.width, self.height, self.bit_rate_bps),
                stream(320, 180, 150_000),
            );
        }
        text
    }
}

/// Gives a board without power these settings.
///
/// # Panics
/// When its state log cannot be written.
pub fn set_up(board: &Board, setup: &BoardSetup) {
    let mut log = state_log(board);
    log.set("settings-v2", setup.text().as_bytes()).expect("the state log takes settings");
}

/// A value that a board without power keeps.
///
/// # Panics
/// When its state log cannot be read.
#[must_use]
pub fn kept(board: &Board, key: &str) -> Option<Vec<u8>> {
    state_log(board).get(key).map(<[u8]>::to_vec)
}

fn state_log(board: &Board) -> StateLog<FileFlash> {
    let place = board.layout().partition(PartitionRole::State).expect("a state partition");
    let file =
        File::options().read(true).write(true).open(board.storage().path()).expect("the storage is there");
    let (start, length) = (u32::try_from(place.start), u32::try_from(place.end - place.start));
    let (Ok(start), Ok(length)) = (start, length) else { panic!("a chip of this size has no such place") };
    StateLog::open(FileFlash(file), start, length).expect("a state log").0
}

/// A chip's image, as a chip.
struct FileFlash(File);

impl NorFlash for FileFlash {
    fn geometry(&self) -> FlashGeometry {
        FlashGeometry { size: NOR_BYTES as u32, erase_block: Layout::ERASE_BLOCK as u32 }
    }

    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), HalError> {
        self.0.read_exact_at(into, offset.into()).map_err(failed)
    }

    fn program(&mut self, offset: u32, data: &[u8]) -> Result<(), HalError> {
        let mut old = vec![0; data.len()];
        self.read(offset, &mut old)?;
        let both: Vec<u8> = old.iter().zip(data).map(|(old, new)| old & new).collect();
        self.0.write_all_at(&both, offset.into()).map_err(failed)
    }

    fn erase(&mut self, offset: u32, length: u32) -> Result<(), HalError> {
        self.0.write_all_at(&vec![0xff; length as usize], offset.into()).map_err(failed)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
fn failed(error: std::io::Error) -> HalError {
    HalError::new(ErrorKind::Device, format!("the chip's image: {error}"))
}
