//! The image that tests flash: found, and made different where a test asks.
//!
//! Does not belong here: the board that runs it (`board.rs`).

use std::env;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use board::{Board as Description, PartitionRole};

use crate::emulator_storage::NOR_BYTES;
use crate::programs::run;

/// What tools that pack images may take.
const LIMIT: Duration = Duration::from_secs(180);
/// A folder with another test image, such as one that was kept.
const OTHER_IMAGE: &str = "CANDOR_TEST_IMAGE";
/// In front of U-Boot's environment: its CRC.
const ENVIRONMENT_HEAD: usize = 4;

/// How the NOR chip is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// 16 MB: one stage, one slot.
    Nor16,
    /// 64 MB: two of each.
    Nor64,
}

impl Layout {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Nor16, Self::Nor64];

    /// As file names and the command line have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nor16 => "16",
            Self::Nor64 => "64",
        }
    }

    /// A partition's bytes of the second bank; `None` where the layout has none of the role.
    ///
    /// # Panics
    /// When the built-in description is not there.
    #[must_use]
    pub fn partition(self, role: PartitionRole) -> Option<Range<u64>> {
        let board = Description::builtin(&format!("virt-a7-{}", self.name())).expect("a built-in board");
        let flash = board.flash.first().expect("a board with flash");
        let partition = flash.partition(role)?;
        // The kernel sees both banks as one device.
        let start = partition.offset().checked_sub(NOR_BYTES)?;
        Some(start..start + partition.size.bytes())
    }

    /// What is erased at once.
    pub const ERASE_BLOCK: u64 = 256 << 10;
}

/// The folder that `cargo xtask image` filled.
#[derive(Clone, Debug)]
pub struct BoardImage {
    dir: PathBuf,
}

impl BoardImage {
    /// The test image.
    ///
    /// # Panics
    /// When nobody made one.
    #[must_use]
    pub fn find() -> Self {
        env::var_os(OTHER_IMAGE).map_or_else(|| Self::of("virt-a7"), |dir| Self { dir: dir.into() }.checked())
    }

    /// The test image with a media platform, of which the libraries are stand-ins.
    ///
    /// # Panics
    /// When nobody made one.
    #[must_use]
    pub fn with_media() -> Self {
        Self::of("virt-mpp")
    }

    fn of(board: &str) -> Self {
        Self { dir: target().join("image").join(format!("{board}-test")) }.checked()
    }

    fn checked(self) -> Self {
        for file in ["boot.img", "nor-16.img", "nor-64.img"] {
            assert!(
                self.dir.join(file).exists(),
                "{} is missing: run `cargo xtask image --board NAME --agent` first; `make test` does",
                self.dir.join(file).display()
            );
        }
        self
    }

    /// A file of it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The chip's contents.
    #[must_use]
    pub fn nor(&self, layout: Layout) -> PathBuf {
        self.file(&format!("nor-{}.img", layout.name()))
    }
}

/// Whether tests on the emulated board are to be left out; says so.
#[must_use]
pub fn no_emulator() -> bool {
    let left_out = env::var_os("CANDOR_NO_EMULATOR").is_some();
    if left_out {
        println!("SKIPPED: CANDOR_NO_EMULATOR is set, so nothing is run on the emulated board");
    }
    left_out
}

/// The build folder.
///
/// # Panics
/// When this program lies in none.
#[must_use]
pub fn target() -> PathBuf {
    // target/debug/deps/board_life-0123456789abcdef, or target/debug/torture.
    let test = env::current_exe().expect("a test knows its own path");
    let parts = test.ancestors().find(|dir| dir.join(".rustc_info.json").exists());
    parts.expect("tests lie in the build folder").to_owned()
}

/// U-Boot's environment with words more on the kernel's command line.
///
/// # Panics
/// When the environment has no `bootargs`, or cannot be packed.
#[must_use]
pub fn environment_with(environment: &[u8], words: &str, dir: &Path) -> Vec<u8> {
    let text = environment[ENVIRONMENT_HEAD..].split(|byte| *byte == 0).take_while(|entry| !entry.is_empty());
    let mut lines: Vec<String> = text.map(|entry| String::from_utf8_lossy(entry).into_owned()).collect();
    let arguments = lines.iter_mut().find(|line| line.starts_with("bootargs=")).expect("bootargs");
    arguments.push(' ');
    arguments.push_str(words);
    let (source, packed) = (dir.join("environment.txt"), dir.join("environment.bin"));
    fs::write(&source, lines.join("\n") + "\n").expect("a file can be written");
    let mut command = Command::new("mkenvimage");
    command.args(["-s", &environment.len().to_string(), "-o"]).arg(&packed).arg(&source);
    let done = run(LIMIT, &mut command);
    assert!(done.status.success(), "mkenvimage: {}", done.stderr);
    fs::read(packed).expect("the packed environment")
}

/// A root whose recorder cannot be run: `/bin/candor` is no program.
///
/// # Panics
/// When the root cannot be taken apart or packed.
#[must_use]
pub fn root_that_fails(root: &Path, dir: &Path) -> PathBuf {
    let (tree, packed) = (dir.join("failing-root"), dir.join("failing.squashfs"));
    let mut unpack = Command::new("unsquashfs");
    let done = run(LIMIT, unpack.args(["-q", "-n", "-d"]).arg(&tree).arg(root));
    assert!(done.status.success(), "unsquashfs: {}", done.stderr);
    fs::write(tree.join("bin/candor"), "not a program\n").expect("the tree can be changed");
    let mut pack = Command::new("mksquashfs");
    pack.arg(&tree).arg(&packed).args(["-quiet", "-no-progress", "-comp", "xz", "-all-root", "-noappend"]);
    let done = run(LIMIT, &mut pack);
    assert!(done.status.success(), "mksquashfs: {}", done.stderr);
    packed
}
