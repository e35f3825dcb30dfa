//! `cargo xtask emulate`: a board's image in QEMU, for a person.
//!
//! Flash and disk are files below target/emulate/ and are kept, so that what was set up and recorded is still there the
//! next time. Does not belong here: the tests' way of running a board (`tests/`).

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::image::{self, Places, run_tool};
use crate::workspace::{Failure, target};

/// The disk's size; the file takes only what is written.
const DISK_BYTES: u64 = 8 << 30;
/// QEMU's machine: no large addresses, which kernels of this class do not know; two cores of the class's kind.
const MACHINE: [&str; 8] = ["-M", "virt,highmem=off", "-cpu", "cortex-a7", "-smp", "2", "-m", "256"];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The board, as in board/boards/
    #[arg(long, value_name = "NAME")]
    board: String,
    /// Megabytes of flash: 16 holds one system, 64 holds two to fall back between
    #[arg(long, default_value = "16", value_parser = ["16", "64"])]
    nor: String,
    /// An image file to be its disk [default: one of 8 GB, made when there is none]
    #[arg(long, value_name = "FILE", conflicts_with = "no_disk")]
    disk: Option<PathBuf>,
    /// Run it without a disk
    #[arg(long)]
    no_disk: bool,
    /// An image file to be a USB stick
    #[arg(long, value_name = "FILE")]
    usb: Option<PathBuf>,
    /// Begin with the image's flash and an empty disk
    #[arg(long)]
    fresh: bool,
    /// The first of three ports to listen on; 0 for the usual ones
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    port_base: u16,
}

/// A port of the board, and where it is reached on this machine.
struct Forward {
    purpose: &'static str,
    scheme: &'static str,
    host: u16,
    guest: u16,
}

/// Makes the image, and becomes QEMU.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    image::make(&args.board)?;
    let forwards = forwards(args.port_base)?;
    check_free(&forwards)?;
    let places = Places::of(&args.board, false);
    let dir = target().join("emulate");
    fs::create_dir_all(&dir)?;
    let nor = dir.join(format!("{}-nor-{}.img", args.board, args.nor));
    keep(&places.nor(&args.nor), &nor, args.fresh)?;
    let disk = match (&args.disk, args.no_disk) {
        (Some(disk), _) => Some(disk.clone()),
        (None, true) => None,
        (None, false) => Some(own_disk(&dir.join(format!("{}-disk.img", args.board)), args.fresh)?),
    };
    let mut qemu = Command::new("qemu-system-arm");
    qemu.args(MACHINE).args([
        "-nographic",
        "-serial",
        "mon:stdio",
        "-device",
        "i6300esb",
        "-device",
        "virtio-rng-pci",
    ]);
    pflash(&mut qemu, 0, &places.boot(), ",readonly=on");
    pflash(&mut qemu, 1, &nor, "");
    qemu.args(["-device", "qemu-xhci"]);
    if let Some(stick) = &args.usb {
        drive(&mut qemu, "stick", stick);
        qemu.args(["-device", "usb-storage,drive=stick,removable=on"]);
    }
    if let Some(disk) = &disk {
        drive(&mut qemu, "disk", disk);
        qemu.args(["-device", "ich9-ahci,id=ahci", "-device", "ide-hd,drive=disk,bus=ahci.0"]);
    }
    let network: String = forwards
        .iter()
        .map(|forward| format!(",hostfwd=tcp:127.0.0.1:{}-:{}", forward.host, forward.guest))
        .collect();
    qemu.args(["-netdev", &format!("user,id=net{network}"), "-device", "virtio-net-pci,netdev=net,romfile="]);
    announce(&forwards, &nor, disk.as_deref());
    let error = qemu.exec();
    Err(format!("qemu-system-arm: {error}; `xtask/install.sh image` installs it").into())
}

fn forwards(base: u16) -> Result<[Forward; 3], Failure> {
    let host = |usual: u16, number: u16| match base {
        0 => Ok(usual),
        base => base.checked_add(number).ok_or("there are no three ports from there on"),
    };
    Ok([
        Forward { purpose: "web page", scheme: "https", host: host(8443, 0)?, guest: 443 },
        Forward { purpose: "RTSP, when enabled", scheme: "rtsp", host: host(8554, 1)?, guest: 554 },
        Forward { purpose: "RTSPS", scheme: "rtsps", host: host(8322, 2)?, guest: 322 },
    ])
}

fn check_free(forwards: &[Forward]) -> Result<(), Failure> {
    for Forward { host, purpose, .. } in forwards {
        TcpListener::bind((Ipv4Addr::LOCALHOST, *host)).map_err(|error| {
            format!("port {host}, for the {purpose}, cannot be used: {error}; try --port-base 9000")
        })?;
    }
    Ok(())
}

/// The board's own flash: the image's when there is none yet, else what the board has written.
fn keep(made: &Path, own: &Path, fresh: bool) -> Result<(), Failure> {
    if !fresh && own.exists() {
        if fs::metadata(made)?.modified()? > fs::metadata(own)?.modified()? {
            println!("==> the flash of an earlier run is kept; --fresh takes that of the image");
        }
        return Ok(());
    }
    fs::copy(made, own)?;
    Ok(())
}

fn own_disk(path: &Path, fresh: bool) -> Result<PathBuf, Failure> {
    if fresh || !path.exists() {
        let file = File::create(path)?;
        file.set_len(DISK_BYTES)?;
        drop(file);
        run_tool(
            Command::new("mkfs.ext4").env("PATH", with_sbin()).args(["-q", "-F", "-L", "candor"]).arg(path),
        )?;
    }
    Ok(path.to_owned())
}

/// Debian keeps mkfs where only root looks.
fn with_sbin() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

fn pflash(qemu: &mut Command, index: u8, file: &Path, mode: &str) {
    qemu.arg("-drive").arg(format!("if=pflash,format=raw,index={index},file={}{mode}", file.display()));
}

fn drive(qemu: &mut Command, id: &str, file: &Path) {
    qemu.arg("-drive").arg(format!("if=none,format=raw,id={id},file={}", file.display()));
}

fn announce(forwards: &[Forward], nor: &Path, disk: Option<&Path>) {
    println!("==> flash {}", nor.display());
    println!("==> disk {}", disk.map_or("none".to_owned(), |disk| disk.display().to_string()));
    for Forward { purpose, scheme, host, .. } in forwards {
        println!("==> {purpose}: {scheme}://127.0.0.1:{host}");
    }
    println!("==> the console follows, with the code for the first owner; Ctrl-A X switches the board off\n");
}
