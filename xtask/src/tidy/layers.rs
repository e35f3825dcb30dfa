//! Crates use only what lies below them: docs/architecture.md's table as data.

use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::workspace::Failure;

/// Each crate with those of ours that it may use. Tests may use more: they are not built into the program.
const LAYERS: &[(&str, &[&str])] = &[
    ("board", &[]),
    ("web", &[]),
    ("hal", &["board"]),
    ("hal-sim", &["board", "hal"]),
    ("hal-gst", &["board", "hal"]),
    ("hal-linux", &["board", "hal"]),
    ("mpp-abi", &[]),
    ("mpp-wire", &[]),
    // A second program: the only one that loads the vendor's library.
    ("mpp-host", &["mpp-abi", "mpp-wire"]),
    // A library that stands between the vendor's and the C library, loaded before both.
    ("mpp-shim", &[]),
    ("hal-himpp", &["board", "hal", "mpp-abi", "mpp-wire"]),
    ("media", &["hal"]),
    ("bus", &["hal"]),
    ("auth", &["hal"]),
    ("ledger", &["hal"]),
    ("evidence", &["media", "ledger", "hal"]),
    // A second program, for browsers: the verifier alone.
    ("verify-page", &["evidence"]),
    // And a third: the same on a command line, for who has no recorder.
    ("verifier", &["evidence"]),
    ("store", &["evidence", "media", "ledger", "hal"]),
    ("rtsp", &["bus", "media", "auth", "hal"]),
    ("live", &["bus", "media", "hal"]),
    ("ingest", &["bus", "media", "hal"]),
    ("update", &["board", "hal"]),
    ("system", &["board", "hal"]),
    ("probe", &["board"]),
    ("recorder", &["bus", "store", "hal"]),
    // A second program: what starts before the root is trusted holds as little as it can.
    ("loader", &["board", "hal", "hal-linux", "auth", "update", "system"]),
    (
        "candor",
        &[
            "board",
            "web",
            "hal",
            "hal-sim",
            "hal-gst",
            "hal-linux",
            "hal-himpp",
            "media",
            "bus",
            "auth",
            "ledger",
            "evidence",
            "verifier",
            "store",
            "rtsp",
            "live",
            "ingest",
            "update",
            "system",
            "probe",
            "recorder",
        ],
    ),
    // Beside the firmware: what drives and measures it.
    ("test-camera", &[]),
    ("board-agent", &["hal", "hal-linux"]),
    ("standin-mpi", &["mpp-abi", "hal", "hal-sim"]),
    (
        "tests",
        &["board", "hal", "hal-sim", "mpp-wire", "web", "test-camera", "auth", "bus", "ledger", "update"],
    ),
    ("xtask", &["board", "probe", "update", "auth", "hal", "hal-sim", "bus", "store", "recorder"]),
];

/// A line for each crate that is not in the table and each arrow that it does not allow.
pub(super) fn check(root: &Path) -> Result<Vec<String>, Failure> {
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec()?;
    let ours: Vec<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let mut breaches = Vec::new();
    for package in &metadata.packages {
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == package.name.as_str()) else {
            breaches.push(format!("{}: this crate has no place in xtask/src/tidy/layers.rs", package.name));
            continue;
        };
        let used = package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development);
        for dependency in used.filter(|d| ours.contains(&d.name.as_str())) {
            if !allowed.contains(&dependency.name.as_str()) {
                breaches
                    .push(format!("{} uses {}, which does not lie below it", package.name, dependency.name));
            }
        }
    }
    Ok(breaches)
}
