//! Updates of emulated boards, on both layouts: good, bad, none that starts.

use board::PartitionRole;
use tests::{
    BOOT_PATIENCE, Board, BoardImage, BoardSetup, DiskState, Layout, NEXT_VERSION, Owner, SETTLE_PATIENCE,
    bundle, image_version, made_bundle, no_emulator, records_again, recover, rename, root_that_fails,
    send_bundle, set_up, settle,
};

const NAME: &str = "Cellar";

fn started(layout: Layout) -> (Board, Owner) {
    let mut board = Board::flashed(layout, DiskState::Formatted);
    set_up(&board, &BoardSetup::default());
    board.power_on();
    let owner = board.claim();
    rename(&owner, NAME);
    records_again(&owner, 1, BOOT_PATIENCE).unwrap();
    (board, owner)
}

/// Sends a bundle that must be taken, waits for its end, and returns what runs then and how the board says it went.
fn update(board: &mut Board, owner: &Owner, bytes: &[u8]) -> (String, String) {
    let fingerprint = board.fingerprint();
    board.forget_console();
    let answer = send_bundle(owner, bytes);
    assert_eq!(answer.status, 202, "{answer:?}");
    let settled = settle(board, SETTLE_PATIENCE).unwrap();
    println!("settled after {:.0} s: {}", settled.after.as_secs_f64(), settled.update["last"]);
    assert_eq!(board.fingerprint(), fingerprint, "the recorder's identity changed");
    assert_eq!(settled.owner.get("/settings")["name"], NAME);
    records_again(&settled.owner, 1, BOOT_PATIENCE).unwrap();
    (settled.version().to_owned(), settled.outcome().to_owned())
}

fn good_then_bad(layout: Layout) {
    if no_emulator() {
        return;
    }
    let (mut board, owner) = started(layout);
    let root = BoardImage::find().file("root.squashfs");
    assert_eq!(
        update(&mut board, &owner, &bundle(NEXT_VERSION, &root)),
        (NEXT_VERSION.into(), "good".into())
    );

    let failing = root_that_fails(&root, board.dir());
    let owner = board.sign_in();
    let outcome = update(&mut board, &owner, &bundle("0.1.2", &failing));
    assert_eq!(outcome, (NEXT_VERSION.into(), "rolled_back".into()));
}

/// Both slots hold nothing that verifies: the stage's own page takes a bundle, from whoever stands before the board.
fn nothing_starts(layout: Layout) {
    if no_emulator() {
        return;
    }
    let (mut board, _) = started(layout);
    let fingerprint = board.fingerprint();
    board.cut();
    for role in [PartitionRole::Main, PartitionRole::MainB] {
        if let Some(slot) = layout.partition(role) {
            // A root with one wrong byte in its middle: its header still verifies, its hash does not.
            let place = slot.start + (1 << 20);
            let wrong = !board.storage().nor(place, 1)[0];
            board.storage().put_nor(place, &[wrong]);
        }
    }
    board.power_on();
    recover(&board, &made_bundle());
    board.forget_console();
    let settled = settle(&board, SETTLE_PATIENCE).unwrap();
    assert_eq!(settled.version(), image_version());
    assert_eq!(board.fingerprint(), fingerprint, "the recorder's identity changed");
    assert_eq!(settled.owner.get("/settings")["name"], NAME);
    records_again(&settled.owner, 1, BOOT_PATIENCE).unwrap();
}

#[test]
fn a_board_with_one_broken_slot_is_recovered_through_its_page() {
    nothing_starts(Layout::Nor16);
}

#[test]
fn a_board_with_two_broken_slots_is_recovered_through_its_page() {
    nothing_starts(Layout::Nor64);
}

#[test]
fn one_slot_takes_a_good_update_and_gets_back_from_a_bad_one() {
    good_then_bad(Layout::Nor16);
}

#[test]
fn two_slots_take_a_good_update_and_get_back_from_a_bad_one() {
    good_then_bad(Layout::Nor64);
}
