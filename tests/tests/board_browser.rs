//! A real browser claims the emulated board through a forwarded port.
//!
//! Does not belong here: what the browser does there (`tests/browser/board/`).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests::{BOOT_PATIENCE, Board, BoardSetup, DiskState, Layout, no_emulator, run, set_up};

#[test]
fn a_browser_claims_the_board_and_sees_a_moving_picture() {
    if no_emulator() {
        return;
    }
    let mut board = Board::flashed(Layout::Nor64, DiskState::Formatted);
    set_up(&board, &BoardSetup::default());
    board.power_on();
    let _ = board.client();
    let code = board.setup_code();
    let mut command = Command::new("npx");
    command.args(["playwright", "test", "-c", "board.config.mjs"]);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("browser"));
    command.env("BOARD_URL", format!("https://127.0.0.1:{}", board.web_port())).env("SETUP_CODE", code);
    let done = run(BOOT_PATIENCE + Duration::from_secs(600), &mut command);
    println!("{}", done.text());
    assert!(done.status.success(), "{}{}", done.text(), done.stderr);
}
