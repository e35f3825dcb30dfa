//! What the host can ask for: `{"op":"read","path":"/proc/uptime"}` and so on.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::statvfs::statvfs;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime, clock_settime};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::{gpio_sim, i2c, memory, system_calls};

/// More of one file than this is not sent.
const MAX_READ: u64 = 256 * 1024;
/// Folders in folders: more are a mistake.
const MAX_DEPTH: u32 = 12;

/// Does it; what comes back is the answer's `ok`.
#[allow(clippy::useless_conversion, reason = "times and sizes are 32 or 64 bits wide, as the board's are")]
pub(crate) fn perform(request: &Value) -> Result<Value, Failure> {
    let done = Value::Null;
    match text(request, "op")? {
        "ping" => Ok(json!({ "uptime_ms": clock_ms(ClockId::CLOCK_BOOTTIME)? })),
        "read" => read(&path(request)?),
        "write" => {
            // As it is, not made anew: `/proc` and `/sys` do not let files be made.
            let mut file = File::options().write(true).open(path(request)?)?;
            file.write_all(text(request, "text")?.as_bytes())?;
            Ok(done)
        }
        "create" => {
            fs::write(path(request)?, text(request, "text")?)?;
            Ok(done)
        }
        "remove" => {
            fs::remove_file(path(request)?)?;
            Ok(done)
        }
        "list" => {
            let mut names = Vec::new();
            for entry in fs::read_dir(path(request)?)? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.sort();
            Ok(names.into())
        }
        "walk" => {
            let mut files = Vec::new();
            walk(&path(request)?, 0, &mut files)?;
            Ok(files.into())
        }
        "mounts" => mounts(),
        "processes" => memory::processes(),
        "signal" => {
            let signal = Signal::try_from(i32::try_from(number(request, "signal")?)?)?;
            kill(Pid::from_raw(i32::try_from(number(request, "pid")?)?), signal)?;
            Ok(done)
        }
        // Process 1 takes no SIGSTOP. A tracer stops it all the same, for as long as this program runs.
        "hold" => {
            let pid = Pid::from_raw(i32::try_from(number(request, "pid")?)?);
            ptrace::seize(pid, ptrace::Options::empty())?;
            ptrace::interrupt(pid)?;
            Ok(done)
        }
        "sysrq" => {
            fs::write("/proc/sysrq-trigger", text(request, "key")?)?;
            Ok(done)
        }
        "insmod" => {
            let parameters = request["parameters"].as_str().unwrap_or_default();
            system_calls::load_module(&File::open(path(request)?)?, parameters)?;
            Ok(done)
        }
        "gpio_pull" => {
            let up = request["up"].as_bool().ok_or("up: true or false")?;
            gpio_sim::pull(u32::try_from(number(request, "line")?)?, up)?;
            Ok(done)
        }
        "gpio_level" => Ok(gpio_sim::level(u32::try_from(number(request, "line")?)?)?.into()),
        "i2c_bus" => Ok(i2c::bus_named(text(request, "name")?)?.into()),
        "i2c_register" => {
            let byte = |name| -> Result<u8, Failure> { Ok(u8::try_from(number(request, name)?)?) };
            let value = if request["value"].is_null() { None } else { Some(byte("value")?) };
            let bus = u32::try_from(number(request, "bus")?)?;
            Ok(i2c::register(bus, byte("chip")?, byte("register")?, value)?.into())
        }
        "front_end" => {
            let bus = u32::try_from(number(request, "bus")?)?;
            let menu =
                if request["menu"].is_null() { None } else { Some(number(request, "menu")?.try_into()?) };
            i2c::front_end(bus, u8::try_from(number(request, "address")?)?, text(request, "chip")?, menu)
        }
        "clock" => Ok(json!({ "unix_ms": clock_ms(ClockId::CLOCK_REALTIME)? })),
        "set_clock" => {
            let ms = number(request, "unix_ms")?;
            let time = TimeSpec::new((ms / 1000).try_into()?, ((ms % 1000) * 1_000_000).try_into()?);
            clock_settime(ClockId::CLOCK_REALTIME, time)?;
            Ok(done)
        }
        "space" => {
            let space = statvfs(&path(request)?)?;
            let block = u64::from(space.fragment_size());
            Ok(
                json!({ "free": u64::from(space.blocks_available()) * block, "total": u64::from(space.blocks()) * block }),
            )
        }
        "allocate" => {
            let file = File::create(path(request)?)?;
            fallocate(&file, FallocateFlags::empty(), 0, number(request, "bytes")?.try_into()?)?;
            Ok(done)
        }
        "try_run" => try_run(&path(request)?),
        other => Err(format!("there is no operation {other}").into()),
    }
}

fn read(path: &Path) -> Result<Value, Failure> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_READ).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned().into())
}

/// Files and links below a folder of one file system.
fn walk(folder: &Path, depth: u32, files: &mut Vec<Value>) -> Result<(), Failure> {
    if depth > MAX_DEPTH {
        return Err(format!("{} lies too deep", folder.display()).into());
    }
    let device = fs::symlink_metadata(folder)?.dev();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let meta = fs::symlink_metadata(&path)?;
        let kind = meta.file_type();
        if kind.is_dir() {
            if meta.dev() == device {
                walk(&path, depth + 1, files)?;
            }
            continue;
        }
        let mut head = Vec::new();
        if kind.is_file() {
            File::open(&path)?.take(4).read_to_end(&mut head)?;
        }
        files.push(json!({
            "path": path,
            "link": fs::read_link(&path).ok(),
            "device": kind.is_block_device() || kind.is_char_device(),
            "mode": meta.permissions().mode() & 0o7777,
            "uid": meta.uid(),
            "bytes": meta.len(),
            "program": head.starts_with(b"\x7fELF"),
            "script": head.starts_with(b"#!"),
        }));
    }
    Ok(())
}

fn mounts() -> Result<Value, Failure> {
    let table = fs::read_to_string("/proc/self/mounts")?;
    let mounts = table.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (what, on, kind, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let options: Vec<_> = options.split(',').collect();
        Some(json!({ "what": what, "on": on, "type": kind, "options": options }))
    });
    Ok(mounts.collect::<Vec<_>>().into())
}

/// Copies this program into a folder and runs the copy: whether the file system there allows that.
fn try_run(folder: &Path) -> Result<Value, Failure> {
    let copy = folder.join("board-agent-copy");
    fs::copy("/bin/board-agent", &copy)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    let ran = Command::new(&copy).arg("ran").status();
    fs::remove_file(&copy)?;
    Ok(match ran {
        Ok(status) => json!({ "ran": status.success() }),
        Err(error) => json!({ "ran": false, "errno": error.raw_os_error() }),
    })
}

#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions, reason = "as in `perform`")]
fn clock_ms(clock: ClockId) -> Result<i64, Failure> {
    let time = clock_gettime(clock)?;
    Ok(i64::try_from(time.tv_sec())? * 1000 + i64::try_from(time.tv_nsec())? / 1_000_000)
}

fn path(request: &Value) -> Result<PathBuf, Failure> {
    Ok(text(request, "path")?.into())
}

fn text<'a>(request: &'a Value, name: &str) -> Result<&'a str, Failure> {
    request[name].as_str().ok_or_else(|| format!("{name}: a text is missing").into())
}

fn number(request: &Value, name: &str) -> Result<i64, Failure> {
    request[name].as_i64().ok_or_else(|| format!("{name}: a number is missing").into())
}
