//! The ledger's shapes in JSON.
//!
//! docs/ledger.md says what the ledger is. Does not belong here: what an entry's fields mean (crate `ledger`).

use serde::Serialize;
use utoipa::ToSchema;

use crate::time::UtcTime;

/// How far the ledger is signed, for the trust line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrustLedger {
    /// Of the key that signs it; what a proof's key is compared with.
    pub fingerprint: String,
    /// Entries that the last signature vouches for.
    pub size: u64,
    /// The root of these, hexadecimal.
    pub root: String,
    /// When it was signed; null until this run of the recorder signs for the first time.
    #[schema(required)]
    pub signed: Option<UtcTime>,
}

/// A part of the ledger, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Ledger {
    /// Its name, which is that of its key, too; empty while there is no disk for it.
    pub origin: String,
    /// The public key, as a C2SP vkey.
    pub public_key: String,
    /// Of the key.
    pub fingerprint: String,
    /// The last signed checkpoint: a C2SP signed note.
    pub checkpoint: String,
    /// All entries, those behind the checkpoint included.
    pub size: u64,
    /// Some of them.
    pub entries: Vec<LedgerEntry>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LedgerEntry {
    /// Its number, from 0 without a gap.
    pub index: u64,
    /// The entry as it is signed, byte for byte: a line of JSON with `time`, `kind` and the fields of that kind.
    pub leaf: String,
}
