//! The kernel: Debian's source and our fragment, built once for each of them.
//!
//! Does not belong here: the kernels of real boards, which their vendors' modules pin (Buildroot packs those).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache::Inputs;
use super::places::Places;
use super::tool;
use crate::workspace::Failure;

/// Debian's package, which unpacks to a folder of this name.
pub(super) const SOURCE: &str = "linux-source-6.1";
/// The compiler, without an instruction set of its own to choose: the kernel says which.
const CROSS: &str = "arm-linux-gnueabi-";
/// Modules of test images: a stand-in for I2C chips that tests talk to.
const TEST_MODULE: &str = "drivers/i2c/i2c-stub.ko";

/// A built kernel.
pub(super) struct Kernel {
    dir: PathBuf,
    /// `6.1.192-2`, as the package has it.
    pub(super) version: String,
}

impl Kernel {
    /// Compressed and bootable.
    pub(super) fn image(&self) -> PathBuf {
        self.dir.join("zImage")
    }

    /// The configuration that it was built with.
    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("config")
    }

    /// The module that test images carry.
    pub(super) fn test_module(&self) -> PathBuf {
        self.dir.join("i2c-stub.ko")
    }
}

/// Takes the kernel from the cache, or builds it there: about 3 minutes on two cores.
pub(super) fn build(places: &Places, board: &str) -> Result<Kernel, Failure> {
    let fragment = places.buildroot_board().join(board).join("linux.fragment");
    let version = package_version(SOURCE)?;
    let compiler = tool::run(Command::new(format!("{CROSS}gcc")).arg("--version"))?;
    let key = Inputs::of("kernel 1").text(&version).text(&compiler).file(&fragment)?.key();
    let dir = places.cache.join(format!("kernel-{}", &key[..16]));
    let kernel = Kernel { dir, version };
    if !kernel.image().exists() {
        println!("    Linux {} for the first time, or with another {}", kernel.version, fragment.display());
        compile(places, &kernel.dir, &fragment)?;
    }
    Ok(kernel)
}

fn compile(places: &Places, dir: &Path, fragment: &Path) -> Result<(), Failure> {
    let work = places.cache.join("kernel-work");
    // Named by what it is for: a build that was stopped goes on where it was.
    let unpacked = work.join(dir.file_name().unwrap_or_default());
    if !unpacked.exists() {
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(&work)?;
        let archive = format!("/usr/src/{SOURCE}.tar.xz");
        tool::run(Command::new("tar").args(["-xf", &archive, "-C"]).arg(&work))?;
        fs::write(&unpacked, "")?;
    }
    let make = |targets: &[&str]| {
        let mut make = Command::new("make");
        // Nothing of this machine and this day goes into it.
        make.envs([
            ("KBUILD_BUILD_TIMESTAMP", "@0"),
            ("KBUILD_BUILD_USER", "candor"),
            ("KBUILD_BUILD_HOST", "candor"),
        ])
        .env("KCONFIG_ALLCONFIG", fragment)
        .env_remove("MAKEFLAGS")
        .current_dir(work.join(SOURCE))
        .args(["ARCH=arm", &format!("CROSS_COMPILE={CROSS}")])
        .args(targets);
        make
    };
    tool::run(&mut make(&["allnoconfig"]))?;
    check_config(fragment, &work.join(SOURCE).join(".config"))?;
    let jobs = format!("-j{}", std::thread::available_parallelism()?);
    tool::run_counted(&mut make(&[&jobs, "zImage", "modules"]), "kernel files")?;
    let built = work.join(SOURCE);
    let half = dir.with_extension("half");
    let _ = fs::remove_dir_all(&half);
    fs::create_dir_all(&half)?;
    fs::copy(built.join(".config"), half.join("config"))?;
    let module = half.join("i2c-stub.ko");
    fs::copy(built.join(TEST_MODULE), &module)?;
    tool::run(Command::new(format!("{CROSS}strip")).arg("--strip-debug").arg(&module))?;
    fs::copy(built.join("arch/arm/boot/zImage"), half.join("zImage"))?;
    fs::rename(&half, dir)?;
    // More than a gigabyte.
    fs::remove_dir_all(&work)?;
    Ok(())
}

/// A switch that hangs on another which is off is dropped without a word; here it is an error.
fn check_config(fragment: &Path, config: &Path) -> Result<(), Failure> {
    let config = fs::read_to_string(config)?;
    let missing = missing(&fs::read_to_string(fragment)?, &config);
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("{}: the kernel's configuration did not take {}", fragment.display(), missing.join(", "))
        .into())
}

fn missing(fragment: &str, config: &str) -> Vec<String> {
    let wanted = fragment.lines().filter(|line| line.starts_with("CONFIG_"));
    let taken = |line: &str| match line.split_once('=') {
        Some((name, "n")) => {
            !config.lines().any(|set| set.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
        }
        _ => config.lines().any(|set| set == line),
    };
    wanted.filter(|line| !taken(line)).map(str::to_owned).collect()
}

/// The version of an installed Debian package.
pub(super) fn package_version(package: &str) -> Result<String, Failure> {
    tool::run(Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_that_was_dropped_is_told() {
        let fragment = "# why\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_C=n\nCONFIG_D=n\nCONFIG_E=0x0\n";
        let config = "CONFIG_A=y\n# CONFIG_C is not set\nCONFIG_D=y\nCONFIG_DD=y\nCONFIG_E=0x0\n";
        assert_eq!(missing(fragment, config), ["CONFIG_B=m", "CONFIG_D=n"]);
    }
}
