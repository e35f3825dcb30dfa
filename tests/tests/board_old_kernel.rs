//! The recorder on a kernel without the system calls newer than Linux 3.10.
//!
//! A filter stands for the old kernel (`tests/agent`): what the vendors' kernels of 2013 and later have is there,
//! and all else is answered ENOSYS.

use serde_json::json;
use tests::{BOOT_PATIENCE, Board, BoardSetup, DiskState, Layout, no_emulator, records_again, set_up};

#[test]
fn the_recorder_needs_no_system_call_after_linux_3_10() {
    if no_emulator() {
        return;
    }
    let mut board = Board::flashed(Layout::Nor16, DiskState::Formatted);
    set_up(&board, &BoardSetup::default());
    board.add_boot_words("candor.enosys=3.10");
    board.power_on();
    let owner = board.claim();
    records_again(&owner, 1, BOOT_PATIENCE).unwrap();
    // The filter is on: 2 is SECCOMP_MODE_FILTER, for the warden and for what it starts.
    for role in ["warden", "capture", "ingest", "record", "serve"] {
        let status = board.read(&format!("/proc/{}/status", board.process(role)));
        assert!(status.contains("Seccomp:\t2"), "{role}: {status}");
    }
    let seen = board.agent(json!({ "op": "processes" }));
    println!("{} processes run and channel 1 is recorded", seen.as_array().unwrap().len());
}
