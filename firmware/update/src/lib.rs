//! Updates: bundles, signatures, slots and the state log.
//!
//! A bundle is read as it comes in ([`Incoming`]), and only a [`VerifiedBundle`] can be installed. A slot is verified at
//! each start ([`verify_slot`]). What a power cut must not lose is in the [`StateLog`]. The bytes of every format are in
//! docs/update-format.md and docs/state-log.md.
//!
//! No sockets and no clock inside: bytes, flash and the time are given. Does not belong here: the recovery page (`loader`),
//! the API (`web`), who may update (`candor`).

mod boot_state;
mod bundle;
mod canonical;
mod config;
mod decide;
mod envelope;
mod error;
mod hexadecimal;
mod incoming;
mod install;
mod keys;
mod manifest;
mod progress;
mod record;
mod root_document;
mod shelf;
mod slot;
mod start;
mod state_log;
mod target;
mod timestamp;
mod trust;

pub use boot_state::{BootState, Failure, Install, Layout, Outcome, Slot, TRIES, Trial};
pub use bundle::{HEAD_BYTES, MAGIC, build, describe_root};
pub use config::{BOOT, FLOOR, OWNER_KEY, ROOT_KEYS, load_boot_state, load_floor, save_boot_state};
pub use decide::{BundleFile, Decision, Facts, Reason, SlotFact, decide};
pub use envelope::{Envelope, MAX_ENVELOPE_BYTES, MAX_ROOTS};
pub use error::{ErrorKind, UpdateError};
pub use incoming::{Incoming, VerifiedBundle, verify_bundle};
pub use install::{check_idle, confirm, install_slot, reject, stage};
pub use keys::{KeyId, PublicKey, Signature, SignatureBy, SigningKey};
pub use manifest::{FORMAT, Image, ImageRole, MAX_NAME_BYTES, Manifest, ManifestType};
pub use progress::{Progress, Report, Step};
pub use record::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
pub use root_document::{MAX_KEYS, MAX_SIGNATURES, Role, RootDocument, RootType, SignedRoot};
pub use shelf::{Fill, FolderShelf, Shelf};
pub use slot::{SLOT_HEADER_BYTES, SlotWriter, WrittenRoot, max_root_bytes, read_slot, verify_slot};
pub use start::{Machine, Start, Started};
pub use state_log::{MAX_LIVE_BYTES, MAX_LOG_BYTES, OpenReport, StateLog};
pub use target::Target;
pub use timestamp::Timestamp;
pub use trust::{SignedBy, Trust, VerifiedEnvelope, remove_owner_key, set_owner_key};
