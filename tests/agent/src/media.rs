//! A test image's media platform: which stand-in is loaded, what decoders see.
//!
//! The kernel's i2c-stub plays two NVP6134; from the first moment on all their ports have locked to AHD 720p25, as a board's
//! do that is switched on beside its cameras. Tests pull cables later, register by register.

use std::fs::{self, File};
use std::path::Path;

use nix::mount::{MsFlags, mount};

use crate::failure::Failure;
use crate::{i2c, system_calls};

/// In the kernel's command line: the generation of the library that is loaded.
const GENERATION: &str = "candor.mpp=";
/// What the recorder loads, and where the stand-ins of all generations lie.
const LIBRARY: &str = "/lib/mpp/libmpi.so";
const FOLDER: &str = "/lib/mpp";

const MODULE: &str = "/lib/modules/i2c-stub.ko";
/// Two chips with banks of registers that 0xFF chooses.
const CHIPS: &str =
    "chip_addr=0x30,0x32 bank_reg=0xff,0xff bank_mask=0x0f,0x0f bank_start=0,0 bank_end=0xfe,0xfe";
/// Bank 0: chip id, revision, and a bit for each port without a signal.
const IDENTITY: [(u8, u8); 4] = [(0xFF, 0), (0xF4, 0x91), (0xF5, 0), (0xA8, 0)];
/// Bank 5 is port 0's; register 0xF0 says what it has locked to, AHD 720p25, and 0x5C says the same where its colour is AHD's.
const FIRST_PORT_BANK: u8 = 5;
const PORTS: u8 = 4;
const LOCKED: [(u8, u8); 2] = [(0xF0, 0x21), (0x5C, 0x21)];

/// Before the recorder starts; nothing where there is no such platform.
pub(crate) fn prepare() -> Result<(), Failure> {
    if !Path::new(LIBRARY).exists() {
        return Ok(());
    }
    let line = fs::read_to_string("/proc/cmdline")?;
    if let Some(generation) = line.split_whitespace().find_map(|word| word.strip_prefix(GENERATION)) {
        let library = Path::new(FOLDER).join(generation).join("libmpi.so");
        mount(Some(&library), LIBRARY, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        eprintln!("board-agent: the media library is {}", library.display());
    }
    system_calls::load_module(&File::open(MODULE)?, CHIPS)?;
    let bus = i2c::bus_named("SMBus stub driver")?;
    for chip in [0x30, 0x32] {
        let put = |(register, value): (u8, u8)| i2c::register(bus, chip, register, Some(value)).map(drop);
        IDENTITY.into_iter().try_for_each(put)?;
        for port in 0..PORTS {
            [(0xFF, FIRST_PORT_BANK + port)].into_iter().chain(LOCKED).try_for_each(put)?;
        }
    }
    Ok(())
}
