//! The root file system of a slot: Buildroot's overlay, and the programs.
//!
//! A tree is laid out in a folder first, so that anyone can look at it, and then packed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache::{Inputs, make};
use super::ext4_seed;
use super::kernel::Kernel;
use super::media::{Media, link_uclibc_names};
use super::places::Places;
use super::programs::Programs;
use super::source::Source;
use super::tool;
use crate::workspace::Failure;

/// Packed at once. Larger packs better but costs more memory and time for each page that is read again.
const BLOCK: &str = "256K";
/// What a file is unless the device table says otherwise.
const FILE_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;

/// A file of the root, for the size table.
#[derive(Clone, Debug)]
pub(super) struct RootFile {
    /// Its path in the root.
    pub(super) name: String,
    /// Unpacked.
    pub(super) bytes: u64,
}

/// Lays out the tree and packs it.
pub(super) fn build(
    places: &Places,
    source: &Source,
    programs: &Programs,
    kernel: &Kernel,
    root_keys: &[u8],
) -> Result<Vec<RootFile>, Failure> {
    let common = places.buildroot_board().join("common");
    let (overlay, table) = (common.join("overlay"), common.join("device_table.txt"));
    let tree = places.out.join("root");
    let mut files = vec![(programs.candor.clone(), "bin/candor".to_owned())];
    if let Some(agent) = &programs.agent {
        files.push((agent.clone(), "bin/board-agent".to_owned()));
        files.push((kernel.test_module(), "lib/modules/i2c-stub.ko".to_owned()));
    }
    files.extend(programs.media.iter().flat_map(Media::files));
    let _ = fs::remove_dir_all(&tree);
    copy_overlay(&overlay, &tree)?;
    for (from, name) in &files {
        let to = tree.join(name);
        fs::create_dir_all(to.parent().unwrap_or(&tree))?;
        fs::copy(from, &to).map_err(|error| format!("{}: {error}", from.display()))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(FOLDER_MODE))?;
    }
    if programs.media.is_some() {
        link_uclibc_names(&tree)?;
    }
    if programs.agent.is_some() {
        // The first program of a test image is the tests' own; it starts the recorder.
        let init = tree.join("sbin/init");
        fs::remove_file(&init)?;
        symlink("../bin/board-agent", init)?;
    }
    let release = format!(
        "NAME=Candor\nID=candor\nVERSION_ID={}\nBUILD_ID={}\nPRETTY_NAME=\"Candor {}\"\n",
        source.version, source.commit, source.version
    );
    fs::write(tree.join("etc/os-release"), release)?;
    // The loader trusts its own copy, in the stage; this is for checking a bundle without one.
    fs::create_dir_all(tree.join("etc/candor"))?;
    fs::write(tree.join("etc/candor/root-keys.json"), root_keys)?;
    ext4_seed::build(&places.out, &tree.join("usr/share/candor/ext4.seed"))?;
    apply_table(&fs::read_to_string(&table)?, &tree)?;
    let listed = list(&tree, &tree)?;
    let mut inputs = Inputs::of("root 1").text(BLOCK).text(&source.epoch.to_string());
    for entry in &listed {
        inputs = entry.feed(inputs, &tree)?;
    }
    let epoch = source.epoch.to_string();
    make(&places.root(), inputs, || {
        let mut pack = Command::new("mksquashfs");
        // These come from the arguments; mksquashfs refuses to be told twice.
        pack.env_remove("SOURCE_DATE_EPOCH").arg(&tree).arg(places.root());
        pack.args(["-noappend", "-no-progress", "-quiet", "-comp", "xz", "-Xbcj", "arm", "-b", BLOCK]);
        pack.args(["-all-root", "-no-xattrs", "-no-exports", "-all-time", &epoch, "-mkfs-time", &epoch]);
        tool::run(&mut pack).map(drop)
    })?;
    Ok(listed.into_iter().filter_map(|entry| entry.file).collect())
}

fn copy_overlay(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(FOLDER_MODE))?;
    for entry in fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))? {
        let entry = entry?;
        let (source, target, kind) = (entry.path(), to.join(entry.file_name()), entry.file_type()?);
        if kind.is_dir() {
            copy_overlay(&source, &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else {
            fs::copy(&source, &target)?;
            fs::set_permissions(&target, fs::Permissions::from_mode(FILE_MODE))?;
        }
    }
    Ok(())
}

/// Makes the table's folders and gives its files their modes. Owners other than root and device nodes are refused:
/// nothing in a root needs them, and nobody but root could lay them out.
fn apply_table(table: &str, tree: &Path) -> Result<(), Failure> {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, kind @ ("d" | "f"), mode, "0", "0", ..] = fields[..] else {
            return Err(
                format!("the device table's line is neither a folder nor a file of root: {line}").into()
            );
        };
        let path = tree.join(name.trim_start_matches('/'));
        if kind == "d" {
            fs::create_dir_all(&path)?;
        }
        let mode = u32::from_str_radix(mode, 8).map_err(|error| format!("{line}: {error}"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
            .map_err(|error| format!("{line}: {error}"))?;
    }
    Ok(())
}

struct Entry {
    path: PathBuf,
    mode: u32,
    link: Option<PathBuf>,
    file: Option<RootFile>,
}

impl Entry {
    fn feed(&self, inputs: Inputs, tree: &Path) -> Result<Inputs, Failure> {
        let name = self.path.strip_prefix(tree)?.to_string_lossy().into_owned();
        let inputs = inputs.text(&name).text(&format!("{:o}", self.mode));
        match (&self.link, &self.file) {
            (Some(link), _) => Ok(inputs.text(&link.to_string_lossy())),
            (None, Some(_)) => inputs.file(&self.path),
            (None, None) => Ok(inputs),
        }
    }
}

/// Everything below `dir`, in the order of names.
fn list(dir: &Path, tree: &Path) -> Result<Vec<Entry>, Failure> {
    let mut paths =
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.sort();
    let mut entries = Vec::new();
    for path in paths {
        let meta = fs::symlink_metadata(&path)?;
        let link = meta.is_symlink().then(|| fs::read_link(&path)).transpose()?;
        let name = path.strip_prefix(tree)?.to_string_lossy().into_owned();
        let file = meta.is_file().then_some(RootFile { name, bytes: meta.len() });
        entries.push(Entry { path: path.clone(), mode: meta.permissions().mode(), link, file });
        if meta.is_dir() {
            entries.extend(list(&path, tree)?);
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_makes_folders_and_sets_modes() {
        let tree = tempfile::tempdir().unwrap();
        fs::write(tree.path().join("program"), "").unwrap();
        let table = "# why\n/tmp d 1777 0 0 - - - - -\n/program f 755 0 0 - - - - -\n";
        apply_table(table, tree.path()).unwrap();
        let mode = |name: &str| fs::metadata(tree.path().join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("tmp"), mode("program")), (0o1777, 0o755));
        for bad in [
            "/dev/null c 666 0 0 1 3 0 0 -",
            "/home d 755 1000 1000 - - - - -",
            "/x d 9 0 0",
            "/none f 644 0 0",
        ] {
            assert!(apply_table(bad, tree.path()).is_err(), "{bad}");
        }
    }
}
