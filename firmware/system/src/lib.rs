//! What a board needs around recording: network, time, disks, alarm contacts.
//!
//! Decisions are pure and take the time as an argument (`dhcp`, `alarm`, `button`, `ptz_line`); what touches the system is
//! small and beside them (`socket`, `sntp`, `mount`, `power`).
//!
//! Does not belong here: threads and when things are done (the warden's), and ioctls (`hal-linux`).

mod alarm;
mod button;
mod dhcp;
mod disks;
mod error;
mod links;
mod mount;
mod pelco_d;
mod pelco_p;
mod power;
mod ptz;
mod ptz_line;
mod ptz_protocol;
mod seed;
mod sntp;
mod socket;
mod usb;

pub use alarm::{DEBOUNCE, DebouncedInput, TimedRelay};
pub use button::{ACT_AFTER, ButtonAct, HeldButton, WARN_AFTER};
pub use dhcp::{DhcpAct, DhcpClient, Lease};
pub use disks::{Bus, Content, Disk, DiskPlaces, LABEL_PREFIX};
pub use error::{ErrorKind, SystemError};
pub use links::{Link, LinkPlaces};
pub use mount::{FILE_SYSTEM, detach, mount_disk, unmount};
pub use pelco_d::{PelcoDAnswer, PelcoDQuestion};
pub use pelco_p::PELCO_P_ACKNOWLEDGED;
pub use power::{PowerAct, end};
pub use ptz::{Focus, Iris, Preset, PtzAddress, PtzCommand, PtzMove, PtzSpeed, Zoom};
pub use ptz_line::{MAX_WAITING_PRESETS, PTZ_FRAME_GAP, PTZ_HOLD, PtzPort, PtzQueue};
pub use ptz_protocol::{MAX_PTZ_FRAME_BYTES, PtzFrame, PtzProtocol};
pub use seed::{SEED_BLOCK_BYTES, SEED_MAGIC, SEED_VERSION, sow};
pub use sntp::{ask_time, ask_time_at, set_clock};
pub use socket::DhcpSocket;
pub use usb::{BundleFile, bundles, mount_stick, open_bundle};
