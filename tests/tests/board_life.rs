//! One emulated board from power-on: how soon it records, what is on it.
//!
//! One boot for all of it; each section says its name, so that a failure says where it was.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tests::players::{Transport, ffmpeg};
use tests::{
    BOOT_PATIENCE, Board, BoardSetup, DiskState, Layout, Owner, no_emulator, now, set_up, until_within,
};

/// From power-on to the first recorded frame, by the board's own clock (design budget).
const FIRST_FRAME_WITHIN: Duration = Duration::from_secs(10);
/// Memory of all roles beside the rings, KiB (board/boards/virt-a7.toml).
const RESIDENT_KIB: u64 = 48 * 1024;
/// Lines of the simulated pins: the first alarm input, low when active, the relay, the status light and the buzzer.
const ALARM: u32 = 0;
const RELAY: u32 = 2;
const STATUS_LED: u32 = 3;
const BUZZER: u32 = 5;
/// What a relay stays on for here.
const RELAY_SEC: u32 = 3;
const ROLES: [&str; 4] = ["capture", "ingest", "record", "serve"];

#[test]
fn a_board_from_power_on() {
    if no_emulator() {
        return;
    }
    let mut board = Board::flashed(Layout::Nor64, DiskState::Formatted);
    // All inputs as a new board has them.
    let setup = BoardSetup {
        channels: 8,
        width: 1280,
        height: 720,
        bit_rate_bps: 2_000_000,
        rtsp: true,
        alarm_sec: Some(RELAY_SEC),
        ..BoardSetup::default()
    };
    set_up(&board, &setup);
    board.power_on();
    let owner = board.claim();

    section("from power-on to the first recorded frame");
    first_frame(&board, &owner);
    section("what is mounted, and how");
    mounts(&board);
    section("what is in the root");
    root_files(&board);
    section("what the recorder says of itself");
    says_what_runs(&owner);
    section("RTSP");
    rtsp(&board, &owner);
    section("an alarm input switches a relay");
    alarm(&board);
    section("the status light, the buzzer and the battery-backed clock");
    indicators_and_clock(&board);
    section("an analog decoder on a simulated bus");
    front_end(&board);
    section("memory of all roles");
    memory(&board);
}

fn section(name: &str) {
    println!("-- {name}");
}

/// Footage is asked for when it was taken; the board's clock and its uptime turn that into a time since its start.
fn first_frame(board: &Board, owner: &Owner) {
    let start = until_within(BOOT_PATIENCE, "footage of channel 1", || {
        let path = format!("/timeline?start={:.3}&end={:.3}&channel=1", now() - HOUR, now() + HOUR);
        let timeline = owner.try_get(&path)?;
        timeline["channels"][0]["oldest"].as_str()?.parse::<Timestamp>().ok()
    });
    let uptime = board.uptime();
    let clock = board.agent(json!({ "op": "clock" }))["unix_ms"].as_i64().unwrap();
    let age = Duration::from_millis(u64::try_from(clock - start.as_millisecond()).unwrap());
    let kernel = uptime.saturating_sub(age);
    // The boot loader runs before the kernel's clock: its part is measured here, on this machine's.
    let (loader, _) = board.wait_console("Booting Linux", BOOT_PATIENCE);
    println!(
        "the first recorded frame was taken {:.1} s after the kernel's start; the boot loader took {:.1} s before",
        kernel.as_secs_f64(),
        loader.as_secs_f64()
    );
    assert!(kernel <= FIRST_FRAME_WITHIN, "the first frame came after {kernel:?}");
}

const HOUR: Duration = Duration::from_secs(3600);

fn mounts(board: &Board) {
    let mounts = board.agent(json!({ "op": "mounts" }));
    let mount = |on: &str| -> &Value {
        let found = mounts.as_array().unwrap().iter().rfind(|mount| mount["on"] == on);
        found.unwrap_or_else(|| panic!("nothing is mounted on {on}: {mounts}"))
    };
    let has =
        |on: &str, option: &str| mount(on)["options"].as_array().unwrap().iter().any(|word| word == option);
    assert_eq!(mount("/")["type"], "squashfs");
    assert!(has("/", "ro"), "{}", mount("/"));
    for on in ["/run", "/tmp", "/data"] {
        for option in ["nosuid", "nodev", "noexec"] {
            assert!(has(on, option), "{on} lacks {option}: {}", mount(on));
        }
        let ran = board.agent(json!({ "op": "try_run", "path": on }));
        // EACCES: what `noexec` answers.
        assert_eq!(ran, json!({ "ran": false, "errno": 13 }), "{on}");
    }
    assert_eq!(mount("/data")["type"], "ext4");
    for path in ["/bin/new", "/etc/new", "/sbin/new"] {
        let refused = board.try_agent(&json!({ "op": "create", "path": path, "text": "x" })).unwrap_err();
        assert!(refused.contains("Read-only"), "{path}: {refused}");
    }
}

fn root_files(board: &Board) {
    let files = board.agent(json!({ "op": "walk", "path": "/" }));
    let files = files.as_array().unwrap();
    let programs: Vec<&str> = files
        .iter()
        .filter(|file| file["program"] == true)
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    println!("programs: {programs:?}");
    // The test program and the module of the simulated bus are in test images alone.
    for path in &programs {
        assert!(
            ["/bin/candor", "/bin/board-agent"].contains(path) || path.ends_with("i2c-stub.ko"),
            "{path}"
        );
    }
    for file in files {
        let path = file["path"].as_str().unwrap();
        assert_eq!(file["script"], false, "{path} is a script");
        assert_eq!(file["mode"].as_u64().unwrap() & 0o6000, 0, "{path} gains rights");
        assert_eq!(
            file["mode"].as_u64().unwrap() & 0o022 & !link_mode(file),
            0,
            "{path} can be changed by anybody"
        );
        let name = path.rsplit('/').next().unwrap();
        for shell in ["sh", "ash", "bash", "dash", "busybox", "toybox"] {
            assert_ne!(name, shell, "{path}");
        }
    }
}

/// Links have all rights and none that count.
fn link_mode(file: &Value) -> u64 {
    if file["link"].is_null() { 0 } else { 0o777 }
}

fn says_what_runs(owner: &Owner) {
    let system = owner.get("/system");
    let image = &system["image"];
    println!("{image}");
    assert_eq!(image["version"], tests::image_version());
    assert_eq!(image["slot"], "a");
    assert_eq!(image["root_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(image["signed_by"], "release");
    assert_eq!(image["trying"], false);
}

fn rtsp(board: &Board, owner: &Owner) {
    let answer = owner.ask(&http::Method::POST, "/stream-keys", json!({ "name": "player" }).to_string());
    assert_eq!(answer.status, 201, "{answer:?}");
    let key = answer.json()["key"].as_str().unwrap().to_owned();
    let url = format!("rtsp://player:{key}@127.0.0.1:{}/ch1/main", board.rtsp_port());
    let frames = ffmpeg(&url, Transport::Tcp, 4);
    println!("ffmpeg decoded {frames} frames in 4 s");
    assert!(frames >= 30, "{frames} frames in 4 s");
}

fn alarm(board: &Board) {
    let level = |line| board.agent(json!({ "op": "gpio_level", "line": line })) == true;
    let pull = |up: bool| board.agent(json!({ "op": "gpio_pull", "line": ALARM, "up": up }));
    assert!(!level(RELAY), "the relay is on before any alarm");
    pull(false);
    until_within(BOOT_PATIENCE, "the relay to switch on", || level(RELAY).then_some(()));
    pull(true);
    until_within(BOOT_PATIENCE, "the relay to switch off", || (!level(RELAY)).then_some(()));
}

/// The light is steadily on while all is well; the kernel's clock is the battery-backed one's.
fn indicators_and_clock(board: &Board) {
    let level = |line| board.agent(json!({ "op": "gpio_level", "line": line })) == true;
    until_within(BOOT_PATIENCE, "the status light to be lit", || level(STATUS_LED).then_some(()));
    // A blinking one would be dark in one of these: each question takes a moment, and a blink a second.
    let lit: Vec<bool> = (0..20)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(100));
            level(STATUS_LED)
        })
        .collect();
    assert!(lit.iter().all(|lit| *lit), "{lit:?}");
    assert!(!level(BUZZER), "the buzzer sounds");
    let text = board.agent(json!({ "op": "read", "path": "/sys/class/rtc/rtc0/since_epoch" }));
    let rtc_sec: i64 = text.as_str().unwrap().trim().parse().unwrap();
    let clock = board.agent(json!({ "op": "clock" }));
    let apart_ms = clock["unix_ms"].as_i64().unwrap() - rtc_sec * 1000;
    println!("the clock is {apart_ms} ms after the battery-backed one");
    assert!((-1000..3000).contains(&apart_ms), "{apart_ms} ms");
}

/// The kernel's i2c-stub plays an NVP6134, a TP2823 and a TW2865 at 0x30, 0x44 and 0x28 (0x60, 0x88 and 0x50 in a board's
/// description); the product's drivers read them.
fn front_end(board: &Board) {
    let parameters = "chip_addr=0x30,0x44,0x28 bank_reg=0xff,0x40,0x00 bank_mask=0x0f,0x07,0x00 \
                      bank_start=0x00,0x00,0x00 bank_end=0xfe,0x3f,0x00";
    board.agent(json!({ "op": "insmod", "path": "/lib/modules/i2c-stub.ko", "parameters": parameters }));
    let bus = board.agent(json!({ "op": "i2c_bus", "name": "SMBus stub driver" }));
    let put = |chip: u8, registers: &[(u8, u8)]| {
        for (register, value) in registers {
            board.agent(
                json!({ "op": "i2c_register", "bus": bus, "chip": chip, "register": register, "value": value }),
            );
        }
    };
    let look = |chip: &str, address: u8| {
        let seen = board.agent(json!({ "op": "front_end", "bus": bus, "address": address, "chip": chip }));
        println!("{seen}");
        seen
    };
    let nothing = [Value::Null, Value::Null, Value::Null];

    // Bank 0: chip id, revision, no signal but on port 0. Bank 5: what port 0 has locked to, AHD 1080p30, and that it is AHD's colour.
    put(0x30, &[(0xff, 0), (0xf4, 0x91), (0xf5, 0), (0xa8, 0b1110), (0xff, 5), (0xf0, 0x30), (0x5c, 0x30)]);
    let seen = look("nvp6134", 0x60);
    assert_eq!(seen["chip"], "NVP6134, revision 0");
    let ahd = json!({ "standard": "Ahd", "width": 1920, "height": 1080, "frame_rate": 30 });
    assert_eq!(seen["ports"][0], ahd);
    assert_eq!(seen["ports"].as_array().unwrap()[1..], nothing);
    // The cable is pulled.
    put(0x30, &[(0xff, 0), (0xa8, 0b1111)]);
    assert_eq!(look("nvp6134", 0x60)["ports"][0], Value::Null);

    // Chip id; pages 0 to 3: no signal but on port 2, which has locked to TVI 720p25.
    put(0x44, &[(0xfe, 0x28), (0xff, 0x23), (0xfd, 0)]);
    put(0x44, &[(0x40, 0), (0x01, 0x80), (0x40, 1), (0x01, 0x80), (0x40, 3), (0x01, 0x80)]);
    put(0x44, &[(0x40, 2), (0x01, 0x64), (0x03, 5)]);
    let seen = look("tp2823", 0x88);
    assert_eq!(seen["chip"], "TP2823, revision 0x00");
    let tvi = json!({ "standard": "Tvi", "width": 1280, "height": 720, "frame_rate": 25 });
    assert_eq!(seen["ports"].as_array().unwrap()[..], [Value::Null, Value::Null, tvi, Value::Null]);
    // The menu of its camera: the frame lies in the port's registers.
    board.agent(json!({ "op": "front_end", "bus": bus, "address": 0x88, "chip": "tp2823", "menu": 2 }));
    let register = |register: u8| {
        board.agent(json!({ "op": "i2c_register", "bus": bus, "chip": 0x44, "register": register }))
    };
    let frame: Vec<Value> = (0x6a..0x74).map(register).collect();
    assert_eq!(frame, [0x02, 0xb5, 0x00, 0x17, 0x5f, 0x02, 0x00, 0x00, 0x00, 0x2b].map(Value::from));

    // Chip id; no signal but on port 3, which has locked to PAL.
    put(0x28, &[(0xff, 0xc0), (0x00, 0x80), (0x10, 0x80), (0x20, 0x80), (0x30, 0x49), (0x3e, 0x17)]);
    let seen = look("tw2865", 0x50);
    assert_eq!(seen["chip"], "TW2865, revision 0");
    assert_eq!(seen["ports"].as_array().unwrap()[..3], nothing);
    let pal = json!({ "standard": "Pal", "width": 720, "height": 576, "frame_rate": 25 });
    assert_eq!(seen["ports"][3], pal);
}

fn memory(board: &Board) {
    let mut beside_rings = 0;
    let mut shared = 0;
    let processes = board.processes();
    for name in ["warden"].into_iter().chain(ROLES) {
        let pid = board.process(name);
        let process = processes.iter().find(|process| process["pid"] == pid).unwrap();
        let part = |name: &str| process[name].as_u64().unwrap();
        let own = part("pss_anon") + part("pss_file");
        println!("{name:8} {own:6} KiB, rings {:6} KiB, resident {:6} KiB", part("pss_shmem"), part("rss"));
        beside_rings += own;
        shared += part("pss_shmem");
    }
    println!("all roles: {beside_rings} KiB of {RESIDENT_KIB} KiB, rings {shared} KiB");
    assert!(beside_rings <= RESIDENT_KIB, "{beside_rings} KiB");
}
