//! The emulated board with the recorder on it: flashed, powered, asked.
//!
//! Does not belong here: QEMU (`emulator.rs`), the image (`board_image.rs`).

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use board::PartitionRole;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::board_image::{BoardImage, Layout, environment_with, target};
use crate::client::Client;
use crate::emulator::{Emulator, Machine};
use crate::emulator_console::Console;
use crate::emulator_storage::{DiskState, Storage};
use crate::owner::Owner;
use crate::recorder::free_ports;
use crate::wait::{Stopwatch, until_within};

/// A board boots in seconds; one whose two cores are shared with other boards is given minutes.
pub const BOOT_PATIENCE: Duration = Duration::from_secs(180);
/// What the recorder says on the console.
const FINGERPRINT: &str = "Certificate fingerprint (SHA-256): ";
const SETUP_CODE: &str = "Set-up code: ";
const LISTENING: &str = "Web: ";
/// The board's ports: HTTPS, RTSP, RTSPS.
const PORTS: [u16; 3] = [443, 554, 322];

/// One board. Dropping it cuts its power and removes what it kept.
pub struct Board {
    dir: TempDir,
    layout: Layout,
    ports: [u16; 3],
    machine: Machine,
    emulator: Option<Emulator>,
    /// Where the console stood when the power was switched on, or the machine reset.
    since: usize,
}

impl Board {
    /// Flashed from the test image, with a disk, without power.
    ///
    /// # Panics
    /// When there is no image.
    #[must_use]
    pub fn flashed(layout: Layout, disk: DiskState) -> Self {
        Self::flashed_with(&BoardImage::find(), layout, disk)
    }

    /// Flashed from another test image.
    ///
    /// # Panics
    /// When its files cannot be copied.
    #[must_use]
    pub fn flashed_with(image: &BoardImage, layout: Layout, disk: DiskState) -> Self {
        let dir = folder();
        let storage = Storage::new(&dir.path().join("storage.img"), &image.nor(layout), disk);
        Self::with(dir, image, layout, storage)
    }

    /// With what another one kept.
    ///
    /// # Panics
    /// When it cannot be copied.
    #[must_use]
    pub fn of(layout: Layout, storage: &Storage) -> Self {
        let dir = folder();
        let storage = storage.copied_to(&dir.path().join("storage.img"));
        Self::with(dir, &BoardImage::find(), layout, storage)
    }

    fn with(dir: TempDir, image: &BoardImage, layout: Layout, storage: Storage) -> Self {
        let ports = free_ports();
        let machine = Machine {
            boot: image.file("boot.img"),
            storage,
            log: None,
            disks: Vec::new(),
            sticks: Vec::new(),
            ports: ports.into_iter().zip(PORTS).collect(),
            traced: Vec::new(),
        };
        Self { dir, layout, ports, machine, emulator: None, since: 0 }
    }

    /// What it is made of, to be changed while it has no power.
    pub fn machine(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// How its chip is divided.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Chip and disk.
    #[must_use]
    pub fn storage(&self) -> &Storage {
        &self.machine.storage
    }

    /// A folder of its own.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Keeps every write from the next power-on.
    ///
    /// # Panics
    /// When there is no room for the log.
    pub fn keep_log(&mut self) -> PathBuf {
        let path = self.dir.path().join("writes.log");
        fs::write(&path, "").expect("a log can be made");
        self.machine.log = Some(path.clone());
        path
    }

    /// Adds words to the kernel's command line, as an owner could at the boot loader's prompt.
    ///
    /// # Panics
    /// When there is no environment.
    pub fn add_boot_words(&self, words: &str) {
        let place = self.layout.partition(PartitionRole::Environment).expect("an environment");
        let old = self.storage().nor(place.start, usize::try_from(place.end - place.start).unwrap_or(0));
        self.storage().put_nor(place.start, &environment_with(&old, words, self.dir.path()));
    }

    /// Switches the power on.
    ///
    /// # Panics
    /// When it is on, or QEMU cannot be run.
    pub fn power_on(&mut self) {
        assert!(self.emulator.is_none(), "it has power");
        self.since = 0;
        self.emulator = Some(Emulator::start(&self.machine, self.dir.path()));
    }

    /// Cuts the power.
    ///
    /// # Panics
    /// When it has none.
    pub fn cut(&mut self) {
        self.emulator.take().expect("it has power").cut();
    }

    /// From here on only what the console says from now counts: after a restart.
    pub fn forget_console(&mut self) {
        self.since = self.console().position();
    }

    /// Whether the emulator itself is gone.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.emulator.as_ref().is_none_or(|emulator| emulator.console().has_ended())
    }

    /// The emulator.
    ///
    /// # Panics
    /// When it has no power.
    pub fn emulator(&mut self) -> &mut Emulator {
        self.emulator.as_mut().expect("it has power")
    }

    /// Its serial console.
    ///
    /// # Panics
    /// When it has no power.
    #[must_use]
    pub fn console(&self) -> &Console {
        self.emulator.as_ref().expect("it has power").console()
    }

    /// Waits for a line of this boot that contains `text`, and returns when it came and what stands behind it.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn wait_console(&self, text: &str, limit: Duration) -> (Duration, String) {
        match self.console().try_wait(self.since, text, limit) {
            Ok(found) => found,
            Err(error) => panic!("{error}"),
        }
    }

    /// What stands behind `text` in a line of this boot, if it was said.
    #[must_use]
    pub fn said(&self, text: &str) -> Option<String> {
        Some(self.console().find(self.since, text)?.1)
    }

    /// Waits until this boot's recorder listens; returns a browser that compares its certificate with the console.
    ///
    /// # Errors
    /// When it does not.
    pub fn try_client(&self, limit: Duration) -> Result<Client, String> {
        let watch = Stopwatch::start();
        let (_, fingerprint) = self.console().try_wait(self.since, FINGERPRINT, limit)?;
        self.console().try_wait(self.since, LISTENING, limit.saturating_sub(watch.elapsed()))?;
        Ok(self.client_of(&fingerprint))
    }

    /// A browser that trusts this certificate and no other.
    #[must_use]
    pub fn client_of(&self, fingerprint: &str) -> Client {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports[0]));
        Client::pinned(address, fingerprint).within(Duration::from_secs(60))
    }

    /// As [`Board::try_client`], of a board that must come up.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    #[track_caller]
    pub fn client(&self) -> Client {
        match self.try_client(BOOT_PATIENCE) {
            Ok(client) => client,
            Err(error) => panic!("{error}"),
        }
    }

    /// The certificate's fingerprint, as the console has it.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        self.console().last(FINGERPRINT)
    }

    /// Claims it.
    ///
    /// # Panics
    /// When it refuses.
    #[must_use]
    pub fn claim(&self) -> Owner {
        let client = self.client();
        Owner::claim(&client, &self.setup_code())
    }

    /// The set-up code on the console.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn setup_code(&self) -> String {
        let (_, rest) = self.wait_console(SETUP_CODE, BOOT_PATIENCE);
        rest.split_whitespace().next().unwrap_or_default().to_owned()
    }

    /// Signs in.
    ///
    /// # Panics
    /// When it refuses.
    #[must_use]
    pub fn sign_in(&self) -> Owner {
        Owner::sign_in(&self.client())
    }

    /// Where its web page is from here.
    #[must_use]
    pub fn web_port(&self) -> u16 {
        self.ports[0]
    }

    /// Where its RTSP is from here.
    #[must_use]
    pub fn rtsp_port(&self) -> u16 {
        self.ports[1]
    }

    /// Where its RTSPS is from here.
    #[must_use]
    pub fn rtsps_port(&self) -> u16 {
        self.ports[2]
    }

    /// Asks the test program on it.
    ///
    /// # Errors
    /// What that says, or that it says nothing.
    ///
    /// # Panics
    /// When the board has no power.
    pub fn try_agent(&self, request: &Value) -> Result<Value, String> {
        self.emulator.as_ref().expect("it has power").try_agent(request)
    }

    /// Asks the test program, which must do it.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "made for json!")]
    pub fn agent(&self, request: Value) -> Value {
        match self.try_agent(&request) {
            Ok(value) => value,
            Err(error) => panic!("{request}: {error}"),
        }
    }

    /// A file on the board.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        self.agent(json!({ "op": "read", "path": path })).as_str().unwrap_or_default().to_owned()
    }

    /// Since its kernel started.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        let answer = self.agent(json!({ "op": "ping" }));
        Duration::from_millis(answer["uptime_ms"].as_u64().unwrap_or_default())
    }

    /// What runs on it: the recorder's roles with their memory.
    #[must_use]
    pub fn processes(&self) -> Vec<Value> {
        self.agent(json!({ "op": "processes" })).as_array().cloned().unwrap_or_default()
    }

    /// The process of a role, or of the warden.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    #[track_caller]
    pub fn process(&self, role: &str) -> i64 {
        let is = |process: &Value| match role {
            "warden" => process["pid"] == 1,
            role => {
                process["command"].as_str().is_some_and(|command| command.ends_with(&format!("role {role}")))
            }
        };
        let pid = || {
            self.processes().iter().find(|process| is(process)).and_then(|process| process["pid"].as_i64())
        };
        until_within(BOOT_PATIENCE, &format!("the process of {role}"), pid)
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(emulator) = &self.emulator
        {
            eprintln!("the board's console:\n{}", emulator.console().ending());
            eprintln!("the emulator:\n{}", emulator.messages().ending());
            let kept = target().join("tmp/last-failed-board.txt");
            let _ = fs::write(&kept, emulator.console().text());
            eprintln!("all of the console: {}", kept.display());
        }
    }
}

fn folder() -> TempDir {
    let parent = target().join("tmp");
    fs::create_dir_all(&parent).expect("the build folder can be written");
    tempfile::Builder::new().prefix("board-").tempdir_in(parent).expect("a folder")
}
