//! The real `mpp-host` with each C library that it is built for.
//!
//! It loads a library that steps into what vendors' libraries step into (`testdata/libc/traps.c`), compiled here so
//! that it asks for the names that theirs ask for; `cargo xtask media` makes the hosts. The host does not know its
//! version and says so in its words, in which it tells what went wrong. docs/mpp-host.md has the table that these
//! tests hold.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use mpp_wire::{
    Begin, FaultKind, FromHost, PackReader, SystemPlan, ToHost, VERSION, receive, ring_bytes, send,
};
use tempfile::TempDir;
use tests::{finish, media_folder, no_emulator, run};

/// An emulated ARM program, and a compiler, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
/// A page.
const PAGE: u64 = 4096;
/// Where media memory may lie.
const FAR: u64 = 0x8400_0000;
/// What vendors' libraries of uClibc ask for by name.
const UCLIBC_NAMES: [&str; 3] = ["libm.so.0", "libc.so.0", "ld-uClibc.so.0"];
/// And those of glibc.
const GLIBC_NAMES: [&str; 2] = ["libm.so.6", "libc.so.6"];

/// What runs the host.
#[derive(Clone, Copy, Debug)]
enum Libc {
    Glibc,
    MuslWithShim,
    MuslAlone,
}

impl Libc {
    /// `qemu-arm`, so that absolute paths are looked for where this C library lies first.
    fn emulator(self) -> Command {
        let mut command = Command::new("qemu-arm");
        command.arg("-L").arg(self.root());
        if matches!(self, Self::MuslWithShim) {
            command.args(["-E", "LD_PRELOAD=/lib/libmppshim.so"]);
        }
        command
    }

    fn root(self) -> PathBuf {
        match self {
            Self::Glibc => media_folder(),
            Self::MuslWithShim | Self::MuslAlone => media_folder().join("musl"),
        }
    }
}

/// A folder with the files that traps are set with.
fn traps() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = File::create(folder.path().join("pages")).expect("a file");
    pages.set_len(2 * PAGE).expect("room");
    pages.write_all_at(b"the first page", 0).expect("a write");
    pages.write_all_at(b"the second page", PAGE).expect("a write");
    pages.set_permissions(fs::Permissions::from_mode(0o640)).expect("a mode");
    // Sizes and times lie at other places in other structures.
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    pages.set_times(fs::FileTimes::new().set_modified(then)).expect("times");
    let far = File::create(folder.path().join("far")).expect("a file");
    far.write_all_at(b"far up", FAR).expect("a file may have holes");
    far.set_len(FAR + PAGE).expect("room");
    folder
}

/// Compiles for 32-bit ARM as the vendor's toolchain did: soft floats in calls, no unaligned access, stack protector.
fn compile(arguments: &[&str], to: &Path) {
    let mut compiler = Command::new("arm-linux-gnueabi-gcc");
    compiler
        .args(["-march=armv7-a", "-mfloat-abi=soft", "-mno-unaligned-access", "-O2", "-Wall", "-Werror"])
        .args(["-fno-builtin", "-nostdlib", "-o"])
        .arg(to)
        .args(arguments);
    let _ = run(LIMIT, &mut compiler).flawless();
}

fn source(name: &str) -> String {
    format!("{}/testdata/libc/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The library, asking for `needed`, of which there are only stubs where it is linked.
fn library(folder: &Path, needed: &[&str], defined: &[&str]) -> PathBuf {
    let stubs = folder.join("stubs");
    fs::create_dir_all(&stubs).expect("a folder");
    let path = folder.join("libtraps.so");
    let traps = source("traps.c");
    let mut arguments = vec!["-shared", "-fPIC", "-fstack-protector-all"];
    arguments.extend(defined);
    arguments.push(&traps);
    arguments.push("-Wl,--no-as-needed");
    let stubs: Vec<String> = needed
        .iter()
        .map(|name| {
            let stub = stubs.join(name);
            compile(&["-shared", &format!("-Wl,-soname,{name}"), "-xc", "/dev/null"], &stub);
            stub.display().to_string()
        })
        .collect();
    arguments.extend(stubs.iter().map(String::as_str));
    compile(&arguments, &path);
    path
}

/// The host's first word to a client that names that library.
fn first_word(libc: Libc, traps: &Path, library: &Path) -> (FaultKind, String) {
    let ring = traps.join("ring");
    let file =
        File::options().read(true).write(true).create(true).truncate(true).open(&ring).expect("a ring");
    file.set_len(ring_bytes(0) as u64).expect("room for a ring");
    let _reader = PackReader::create(&file).expect("a ring");
    let (mut socket, theirs) = UnixStream::pair().expect("a socket");
    socket.set_read_timeout(Some(LIMIT)).expect("a time-out");
    let mut command = libc.emulator();
    command.arg(libc.root().join("bin/mpp-host")).env("TRAPS", traps);
    command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
    let mut host = command.spawn().expect("qemu-arm, which `xtask/install.sh test` installs");
    drop(command);
    let begin = Begin {
        version: VERSION,
        ring: ring.display().to_string(),
        libraries: vec![library.display().to_string()],
        user: None,
        system: SystemPlan::default(),
    };
    send(&mut socket, &ToHost::Begin(Box::new(begin))).expect("the host reads");
    let word = receive(&mut socket).expect("a message");
    assert!(finish(&mut host, LIMIT).is_some(), "a host that refused ends");
    match word {
        Some(FromHost::Refused(fault)) => (fault.kind, fault.message),
        other => panic!("{libc:?}: {other:?}"),
    }
}

/// The library's words, out of the host's.
#[track_caller]
fn told(libc: Libc, traps: &Path, library: &Path) -> String {
    let (kind, message) = first_word(libc, traps, library);
    assert_eq!(kind, FaultKind::Unsupported, "{libc:?}: {message}");
    let from = message.find("traps:").unwrap_or_else(|| panic!("{libc:?}: {message}"));
    message[from..].chars().take_while(|c| c.is_ascii_lowercase() || " :".contains(*c)).collect()
}

#[test]
fn a_library_of_uclibc_finds_what_it_expects_under_glibc_and_under_musl_with_the_shim() {
    if no_emulator() {
        return;
    }
    let traps = traps();
    let library = library(traps.path(), &UCLIBC_NAMES, &[]);
    for libc in [Libc::Glibc, Libc::MuslWithShim] {
        assert_eq!(told(libc, traps.path(), &library), "traps: none", "{libc:?}");
    }
}

#[test]
fn without_the_shim_musl_takes_another_offset_and_fills_another_structure() {
    if no_emulator() {
        return;
    }
    let traps = traps();
    // The dynamic loader's name is the shim's in that root: a library that needs it would bring the shim, too late.
    let library = library(traps.path(), &UCLIBC_NAMES[..2], &[]);
    let wrong = told(Libc::MuslAlone, traps.path(), &library);
    assert_eq!(wrong, "traps: mmap far anonymous stat large");
}

#[test]
fn a_library_of_an_old_glibc_runs_under_both_and_not_without_the_shim() {
    if no_emulator() {
        return;
    }
    let traps = traps();
    let library = library(traps.path(), &GLIBC_NAMES, &["-DOLD_GLIBC"]);
    for libc in [Libc::Glibc, Libc::MuslWithShim] {
        assert_eq!(told(libc, traps.path(), &library), "traps: none", "{libc:?}");
    }
    let (kind, message) = first_word(Libc::MuslAlone, traps.path(), &library);
    assert_eq!(kind, FaultKind::NotFound, "{message}");
    assert!(message.contains("__xstat") && message.contains("not found"), "{message}");
}

#[test]
fn tables_of_uclibc_are_the_shims() {
    if no_emulator() {
        return;
    }
    let traps = traps();
    let library = library(traps.path(), &UCLIBC_NAMES[..2], &["-DUCLIBC_TABLES"]);
    assert_eq!(told(Libc::MuslWithShim, traps.path(), &library), "traps: none");
    for libc in [Libc::Glibc, Libc::MuslAlone] {
        let (kind, message) = first_word(libc, traps.path(), &library);
        assert_eq!(kind, FaultKind::NotFound, "{message}");
        assert!(message.contains("__ctype_b") || message.contains("__ctype_toupper"), "{libc:?}: {message}");
    }
}

#[test]
fn the_programs_own_calls_are_musls_with_the_shim_in_front() {
    if no_emulator() {
        return;
    }
    let traps = traps();
    let program = traps.path().join("program");
    let musl = Libc::MuslAlone.root().join("lib/ld-musl-arm.so.1");
    fs::copy(musl, traps.path().join("libc.so")).expect("musl, by the name that it is linked by");
    let linked = [
        "-fPIE",
        "-pie",
        "-Wl,--dynamic-linker=/lib/ld-musl-arm.so.1",
        &source("program.c"),
        &format!("-L{}", traps.path().display()),
        "-lc",
    ];
    compile(&linked, &program);
    for libc in [Libc::MuslAlone, Libc::MuslWithShim] {
        let done = run(LIMIT, libc.emulator().arg(&program).env("TRAPS", traps.path())).flawless();
        assert_eq!(done.text(), "right", "{libc:?}");
    }
}
