//! The cross compiler: which Rust, and `zig cc` as linker and C library.
//!
//! rustup's standard library where it is installed; else Debian's Rust, which brings the library's source, so that
//! the library is built with the program.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::places::Places;
use super::source::Source;
use super::tool;
use crate::workspace::{self, Failure};

/// ARMv7, soft floats in calls, static musl: runs on every kernel of this class, whatever its C library.
pub(super) const TARGET: &str = "armv7-unknown-linux-musleabi";
/// The same, dynamic, for what shares a process with a vendor's library: the oldest glibc that Rust's library takes.
pub(super) const DYNAMIC_TARGET: &str = "armv7-unknown-linux-gnueabi";
const DYNAMIC_LIBC: &str = ".2.17";
/// Debian's Rust with its library's source.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LIBRARY: &str = "/usr/lib/rustlib/src/rust/library/Cargo.lock";

/// Where the standard library comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// Prebuilt, from `rustup target add`.
    Rustup,
    /// Built here, from Debian's package of its source.
    Debian,
}

impl Route {
    fn to(target: &str) -> Result<Self, Failure> {
        let installed = Command::new("rustup").args(["target", "list", "--installed"]).output();
        let has_target = installed
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).lines().any(|line| line == target));
        if has_target {
            return Ok(Self::Rustup);
        }
        if Path::new(DEBIAN_RUSTC).exists() && Path::new(DEBIAN_LIBRARY).exists() {
            return Ok(Self::Debian);
        }
        Err(format!(
            "no Rust for {target}. Either `rustup target add {target}`, or Debian's packages rustc-web, cargo-web and \
             rust-web-src"
        )
        .into())
    }
}

/// Installs what is missing.
pub(super) fn install() -> Result<(), Failure> {
    tool::run_shown(Command::new("xtask/install.sh").arg("image").current_dir(workspace::root()))
}

/// A cross compiler that is there.
#[derive(Clone, Debug)]
pub(super) struct Toolchain {
    route: Route,
    dynamic_route: Route,
    /// The core, as GCC names it: for the programs and the libraries in C that they contain.
    cpu: String,
    /// For a person, and for the size table: what compiled this.
    pub(super) words: String,
}

impl Toolchain {
    /// Installs what is missing and looks what there is.
    pub(super) fn find(cpu: &str) -> Result<Self, Failure> {
        install()?;
        let (route, dynamic_route) = (Route::to(TARGET)?, Route::to(DYNAMIC_TARGET)?);
        let rustc = if route == Route::Debian { DEBIAN_RUSTC } else { "rustc" };
        let words = tool::run(Self::plain(&mut Command::new(rustc)).arg("--version"))?.trim().to_owned();
        Ok(Self { route, dynamic_route, cpu: cpu.to_owned(), words })
    }

    /// `cargo auditable zigbuild` for the board, to be given packages and features.
    pub(super) fn cargo(&self, places: &Places, source: &Source) -> Result<Command, Failure> {
        self.command(places, source, self.route, (TARGET, ""), &static_flags(self.route))
    }

    /// The same for what shares a process with a vendor's library.
    pub(super) fn dynamic_cargo(&self, places: &Places, source: &Source) -> Result<Command, Failure> {
        self.command(places, source, self.dynamic_route, (DYNAMIC_TARGET, DYNAMIC_LIBC), &[])
    }

    /// The same for musl, where the kernel is too old for glibc. Whoever links statically by itself is told not to.
    pub(super) fn musl_cargo(&self, places: &Places, source: &Source) -> Result<Command, Failure> {
        let flags = ["-Ctarget-feature=-crt-static", "-Clink-arg=-dynamic"];
        self.command(places, source, self.route, (TARGET, ""), &flags)
    }

    fn command(
        &self,
        places: &Places,
        source: &Source,
        route: Route,
        target: (&str, &str),
        flags: &[&str],
    ) -> Result<Command, Failure> {
        let cpu = format!("-Ctarget-cpu={}", self.cpu);
        let c = format!("-mcpu={}", self.cpu.replace('-', "_"));
        let flags = [&[cpu.as_str()], flags].concat();
        command(places, source, route, target, "board", &flags, &c)
    }

    fn path(places: &Places, route: Route) -> Result<OsString, Failure> {
        let ours = [places.toolchain.join("venv/bin"), places.toolchain.join("bin")];
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let inherited: Vec<_> = std::env::split_paths(&inherited).collect();
        // Debian's cargo and rustc, not rustup's of the same name.
        let debian = (route == Route::Debian).then(|| Path::new("/usr/bin").to_owned());
        Ok(std::env::join_paths(ours.into_iter().chain(debian).chain(inherited))?)
    }

    /// Without what the outer cargo and rustup told this program: it is about another compiler.
    pub(super) fn plain(command: &mut Command) -> &mut Command {
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let keep = ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_HTTP_CAINFO", "CARGO_BUILD_JOBS"];
            let told = [
                "CARGO",
                "RUSTC",
                "RUSTFLAGS",
                "RUSTUP_TOOLCHAIN",
                "RUST_RECURSION_COUNT",
                "LD_LIBRARY_PATH",
            ];
            if told.iter().any(|prefix| text.starts_with(prefix)) && !keep.contains(&text.as_ref()) {
                command.env_remove(&name);
            }
        }
        command
    }
}

/// `cargo auditable zigbuild` for a static program on any machine of a musl target, to be given packages.
pub(super) fn static_cargo(
    places: &Places,
    source: &Source,
    target: &str,
    profile: &str,
) -> Result<Command, Failure> {
    let route = Route::to(target)?;
    command(places, source, route, (target, ""), profile, &static_flags(route), "")
}

/// What links statically against zig's musl.
fn static_flags(route: Route) -> Vec<&'static str> {
    let mut flags = vec!["-Ctarget-feature=+crt-static"];
    if route == Route::Debian {
        // Its library is built here; what a linker for musl needs besides is zig's.
        flags.push("-Clink-self-contained=no");
    }
    flags
}

/// The cross compiler with options for Rust and for the C in it.
fn command(
    places: &Places,
    source: &Source,
    route: Route,
    (target, libc): (&str, &str),
    profile: &str,
    flags: &[&str],
    c: &str,
) -> Result<Command, Failure> {
    fs::create_dir_all(&places.cross)?;
    let mut cargo = Command::new(places.toolchain.join("bin/cargo-auditable"));
    Toolchain::plain(&mut cargo)
        .args(["auditable", "zigbuild", "--locked", "--profile", profile, "--target"])
        .arg(format!("{target}{libc}"))
        .current_dir(&places.source)
        .env("PATH", Toolchain::path(places, route)?)
        .env("CARGO_TARGET_DIR", &places.cross)
        .env("ZIG_GLOBAL_CACHE_DIR", places.toolchain.join("zig-cache"))
        .env("ZIG_LOCAL_CACHE_DIR", places.toolchain.join("zig-cache"))
        .env("CARGO_ZIGBUILD_CACHE_DIR", places.toolchain.join("zigbuild"))
        .env("SOURCE_DATE_EPOCH", source.epoch.to_string())
        .env("CANDOR_COMMIT", &source.commit);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    // No folder of this machine in a program. What depends on the folder of the source, cargo is not told.
    let tools = fixed_folders()?;
    let maps = tools.iter().map(|(path, name)| format!(" -ffile-prefix-map={path}={name}"));
    let c = format!("{c}{}", maps.collect::<String>());
    cargo.env(format!("CFLAGS_{}", target.replace('-', "_")), c.trim_start());
    // Of several that match, the compiler takes the last: the most particular stands last.
    let ours = [(text(&places.source)?, "/candor"), (text(&places.cross)?, "/candor/target/cross")];
    let all = tools.iter().map(|(path, name)| (path.as_str(), *name)).chain(ours);
    let remap: Vec<String> = all.map(|(path, name)| format!("--remap-path-prefix={path}={name}")).collect();
    cargo.env("RUSTC_WRAPPER", workspace::root().join("xtask/rustc-remapped.sh"));
    cargo.env("CANDOR_REMAP", remap.join("\u{1f}"));
    if route == Route::Debian {
        // The library's source is as stable as the compiler it comes with; the switch to build it is not.
        cargo.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
    }
    Ok(cargo)
}

/// Where other people's sources lie, whatever folder an image is built in, and what that is called in programs.
fn fixed_folders() -> Result<[(String, &'static str); 2], Failure> {
    let home = std::env::var_os("HOME").unwrap_or_else(|| OsString::from("/"));
    let cargo_home = std::env::var_os("CARGO_HOME").unwrap_or_else(|| Path::new(&home).join(".cargo").into());
    let cargo_home = fs::canonicalize(&cargo_home).unwrap_or_else(|_| cargo_home.into());
    Ok([(text(&cargo_home)?.to_owned(), "/cargo"), ("/usr/lib/rustlib/src/rust".to_owned(), "/rust")])
}

fn text(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| format!("{}: a path that is no UTF-8", path.display()).into())
}
