//! The recorder as a process: started, listened to, stopped.
//!
//! Does not belong here: asking it over the network (`client.rs`, `owner.rs`).

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use auth::{Accounts, AccountsConfig};
use hal::{Clock, SystemClock};
use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::client::Client;
use crate::owner::Owner;
use crate::programs::{Done, finish, program, run};
use crate::setup::Setup;
use crate::wait::{Stopwatch, until};

/// The name that goes with the stream key.
pub const STREAM_USER: &str = "player";

/// A clean stop takes 2 s at most; a busy machine is given more.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// A recorder with a data folder of its own.
pub struct Recorder {
    dir: TempDir,
    ports: [u16; 3],
    stream_key: String,
    process: Option<Process>,
}

struct Process {
    child: Child,
    console: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(setup: &Setup) -> Self {
        let mut recorder = Self::prepare(setup);
        recorder.start_again();
        recorder
    }

    /// Its data folder is ready, it does not run yet.
    ///
    /// # Panics
    /// When there is no room in the folder for temporary files.
    #[must_use]
    pub fn prepare(setup: &Setup) -> Self {
        let dir = tempfile::Builder::new().prefix("candor-test-").tempdir().expect("a folder");
        let ports = free_ports();
        let mut recorder = Self { dir, ports, stream_key: String::new(), process: None };
        fs::create_dir_all(recorder.data()).expect("a data folder");
        fs::write(recorder.settings_file(), setup.text(ports)).expect("a settings file");
        // As an owner would make one, but without being one: set-up is for the tests that look at it.
        let mut accounts = Accounts::default();
        let name = STREAM_USER.parse().expect("a user name");
        recorder.stream_key =
            accounts.make_stream_key(name, SystemClock::new().wall()).expect("a stream key");
        let text = toml::to_string_pretty(&AccountsConfig::from(&accounts)).expect("accounts are TOML");
        fs::write(recorder.data().join("accounts.toml"), text).expect("an accounts file");
        recorder
    }

    /// Starts it on what is in its data folder, and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    pub fn start_again(&mut self) {
        self.launch();
        self.wait_console("Web: ");
        self.wait_console("RTSP: ");
        self.wait_console("RTSPS: ");
    }

    /// Starts it and waits for nothing.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn launch(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.log()).expect("a log file");
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the recorder can be run");
        let console = Arc::new(Mutex::new(Vec::new()));
        let (lines, shared) = (child.stdout.take(), Arc::clone(&console));
        thread::spawn(move || {
            for line in BufReader::new(lines.expect("a pipe")).lines().map_while(Result::ok) {
                shared.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        self.process = Some(Process { child, console });
    }

    /// `candor run` on its data folder.
    #[must_use]
    pub fn command(&self) -> Command {
        // Some that start programs leave signals blocked, and programs inherit that: a stop must be heard all the same.
        let mut command = Command::new("env");
        command.arg("--block-signal=HUP,INT,TERM").arg(program("candor"));
        command.arg("run").arg("--data").arg(self.data());
        command
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A folder beside the data folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its settings file.
    #[must_use]
    pub fn settings_file(&self) -> PathBuf {
        self.data().join("settings.toml")
    }

    /// Its log, all runs'.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.path().join("candor.log")
    }

    /// The web port.
    #[must_use]
    pub fn web_port(&self) -> u16 {
        self.ports[0]
    }

    /// The RTSP port.
    #[must_use]
    pub fn rtsp_port(&self) -> u16 {
        self.ports[1]
    }

    /// The key of [`STREAM_USER`].
    #[must_use]
    pub fn stream_key(&self) -> &str {
        &self.stream_key
    }

    /// A stream's address with user and key.
    #[must_use]
    pub fn rtsp_url(&self, path: &str) -> String {
        format!("rtsp://{STREAM_USER}:{}@127.0.0.1:{}/{path}", self.stream_key, self.ports[1])
    }

    /// The same over TLS.
    #[must_use]
    pub fn rtsps_url(&self, path: &str) -> String {
        format!("rtsps://{STREAM_USER}:{}@127.0.0.1:{}/{path}", self.stream_key, self.ports[2])
    }

    /// A browser that trusts it.
    #[must_use]
    pub fn client(&self) -> Client {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports[0]));
        Client::new(address, &self.data().join("identity/certificate.pem"))
    }

    /// Claims it.
    ///
    /// # Panics
    /// When it refuses.
    #[must_use]
    pub fn claim(&self) -> Owner {
        Owner::claim(&self.client(), &self.setup_code())
    }

    /// The code on its console.
    ///
    /// # Panics
    /// When it shows none.
    #[must_use]
    pub fn setup_code(&self) -> String {
        let line = self.wait_console("Set-up code: ");
        line.split_whitespace().next().unwrap_or_default().to_owned()
    }

    /// Waits for a line that begins so, and returns the rest of the newest.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn wait_console(&self, start: &str) -> String {
        until(&format!("`{start}` on the console"), || {
            let lines = self.console();
            lines.iter().rev().find_map(|line| line.strip_prefix(start).map(str::to_owned))
        })
    }

    /// What it has said on its console since it was started.
    #[must_use]
    pub fn console(&self) -> Vec<String> {
        let Some(process) = &self.process else { return Vec::new() };
        process.console.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.as_ref().expect("it runs").child.id().cast_signed()
    }

    /// Ctrl-C, and how long it took to end.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub fn stop(&mut self) -> (ExitStatus, Duration) {
        let watch = Stopwatch::start();
        send(self.pid(), Signal::SIGINT);
        let mut process = self.process.take().expect("it runs");
        let status = finish(&mut process.child, STOP_LIMIT);
        let status = status.unwrap_or_else(|| panic!("it did not stop in {} s", STOP_LIMIT.as_secs()));
        (status, watch.elapsed())
    }

    /// Ends the recorder and all its roles as a power cut would.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill_all(&mut self) {
        let mut process = self.process.take().expect("it runs");
        let pid = process.child.id().cast_signed();
        let roles = children(pid);
        // The warden first, so that it starts none of them again.
        send(pid, Signal::SIGKILL);
        for role in &roles {
            send(*role, Signal::SIGKILL);
        }
        let _ = process.child.wait();
        until("the roles' end", || roles.iter().all(|role| !is_running(*role)).then_some(()));
    }

    /// Removes what a power cut would: the rings, which lie in memory.
    ///
    /// # Panics
    /// When they cannot be removed.
    pub fn forget_memory(&self) {
        let rings = self.rings().expect("the rings lie in memory");
        fs::remove_dir_all(rings).expect("the rings can be removed");
    }

    /// The folder of the rings, which is named after the data folder's path; `None` where there is none.
    fn rings(&self) -> Option<PathBuf> {
        let path = fs::canonicalize(self.data()).ok()?;
        let hash = ring::digest::digest(&ring::digest::SHA256, path.as_os_str().as_encoded_bytes());
        let tag: String = hash.as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let places = ["/run/candor", "/dev/shm"].map(|dir| Path::new(dir).join(format!("candor-{tag}")));
        places.into_iter().find(|dir| dir.exists())
    }

    /// A channel's footage of the main stream, as `candor store list` has it.
    ///
    /// # Panics
    /// When the list cannot be had or read.
    #[must_use]
    pub fn runs(&self, channel: u16) -> Vec<(Timestamp, Timestamp)> {
        let list = self.store("list");
        assert!(list.status.success(), "{list:?}");
        let name = format!("ch{channel}/main");
        let text = list.text();
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let lines = lines.filter(|words| words.first() == Some(&name.as_str()));
        let runs: Option<Vec<_>> =
            lines.map(|words| Some((words.get(1)?.parse().ok()?, words.get(3)?.parse().ok()?))).collect();
        runs.unwrap_or_else(|| panic!("not a list of runs: {text}"))
    }

    /// `candor store WHAT` on its data folder.
    pub fn store(&self, what: &str) -> Done {
        run(STOP_LIMIT * 4, Command::new(program("candor")).args(["store", what]).arg(self.data()))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("console: {:#?}", self.console());
            eprintln!("log:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        let Some(mut process) = self.process.take() else { return };
        let pid = process.child.id().cast_signed();
        let roles = children(pid);
        send(pid, Signal::SIGTERM);
        if finish(&mut process.child, STOP_LIMIT).is_none() {
            roles.into_iter().filter(|role| is_running(*role)).for_each(|role| send(role, Signal::SIGKILL));
            self.rings().and_then(|rings| fs::remove_dir_all(rings).ok());
        }
    }
}

fn send(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}

fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn is_running(pid: i32) -> bool {
    // A zombie has ended; whoever should reap it may be dead, too.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with(['Z', 'X']))
}

/// Ports that nobody has. Not from the range that the system gives to outgoing connections, or one of
/// those could take a port between this look and the recorder's start; tests in other processes begin
/// elsewhere.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    let start = std::process::id().wrapping_mul(37);
    let free = (0..COUNT)
        .map(|_| u32::from(NEXT.fetch_add(1, Ordering::Relaxed)))
        .filter_map(|step| u16::try_from(FIRST + start.wrapping_add(step) % COUNT).ok())
        .filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    let free: Vec<u16> = free.take(N).collect();
    free.try_into().expect("free ports")
}
