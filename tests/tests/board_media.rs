//! The emulated board with a vendor's media platform, one boot a generation.
//!
//! Eight channels are recorded and played; a cable is pulled, something moves, the library crashes. The decoders are the
//! kernel's i2c-stub, the library is chosen on the kernel's command line.

use serde_json::{Value, json};
use tests::players::{Transport, ffmpeg};
use tests::{
    BOOT_PATIENCE, Board, BoardImage, BoardSetup, DiskState, Layout, Owner, no_emulator, set_up, until_within,
};

const CHANNELS: u16 = 8;
/// As crate `board`'s description of it: memory of all roles beside the rings, KiB.
const RESIDENT_KIB: u64 = 48 * 1024;
/// The user that mpp-host becomes (board/boards/virt-mpp.toml).
const MEDIA_USER: &str = "990";
/// The second decoder, and its register of ports without a signal.
const DECODER: u8 = 0x32;
const NO_SIGNAL: u8 = 0xA8;
const SIGKILL: i32 = 9;

#[test]
fn the_first_generation_records_plays_and_recovers() {
    life("g1", "Hi3520D_MPP_V2.0.5.1");
}

#[test]
fn the_second_generation_records_plays_and_recovers() {
    life("g2", "Hi3521A_MPP_V1.0.5.0");
}

#[test]
fn the_third_generation_records_plays_and_recovers() {
    life("g3", "Hi3531D_MPP_V1.0.5.0");
}

fn life(generation: &str, version: &str) {
    if no_emulator() {
        return;
    }
    let mut board = Board::flashed_with(&BoardImage::with_media(), Layout::Nor64, DiskState::Formatted);
    let setup = BoardSetup { channels: CHANNELS, inputs: "himpp:video", rtsp: true, ..BoardSetup::default() };
    set_up(&board, &setup);
    board.add_boot_words(&format!("candor.mpp={generation}"));
    board.power_on();
    let owner = board.claim();

    section("every channel has a picture and is recorded");
    for channel in 1..=CHANNELS {
        wait_state(&owner, channel, "ok");
    }
    owner.wait_recording_goes_on(&(1..=CHANNELS).collect::<Vec<_>>());
    section("the library is the one asked for");
    board.wait_console(version, BOOT_PATIENCE);
    section("RTSP");
    rtsp(&board, &owner);
    section("mpp-host is confined");
    confined(&board);
    section("memory of all roles and mpp-host");
    memory(&board);
    section("something moves");
    moves(&owner);
    section("a cable is pulled and put back");
    cable(&board, &owner);
    section("the library crashes");
    crash(&board, &owner);
    section("nothing was done that the library calls a mistake");
    assert_eq!(board.said("VIOLATION"), None);
}

fn section(name: &str) {
    println!("-- {name}");
}

fn wait_state(owner: &Owner, channel: u16, code: &str) -> Value {
    attempt_until_state(owner, channel, code, || ())
}

fn attempt_until_state(owner: &Owner, channel: u16, code: &str, attempt: impl Fn()) -> Value {
    let mut before = None;
    until_within(BOOT_PATIENCE, &format!("channel {channel} to be {code}"), || {
        attempt();
        let now = owner.channel(channel);
        // What it was instead, should it be in vain; nothing where there is no answer.
        let is = now.as_ref().map(|channel| channel["state"]["code"].clone());
        if before.as_ref() != Some(&is) {
            println!("channel {channel}: {is:?}");
            before = Some(is);
        }
        now.filter(|channel| channel["state"]["code"] == code)
    })
}

fn rtsp(board: &Board, owner: &Owner) {
    let answer = owner.ask(&http::Method::POST, "/stream-keys", json!({ "name": "player" }).to_string());
    assert_eq!(answer.status, 201, "{answer:?}");
    let key = answer.json()["key"].as_str().unwrap().to_owned();
    for (channel, stream) in [(1, "main"), (CHANNELS, "sub")] {
        let url = format!("rtsp://player:{key}@127.0.0.1:{}/ch{channel}/{stream}", board.rtsp_port());
        // A board that shares its machine's cores may be slow for a while; it must not stay so.
        let frames = until_within(BOOT_PATIENCE, "20 frames in 3 s", || {
            Some(ffmpeg(&url, Transport::Tcp, 3)).filter(|frames| *frames >= 20)
        });
        println!("ffmpeg decoded {frames} frames of channel {channel}'s {stream} stream in 3 s");
    }
}

fn host(board: &Board) -> i64 {
    let is =
        |process: &&Value| process["command"].as_str().is_some_and(|command| command.contains("mpp-host"));
    until_within(BOOT_PATIENCE, "mpp-host", || board.processes().iter().find(is)?["pid"].as_i64())
}

/// Its own user, no network, the list of system calls, no new privileges: all that this kernel has.
fn confined(board: &Board) {
    let pid = host(board);
    let status = board.read(&format!("/proc/{pid}/status"));
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(field("Uid:").iter().all(|user| user == MEDIA_USER), "{status}");
    assert!(field("Gid:").iter().all(|group| group == MEDIA_USER), "{status}");
    assert_eq!(field("CapEff:"), ["0000000000000000"], "{status}");
    assert_eq!(field("NoNewPrivs:"), ["1"], "{status}");
    assert_eq!(field("Seccomp:"), ["2"], "{status}");
    let links = board.read(&format!("/proc/{pid}/net/dev"));
    assert!(!links.contains("eth0"), "its own network has no link: {links}");
    let limits = board.read(&format!("/proc/{pid}/limits"));
    let file_size = limits.lines().find(|line| line.starts_with("Max file size")).unwrap();
    assert_eq!(file_size.split_whitespace().nth(3), Some("0"), "{file_size}");
}

fn memory(board: &Board) {
    let mut beside_rings = 0;
    for process in board.processes() {
        let part = |name: &str| process[name].as_u64().unwrap();
        let command = process["command"].as_str().unwrap_or_default();
        if command.contains("board-agent") {
            continue;
        }
        println!(
            "{command:30} {:6} KiB, shared {:6} KiB",
            part("pss_anon") + part("pss_file"),
            part("pss_shmem")
        );
        beside_rings += part("pss_anon") + part("pss_file");
    }
    println!("all: {beside_rings} KiB of {RESIDENT_KIB} KiB");
    assert!(beside_rings <= RESIDENT_KIB, "{beside_rings} KiB");
}

/// The scene's block wanders: the grid that the platform counts says so.
fn moves(owner: &Owner) {
    until_within(BOOT_PATIENCE, "movement on channel 1", || {
        owner.channel(1).filter(|channel| channel["motion_percent"].as_u64().is_some_and(|level| level > 0))
    });
}

fn cable(board: &Board, owner: &Owner) {
    let bus = board.agent(json!({ "op": "i2c_bus", "name": "SMBus stub driver" }));
    // `capture` reads the chip meanwhile, and may have chosen another bank between the two: then they are written again.
    let put_until = |no_signal: u8, code: &str| {
        attempt_until_state(owner, CHANNELS, code, || {
            for (register, value) in [(0xFF, 0), (NO_SIGNAL, no_signal)] {
                board.agent(json!({
                    "op": "i2c_register", "bus": bus, "chip": DECODER, "register": register, "value": value,
                }));
            }
        })
    };
    let lost = put_until(0b1000, "no_signal");
    println!("{}", lost["state"]);
    assert_eq!(owner.channel(CHANNELS - 1).unwrap()["state"]["code"], "ok", "its neighbour goes on");
    put_until(0, "ok");
    owner.wait_recording_goes_on(&[CHANNELS]);
}

/// `capture` notices within 2 s, and goes on; the platform is back with another host.
fn crash(board: &Board, owner: &Owner) {
    let (capture, first) = (board.process("capture"), host(board));
    board.agent(json!({ "op": "signal", "pid": first, "signal": SIGKILL }));
    until_within(BOOT_PATIENCE, "another mpp-host", || (host(board) != first).then_some(()));
    for channel in 1..=CHANNELS {
        wait_state(owner, channel, "ok");
    }
    owner.wait_recording_goes_on(&(1..=CHANNELS).collect::<Vec<_>>());
    assert_eq!(board.process("capture"), capture, "capture is the same process");
}
