//! What an emulated board survives: hangs, wrong clocks, disks that go.

use std::io;
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use nix::libc::SIGSTOP;
use serde_json::{Value, json};
use tests::{
    BOOT_PATIENCE, Board, BoardSetup, DiskState, Layout, Owner, make_disk, no_emulator, now, records_again,
    rename, set_up, settle, until_within,
};

fn started(setup: &BoardSetup, disk: DiskState) -> (Board, Owner) {
    let mut board = Board::flashed(Layout::Nor64, disk);
    set_up(&board, setup);
    board.power_on();
    let owner = board.claim();
    (board, owner)
}

#[test]
fn a_hung_board_is_reset_by_its_watchdog() {
    if no_emulator() {
        return;
    }
    let (mut board, owner) = started(&BoardSetup::default(), DiskState::Formatted);
    records_again(&owner, 1, BOOT_PATIENCE).unwrap();

    // A role that hangs is the warden's to end, well before the watchdog would.
    let hung = now();
    board.agent(json!({ "op": "signal", "pid": board.process("record"), "signal": SIGSTOP }));
    until_within(BOOT_PATIENCE, "the role that hangs to be started again", || {
        let roles = owner.try_get("/system")?["roles"].clone();
        let record = roles.as_array()?.iter().find(|role| role["role"] == "record")?.clone();
        (record["restarts"] == 1 && record["state"] == "running").then_some(())
    });
    records_again(&owner, 1, BOOT_PATIENCE).unwrap();
    println!("record hung: recorded again after {} s", (now() - hung).get_seconds());

    // The warden itself is the watchdog's.
    let hung = now();
    board.forget_console();
    board.agent(json!({ "op": "hold", "pid": board.process("warden") }));
    board.wait_console("Booting Linux", BOOT_PATIENCE);
    println!("warden hung: the board booted again after {} s", (now() - hung).get_seconds());
    let settled = settle(&board, BOOT_PATIENCE * 2).unwrap();
    records_again(&settled.owner, 1, BOOT_PATIENCE).unwrap();
    println!("warden hung: recorded again after {} s", (now() - hung).get_seconds());
}

#[test]
fn a_wrong_clock_costs_no_footage_and_is_put_right() {
    if no_emulator() {
        return;
    }
    let setup = BoardSetup { ntp_servers: vec![HOST.to_owned()], ..BoardSetup::default() };
    let server = TimeServer::start();
    let (board, owner) = started(&setup, DiskState::Formatted);
    records_again(&owner, 1, BOOT_PATIENCE).unwrap();

    if server {
        // It is in another year; whoever asks it goes there.
        until_within(BOOT_PATIENCE, "the board to take the server's time", || {
            (clock_ms(&board) > now().as_millisecond() + AHEAD.as_millis() as i64 / 2).then_some(())
        });
        println!("the board asked the time server and is where that says");
        recorded_now(&board, &owner);
    }
    for step in [DAY_MS, -3 * DAY_MS] {
        let to = clock_ms(&board) + step;
        board.agent(json!({ "op": "set_clock", "unix_ms": to }));
        recorded_now(&board, &owner);
        println!("a step of {} days: recorded at the new time", step / DAY_MS);
    }
    let roles = owner.get("/system")["roles"].clone();
    for role in roles.as_array().unwrap() {
        assert_eq!(role["state"], "running", "{roles}");
    }
}

const DAY_MS: i64 = 24 * 3600 * 1000;
/// How far the test's time server is ahead of the truth.
const AHEAD: Duration = Duration::from_secs(400 * 24 * 3600);

fn clock_ms(board: &Board) -> i64 {
    board.agent(json!({ "op": "clock" }))["unix_ms"].as_i64().unwrap()
}

/// Waits for footage of the time that the board has just now.
fn recorded_now(board: &Board, owner: &Owner) {
    let from = clock_ms(board);
    until_within(BOOT_PATIENCE, "footage at the board's new time", || {
        let time = |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap();
        let path = format!("/timeline?start={:.3}&end={:.3}&channel=1", time(from), time(from + 600_000));
        let timeline = owner.try_get(&path)?;
        (!timeline["channels"][0]["runs"].as_array()?.is_empty()).then_some(())
    });
}

/// An SNTP server (RFC 4330) that is [`AHEAD`] of its time, where the board sees this machine.
struct TimeServer;

/// The network's other end, as QEMU shows it to the board.
const HOST: &str = "10.0.2.2";
/// From the NTP era, 1900, to 1970.
const ERA_SECONDS: i64 = 2_208_988_800;

impl TimeServer {
    /// Whether it could be started: its port is for privileged programs.
    fn start() -> bool {
        match UdpSocket::bind(("127.0.0.1", 123)) {
            Ok(socket) => {
                thread::spawn(move || serve_time(&socket));
                true
            }
            Err(error) => {
                println!("NOT TESTED: a time server needs port 123 of this machine: {error}");
                false
            }
        }
    }
}

fn serve_time(socket: &UdpSocket) -> io::Result<()> {
    let mut request = [0; 256];
    loop {
        let (count, peer) = socket.recv_from(&mut request)?;
        if count < 48 {
            continue;
        }
        let time = (now() + AHEAD).as_millisecond();
        let seconds = (time.div_euclid(1000) + ERA_SECONDS) as u32;
        let fraction = ((time.rem_euclid(1000) << 32) / 1000) as u32;
        let stamp = (u64::from(seconds) << 32 | u64::from(fraction)).to_be_bytes();
        let mut answer = [0; 48];
        // No leap second, the version that was asked with, server; stratum 1; a poll of 64 s; microseconds.
        answer[..4].copy_from_slice(&[request[0] & 0x38 | 4, 1, 6, 0xec]);
        answer[12..16].copy_from_slice(b"TEST");
        answer[16..24].copy_from_slice(&stamp);
        answer[24..32].copy_from_slice(&request[40..48]);
        answer[32..40].copy_from_slice(&stamp);
        answer[40..48].copy_from_slice(&stamp);
        socket.send_to(&answer, peer)?;
    }
}

#[test]
fn a_disk_that_goes_is_missed_and_a_blank_one_in_its_place_is_used() {
    if no_emulator() {
        return;
    }
    let mut board = Board::flashed(Layout::Nor64, DiskState::Formatted);
    set_up(&board, &BoardSetup::default());
    let spare = board.dir().join("spare.img");
    make_disk(&spare, DiskState::Blank);
    board.machine().disks.push(spare);
    board.power_on();
    let owner = board.claim();
    records_again(&owner, 1, BOOT_PATIENCE).unwrap();

    // Only the first is plugged in so far.
    let host = host_of(&board, "sdb");
    unplug(&board, "sdb");
    let oldest = oldest(&owner).unwrap();
    unplug(&board, "sda");
    until_within(BOOT_PATIENCE, "the disk to be missed", || {
        let state = owner.try_get("/system")?["disks"][0]["state"].clone();
        println!("the disk is {state}");
        (state == "missing" || state == "failed").then_some(())
    });
    for role in owner.get("/system")["roles"].as_array().unwrap() {
        assert_eq!(role["state"], "running", "without its disk: {role}");
    }
    board.agent(
        json!({ "op": "write", "path": format!("/sys/class/scsi_host/{host}/scan"), "text": "- - -" }),
    );
    records_again(&owner, 1, BOOT_PATIENCE).unwrap();
    let first = until_within(BOOT_PATIENCE, "the new disk's oldest footage", || self::oldest(&owner));
    // The rings still held the last seconds: the new disk begins with those, and with nothing before them.
    assert!(first >= oldest, "footage of the disk that is gone is still listed");
    assert_eq!(owner.get("/system")["disks"][0]["state"], "ok");
}

#[test]
fn a_disk_that_takes_no_writes_is_left_for_the_other_one_and_comes_back() {
    if no_emulator() {
        return;
    }
    let mut board = Board::flashed(Layout::Nor64, DiskState::Formatted);
    set_up(&board, &BoardSetup::default());
    let second = board.dir().join("second.img");
    make_disk(&second, DiskState::Formatted);
    board.machine().disks.push(second);
    board.power_on();
    let owner = board.claim();
    let states = || -> Option<Vec<(String, String)>> {
        let system = owner.try_get("/system")?;
        let text = |disk: &Value, name: &str| disk[name].as_str().unwrap_or_default().to_owned();
        Some(
            system["disks"]
                .as_array()?
                .iter()
                .map(|disk| (text(disk, "device"), text(disk, "state")))
                .collect(),
        )
    };
    let both_well = || {
        let states = states()?;
        println!("{states:?}");
        (states.len() == 2 && states.iter().all(|(_, state)| state == "ok")).then_some(())
    };
    until_within(BOOT_PATIENCE, "both disks to take footage", both_well);
    for channel in [1, 2] {
        records_again(&owner, channel, BOOT_PATIENCE).unwrap();
    }

    let since = now();
    let machine = board.machine().clone();
    board.emulator().fail_writes(&machine, true);
    until_within(BOOT_PATIENCE, "the disk that fails to be told of", || {
        let states = states()?;
        println!("{states:?}");
        let unwell = |device: &str| states.iter().any(|(of, state)| of == device && state != "ok");
        (unwell("sda") && !unwell("sdb")).then_some(())
    });
    println!("told of after {} s", (now() - since).get_seconds());
    for channel in [1, 2] {
        records_again(&owner, channel, BOOT_PATIENCE).unwrap();
    }
    println!("all channels recorded again after {} s", (now() - since).get_seconds());

    board.emulator().fail_writes(&machine, false);
    until_within(BOOT_PATIENCE, "the disk to be taken again", both_well);
    println!("in use again after {} s", (now() - since).get_seconds());
    for channel in [1, 2] {
        records_again(&owner, channel, BOOT_PATIENCE).unwrap();
    }
    for role in owner.get("/system")["roles"].as_array().unwrap() {
        assert_eq!((&role["state"], &role["restarts"]), (&json!("running"), &json!(0)), "{role}");
    }
}

/// The kernel lets go of a disk as when its cable is pulled; QEMU's AHCI has no cable to pull.
fn unplug(board: &Board, disk: &str) {
    board.agent(json!({ "op": "write", "path": format!("/sys/block/{disk}/device/delete"), "text": "1" }));
    until_within(BOOT_PATIENCE, "the disk to be gone", || {
        let disks = board.agent(json!({ "op": "list", "path": "/sys/block" }));
        (!disks.as_array()?.iter().any(|name| name == disk)).then_some(())
    });
}

/// The SCSI host that a disk hangs on: `host1`.
fn host_of(board: &Board, disk: &str) -> String {
    let places =
        board.agent(json!({ "op": "list", "path": format!("/sys/block/{disk}/device/scsi_device") }));
    let place = places[0].as_str().unwrap().to_owned();
    format!("host{}", place.split(':').next().unwrap())
}

fn oldest(owner: &Owner) -> Option<jiff::Timestamp> {
    let hour = Duration::from_secs(3600);
    let path = format!("/timeline?start={:.3}&end={:.3}&channel=1", now() - hour, now() + hour);
    owner.try_get(&path)?["channels"][0]["oldest"].as_str()?.parse().ok()
}

#[test]
fn a_full_disk_gives_up_its_oldest_footage_and_goes_on() {
    if no_emulator() {
        return;
    }
    const SEGMENT: u32 = 4 << 20;
    let setup = BoardSetup { bit_rate_bps: 6_000_000, segment_bytes: SEGMENT, ..BoardSetup::default() };
    let (board, owner) = started(&setup, DiskState::Formatted);
    let first = until_within(BOOT_PATIENCE, "footage", || oldest(&owner));
    // All but room for a few segments more is somebody else's.
    let free = board.agent(json!({ "op": "space", "path": "/data" }))["free"].as_u64().unwrap();
    let filler = free.saturating_sub(6 * u64::from(SEGMENT));
    board.agent(json!({ "op": "allocate", "path": "/data/somebody-elses", "bytes": filler }));
    until_within(BOOT_PATIENCE * 2, "the oldest footage to be given up", || {
        oldest(&owner).filter(|oldest| *oldest > first)
    });
    records_again(&owner, 1, BOOT_PATIENCE).unwrap();
    let free = board.agent(json!({ "op": "space", "path": "/data" }))["free"].as_u64().unwrap();
    println!("{free} bytes are free; recording goes on");
}

/// The line of the factory-reset button, low while it is pressed.
const BUTTON: u32 = 4;

#[test]
fn the_button_makes_the_board_nobodys_and_keeps_the_footage() {
    if no_emulator() {
        return;
    }
    let (mut board, owner) = started(&BoardSetup::default(), DiskState::Formatted);
    rename(&owner, "Somebody's");
    records_again(&owner, 1, BOOT_PATIENCE).unwrap();
    let first = oldest(&owner).unwrap();
    let press =
        |board: &Board, down: bool| board.agent(json!({ "op": "gpio_pull", "line": BUTTON, "up": !down }));

    // Let go of after the warning: nothing happens.
    press(&board, true);
    board.wait_console("The button is held", BOOT_PATIENCE);
    press(&board, false);
    board.wait_console("The button was let go of", BOOT_PATIENCE);
    assert_eq!(owner.get("/settings")["name"], "Somebody's");

    board.forget_console();
    press(&board, true);
    board.wait_console("Booting Linux", BOOT_PATIENCE);
    let owner = board.claim();
    assert_ne!(owner.get("/settings")["name"], "Somebody's");
    records_again(&owner, 1, BOOT_PATIENCE).unwrap();
    assert_eq!(oldest(&owner), Some(first), "the footage from before is gone");
}
