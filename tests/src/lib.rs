//! Drives the program from outside, as a user or a peer would.
//!
//! [`Recorder`] starts the built `candor` on a data folder and free loopback ports of its own; [`Client`] and
//! [`Owner`] are its browser, [`Viewer`] a live view, [`RtspClient`] a player, [`players`] the players that
//! people have. [`Movie`] takes an MP4 apart for comparing. [`Board`] is the same on the emulated board: a flashed
//! image in QEMU, which can be cut off at any write.
//!
//! Does not belong here: tests (`tests/*.rs`), the network camera (crate `test-camera`).
//!
//! Invariant: the recorder's certificate is the one trusted, from its data folder or by the fingerprint on its console;
//! nothing is left unverified.

mod board;
mod board_bundle;
mod board_cuts;
mod board_footage;
mod board_image;
mod board_state;
mod board_sweep;
mod board_update;
mod client;
mod emulator;
mod emulator_console;
mod emulator_line;
mod emulator_log;
mod emulator_storage;
mod fingerprint;
mod flush_footage;
mod flush_points;
mod flush_run;
mod flush_sweep;
mod footage;
pub mod live555;
mod login;
mod media_host;
mod movie;
mod owner;
mod picture;
pub mod players;
mod programs;
mod recorder;
mod replay_client;
mod retina_client;
mod rtsp_client;
mod rtsp_viewer;
mod setup;
mod viewer;
mod wait;
mod write_log;

pub use board::{BOOT_PATIENCE, Board};
pub use board_bundle::{bundle, image_version, made_bundle};
pub use board_cuts::{Kind, Point, chosen_points, every_point};
pub use board_footage::{CutRecording, RecordingCuts, Unflushed, newest_footage};
pub use board_image::{BoardImage, Layout, environment_with, no_emulator, root_that_fails, target};
pub use board_state::{BoardSetup, kept, set_up};
pub use board_sweep::{NEXT_VERSION, Sweep, Verdict, prepared};
pub use board_update::{SETTLE_PATIENCE, Settled, records_again, recover, rename, send_bundle, settle};
pub use client::{Client, Response};
pub use emulator::{Emulator, Machine};
pub use emulator_console::Console;
pub use emulator_log::{Random, Replay, Torn};
pub use emulator_storage::{DISK_BYTES, DiskImage, DiskState, NOR_BYTES, Storage, make_disk};
pub use flush_footage::Footage;
pub use flush_points::{FlushPoint, Mark, chosen_flushes, flush_points};
pub use flush_run::{Acknowledged, RecordedDisk};
pub use flush_sweep::{FlushVerdict, sweep_flushes};
pub use footage::{CAR_CLIP, PEOPLE_CLIP, clip};
pub use media_host::{
    INPUT_RATE, INPUT_SIZE, Kept, MediaHost, MediaSetup, grey_pictures, media_folder, whole_channel,
};
pub use movie::{Movie, Unit, same_units};
pub use owner::{Owner, PASSWORD, USER};
pub use picture::{marks, marks_of};
pub use programs::{Done, finish, program, run};
pub use recorder::{Recorder, STREAM_USER};
pub use replay_client::{PlayedUnit, ReplayClient};
pub use retina_client::{Taken, retina};
pub use rtsp_client::RtspClient;
pub use rtsp_viewer::RtspViewer;
pub use setup::{CameraSetup, ChannelSetup, InputSetup, Setup};
pub use viewer::{Seen, Viewer};
pub use wait::{PATIENCE, Stopwatch, now, until, until_within};
pub use write_log::{Entry, WriteLog};
