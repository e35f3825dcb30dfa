//! The command line, as design.md fixes it.
//!
//! Only shapes and words for `--help`; what a command does is in the file of its name.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;

use crate::role::Role;
use crate::version;

/// Recorder firmware that its owner can audit.
#[derive(Debug, Parser)]
#[command(name = "candor", version = version::line())]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the recorder in the foreground
    Run(RunArgs),
    /// One role of the recorder; started by `candor run`
    #[command(hide = true)]
    Role {
        /// Which one
        role: Role,
    },
    /// Look after a volume of footage while the recorder is off
    #[command(subcommand)]
    Store(StoreCommand),
    /// Write a range of footage to an MP4 file, or a zip of several
    Export(ExportArgs),
    /// Say whether an exported file is what a recorder recorded, all of it; exits with 1 unless it is
    Verify(verifier::VerifyArgs),
    /// Verify a bundle of new software, or install it
    #[command(subcommand)]
    Update(UpdateCommand),
    /// Say what the board is that this runs on, and draft a description of it; only reads
    Probe(ProbeArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// A built-in board's name, or a board description file
    #[arg(long, default_value = "pc")]
    pub(crate) board: String,
    /// Where settings, accounts and footage are kept
    #[arg(long, default_value = "data")]
    pub(crate) data: PathBuf,
    /// The settings file [default: DATA/settings.toml]
    #[arg(long)]
    pub(crate) settings: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Read everything back and report damage; exits with 1 when there is any
    Check {
        /// The recorder's data folder, or a volume in it
        dir: PathBuf,
        #[command(flatten)]
        recovery: RecoveryArgs,
    },
    /// Make the index anew from the segments
    RebuildIndex {
        /// The recorder's data folder, or a volume in it
        dir: PathBuf,
    },
    /// Put right what a crash or a power cut left, as the recorder does when it starts; exits with 1 when there is damage
    Recover {
        /// The recorder's data folder, or a volume in it
        dir: PathBuf,
    },
    /// List what is recorded
    List {
        /// Every chunk with the SHA-256 of its header, in the order of writing
        #[arg(long)]
        chunks: bool,
        /// The recorder's data folder, or a volume in it
        dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UpdateCommand {
    /// Say what a bundle is and whether it is to be trusted; exits with 1 unless it is good
    Verify(VerifyArgs),
    /// Install a bundle on the recorder that runs here
    Install(InstallArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The bundle
    pub(crate) bundle: PathBuf,
    /// The board that it must be for [default: this one, or any]
    #[arg(long)]
    pub(crate) board: Option<String>,
    /// The root document to begin with [default: this board's]
    #[arg(long)]
    pub(crate) root_keys: Option<PathBuf>,
    /// An Ed25519 public key of yours whose signature counts, too, in hexadecimal
    #[arg(long)]
    pub(crate) owner_key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// The bundle
    pub(crate) bundle: PathBuf,
    /// An older version is meant
    #[arg(long)]
    pub(crate) downgrade: bool,
    /// Where the recorder has its sockets
    #[arg(long, default_value = "/run/candor")]
    pub(crate) run_dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// Where the system is that is looked at
    #[arg(long, default_value = "/")]
    pub(crate) root: PathBuf,
    /// All of it as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Read a byte at the addresses where decoders and clocks live, on each I2C bus of this system
    #[arg(long)]
    pub(crate) i2c: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The recorder's data folder, or a volume; several are read as one
    #[arg(long, required = true)]
    pub(crate) data: Vec<PathBuf>,
    /// The channel's number; several go into one file
    #[arg(long, required = true)]
    pub(crate) channel: Vec<u16>,
    /// The first moment, such as 2026-11-20T14:10:00Z
    #[arg(long)]
    pub(crate) start: Timestamp,
    /// The moment after the last
    #[arg(long)]
    pub(crate) end: Timestamp,
    /// The file to write: .mp4 with a track for each stream, or .zip with an .mp4 for each channel; it must not exist yet
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) recovery: RecoveryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RecoveryArgs {
    /// A file with the recovery key of an encrypted volume, or - for standard input [default: the data folder's own key]
    #[arg(long, value_name = "FILE")]
    pub(crate) recovery_key: Option<PathBuf>,
}
