//! QEMU as the board: started, listened to, asked, cut off.
//!
//! The machine is `cargo xtask emulate`'s: two Cortex-A7 cores, two NOR banks, AHCI, a network card, a watchdog, a
//! line to the test program inside. It dies with the test that started it.
//!
//! Does not belong here: what runs on it (`board.rs`).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::emulator_console::Console;
use crate::emulator_line::JsonLine;
use crate::emulator_storage::{NOR_BYTES, Storage};

/// QEMU answers at once; a busy machine is given more.
const QMP_LIMIT: Duration = Duration::from_secs(30);
/// What the board's test program may take for an answer, on a busy board on a busy machine.
const AGENT_LIMIT: Duration = Duration::from_secs(60);
/// Names of files in the working folder. Sockets have short relative paths: theirs may have 107 bytes.
const QMP_SOCKET: &str = "qmp.sock";
const AGENT_SOCKET: &str = "agent.sock";
/// QEMU's node through which nothing can be written.
const FAILING: &str = "failing";

/// What it is made of.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The boot loader's bank, read-only.
    pub boot: PathBuf,
    /// NOR chip and disk.
    pub storage: Storage,
    /// Where every write to these is kept, if it is.
    pub log: Option<PathBuf>,
    /// Disks beside the first.
    pub disks: Vec<PathBuf>,
    /// USB sticks.
    pub sticks: Vec<PathBuf>,
    /// Pairs of a port of this machine and one of the board.
    pub ports: Vec<(u16, u16)>,
    /// QEMU's trace events to be told on standard error: `pflash_write_block_erase`.
    pub traced: Vec<&'static str>,
}

impl Machine {
    /// QEMU's node on which chip and first disk lie.
    fn kept(&self) -> &'static str {
        if self.log.is_some() { "logged" } else { "storage-file" }
    }
}

/// A running one.
pub struct Emulator {
    child: Child,
    dir: PathBuf,
    console: Console,
    messages: Console,
    qmp: Option<JsonLine>,
}

impl Emulator {
    /// Powers it on.
    ///
    /// # Panics
    /// When QEMU cannot be run.
    #[must_use]
    pub fn start(machine: &Machine, dir: &Path) -> Self {
        for socket in [QMP_SOCKET, AGENT_SOCKET] {
            let _ = std::fs::remove_file(dir.join(socket));
        }
        // The kernel ends it when this process is gone, however that ended.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "qemu-system-arm"]).args(arguments(machine)).current_dir(dir);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("QEMU cannot be run: {error}; `make test` installs what is missing")
            });
        let console = Console::read(child.stdout.take().expect("a pipe"));
        let messages = Console::read(child.stderr.take().expect("a pipe"));
        Self { child, dir: dir.to_owned(), console, messages, qmp: None }
    }

    /// The serial console.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// What QEMU itself says, traces among it.
    #[must_use]
    pub fn messages(&self) -> &Console {
        &self.messages
    }

    /// Cuts the power.
    pub fn cut(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Presses the reset button of the machine.
    ///
    /// # Panics
    /// When QEMU refuses.
    pub fn reset(&mut self) {
        self.monitor(&json!({ "execute": "system_reset" }));
    }

    /// Stops the machine's time, or lets it go on.
    ///
    /// # Panics
    /// When QEMU refuses.
    pub fn pause(&mut self, pause: bool) {
        self.monitor(&json!({ "execute": if pause { "stop" } else { "cont" } }));
    }

    /// From now on the first disk answers every write with an error, or takes it again. Reading goes on.
    ///
    /// # Panics
    /// When QEMU refuses.
    pub fn fail_writes(&mut self, machine: &Machine, fail: bool) {
        let disk = json!({
            "driver": "raw", "node-name": "disk0", "file": if fail { FAILING } else { machine.kept() },
            "offset": NOR_BYTES, "size": machine.storage.disk_bytes(),
        });
        self.monitor(&json!({ "execute": "blockdev-reopen", "arguments": { "options": [disk] } }));
    }

    /// Asks QEMU; returns its answer.
    ///
    /// # Panics
    /// When it refuses.
    pub fn monitor(&mut self, request: &Value) -> Value {
        let qmp = match &mut self.qmp {
            Some(qmp) => qmp,
            None => {
                let mut line = JsonLine::connect(&self.dir.join(QMP_SOCKET));
                line.receive(QMP_LIMIT).expect("QEMU greets");
                returned(&mut line, &json!({ "execute": "qmp_capabilities" }));
                self.qmp.insert(line)
            }
        };
        returned(qmp, request)
    }

    /// Asks the test program on the board.
    ///
    /// # Errors
    /// What it says, or that it says nothing.
    pub fn try_agent(&self, request: &Value) -> Result<Value, String> {
        let mut line = JsonLine::connect(&self.dir.join(AGENT_SOCKET));
        line.send(request)?;
        let mut answer = line.receive(AGENT_LIMIT)?;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.cut();
    }
}

/// The answer, behind whatever happened meanwhile.
fn returned(qmp: &mut JsonLine, request: &Value) -> Value {
    qmp.send(request).expect("QEMU listens");
    loop {
        let answer = qmp.receive(QMP_LIMIT).expect("QEMU answers");
        if answer.get("event").is_none() {
            assert!(answer.get("error").is_none(), "{request}: {answer}");
            return answer["return"].clone();
        }
    }
}

fn arguments(machine: &Machine) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut add = |name: &str, value: String| all.extend([name.to_owned(), value]);
    add("-M", "virt,highmem=off,pflash0=boot,pflash1=nor".into());
    for (name, value) in [("-cpu", "cortex-a7"), ("-smp", "2"), ("-m", "256"), ("-display", "none")] {
        add(name, value.into());
    }
    add("-serial", "stdio".into());
    add("-monitor", "none".into());
    add("-qmp", format!("unix:{QMP_SOCKET},server=on,wait=off"));
    add("-rtc", "base=utc".into());
    add(
        "-blockdev",
        format!("driver=file,node-name=boot-file,read-only=on,filename={}", machine.boot.display()),
    );
    add("-blockdev", "driver=raw,node-name=boot,file=boot-file,read-only=on".into());
    let storage = &machine.storage;
    add("-blockdev", format!("driver=file,node-name=storage-file,filename={}", storage.path().display()));
    if let Some(log) = &machine.log {
        add("-blockdev", format!("driver=file,node-name=log-file,filename={}", log.display()));
        add("-blockdev", "driver=blklogwrites,node-name=logged,file=storage-file,log=log-file".into());
    }
    let kept = machine.kept();
    // Beside the way to the first disk, until it is taken: errno 5 is EIO.
    let failing = "inject-error.0.event=none,inject-error.0.iotype=write,inject-error.0.errno=5,inject-error.0.once=off";
    add("-blockdev", format!("driver=blkdebug,node-name={FAILING},image={kept},{failing}"));
    add("-blockdev", format!("driver=raw,node-name=nor,file={kept},offset=0,size={NOR_BYTES}"));
    let bytes = storage.disk_bytes();
    add("-blockdev", format!("driver=raw,node-name=disk0,file={kept},offset={NOR_BYTES},size={bytes}"));
    add("-device", "ich9-ahci,id=ahci".into());
    add("-device", "ide-hd,drive=disk0,bus=ahci.0,serial=first,share-rw=on".into());
    for (number, path) in (1..).zip(&machine.disks) {
        add("-blockdev", format!("driver=file,node-name=disk{number},filename={}", path.display()));
        add("-device", format!("ide-hd,drive=disk{number},bus=ahci.{number},serial=more{number}"));
    }
    add("-device", "qemu-xhci,id=usb".into());
    for (number, path) in (0..).zip(&machine.sticks) {
        add("-blockdev", format!("driver=file,node-name=stick{number},filename={}", path.display()));
        add("-device", format!("usb-storage,drive=stick{number},bus=usb.0,removable=on"));
    }
    let forwarded: String =
        machine.ports.iter().map(|(here, there)| format!(",hostfwd=tcp:127.0.0.1:{here}-:{there}")).collect();
    add("-netdev", format!("user,id=net0{forwarded}"));
    add("-device", "virtio-net-pci,netdev=net0,romfile=".into());
    add("-device", "virtio-rng-pci".into());
    add("-device", "i6300esb".into());
    add("-device", "virtio-serial-pci".into());
    add("-chardev", format!("socket,id=agent,path={AGENT_SOCKET},server=on,wait=off"));
    add("-device", "virtserialport,chardev=agent,name=candor.agent".into());
    for event in &machine.traced {
        add("-trace", format!("enable={event}"));
    }
    all.push("-nodefaults".into());
    all
}
