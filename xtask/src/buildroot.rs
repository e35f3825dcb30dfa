//! `cargo xtask buildroot`: checks our Buildroot files; what its scripts call.
//!
//! Without a tree: every symbol that our configurations set is in buildroot/symbols.txt, with a value of its type.
//! With one: that list is what the tree says, and every line of a configuration is still there once Buildroot
//! itself has read it. Does not belong here: building with Buildroot (docs/buildroot.md).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Subcommand;

use crate::image::{self, Made, PackArgs};
use crate::workspace::{Failure, root, target};

/// Folders of a Buildroot tree that hold Config.in files, beside the top one.
const TREE_FOLDERS: [&str; 8] = ["arch", "boot", "fs", "linux", "package", "system", "toolchain", "utils"];
/// What Buildroot builds for the target; anything else would bring files that nobody asked for, such as a shell.
const PACKAGES: [&str; 13] = [
    "candor",
    "candor-blobs",
    "gcc-final",
    "linux",
    "linux-headers",
    "musl",
    "musl-compat-headers",
    "rootfs-squashfs",
    "skeleton",
    "skeleton-init-common",
    "skeleton-init-none",
    "toolchain",
    "toolchain-buildroot",
];
/// Where a symbol that was taken away lives on as an error message: not a place to find symbols in.
const LEGACY: &str = "Config.in.legacy";

#[derive(Debug, Subcommand)]
pub(crate) enum Args {
    /// Check every symbol of the configurations in buildroot/configs
    Check {
        /// A Buildroot tree of the pinned release; without one buildroot/symbols.txt is what is checked against
        #[arg(long)]
        tree: Option<PathBuf>,
        /// Write buildroot/symbols.txt from the tree
        #[arg(long, requires = "tree")]
        write: bool,
    },
    /// Make stage, bundle and flash images from what Buildroot built; called by its post-image script
    Pack(PackArgs),
    /// Write the root document that the keys belong to; called while Buildroot installs the program
    Keys {
        #[command(flatten)]
        made: Made,
        /// The file to write
        #[arg(long)]
        out: PathBuf,
    },
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match args {
        Args::Check { tree, write } => check(tree.as_deref(), *write),
        Args::Pack(args) => image::pack(args),
        Args::Keys { made, out } => image::write_root_keys(made, out),
    }
}

fn check(tree: Option<&Path>, write: bool) -> Result<(), Failure> {
    let external = root().join("buildroot");
    let list = external.join("symbols.txt");
    let head = Head::read(&list)?;
    let used = used(&external)?;
    let known = match tree {
        None => listed(&fs::read_to_string(&list)?)?,
        Some(tree) => {
            let known = scan(tree)?;
            head.check_release(tree)?;
            let text = head.list(&known, &used);
            if write {
                fs::write(&list, text)?;
            } else if fs::read_to_string(&list)? != text {
                return Err(
                    format!("{} is not what the tree says: run again with --write", list.display()).into()
                );
            }
            known
        }
    };
    let ours = scan_external(&external)?;
    let faults = faults(&used, &known, &ours);
    if !faults.is_empty() {
        return Err(faults.join("\n").into());
    }
    println!("buildroot: {} symbols, all in release {}", used.symbols().len(), head.release);
    tree.map_or(Ok(()), |tree| round_trip(tree, &external))
}

/// The lines of symbols.txt that a person writes.
struct Head {
    release: String,
    commit: String,
}

impl Head {
    fn read(list: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(list).map_err(|error| format!("{}: {error}", list.display()))?;
        let line = |key: &str| {
            let found =
                text.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(key)?.strip_prefix(' '));
            found.map(str::to_owned).ok_or_else(|| format!("{}: no line '# {key} ...'", list.display()))
        };
        Ok(Self { release: line("release")?, commit: line("commit")? })
    }

    fn check_release(&self, tree: &Path) -> Result<(), Failure> {
        let makefile = fs::read_to_string(tree.join("Makefile"))?;
        let found = makefile.lines().find_map(|line| line.strip_prefix("export BR2_VERSION := "));
        match found {
            Some(release) if release == self.release => Ok(()),
            found => Err(format!(
                "{} is Buildroot {}, pinned is {}",
                tree.display(),
                found.unwrap_or("of no release"),
                self.release
            )
            .into()),
        }
    }

    /// The whole file: what we use of the tree, with types.
    fn list(&self, known: &Symbols, used: &Used) -> String {
        let mut text = format!(
            "# Symbols of Buildroot that our configurations use, by `cargo xtask buildroot check --tree DIR --write`.\n\
             # release {}\n# commit {}\n",
            self.release, self.commit
        );
        for symbol in used.symbols() {
            if let Some(kind) = known.get(symbol) {
                text.push_str(&format!("{symbol} {}\n", kind.name()));
            }
        }
        text
    }
}

/// The types that Kconfig has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Text,
    Number,
    Hex,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Bool, Self::Text, Self::Number, Self::Hex];

    const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Text => "string",
            Self::Number => "int",
            Self::Hex => "hex",
        }
    }

    fn takes(self, value: &str) -> bool {
        match self {
            // Buildroot has no modules: `m` is no value.
            Self::Bool => value == "y",
            Self::Text => value.len() >= 2 && value.starts_with('"') && value.ends_with('"'),
            Self::Number => value.parse::<i64>().is_ok(),
            Self::Hex => {
                value.strip_prefix("0x").is_some_and(|digits| u64::from_str_radix(digits, 16).is_ok())
            }
        }
    }
}

type Symbols = BTreeMap<String, Kind>;

/// A line of a configuration: `value` is `None` for `# SYMBOL is not set`.
struct Setting {
    place: String,
    symbol: String,
    value: Option<String>,
}

/// What our files say about symbols.
struct Used {
    settings: Vec<Setting>,
    /// Symbols that our Config.in files refer to, with the place.
    referred: Vec<(String, String)>,
}

impl Used {
    fn symbols(&self) -> BTreeSet<&str> {
        let set = self.settings.iter().map(|setting| setting.symbol.as_str());
        set.chain(self.referred.iter().map(|(symbol, _)| symbol.as_str())).collect()
    }
}

fn used(external: &Path) -> Result<Used, Failure> {
    let mut settings = Vec::new();
    for path in configs(external)? {
        let text = fs::read_to_string(&path)?;
        for (number, line) in (1..).zip(text.lines()) {
            let place = format!("{}:{number}", path.strip_prefix(root()).unwrap_or(&path).display());
            match parse_setting(line) {
                Ok(Some((symbol, value))) => settings.push(Setting { place, symbol, value }),
                Ok(None) => {}
                Err(advice) => return Err(format!("{place}: {advice}").into()),
            }
        }
    }
    let mut referred = Vec::new();
    for path in config_ins(external)? {
        let text = fs::read_to_string(&path)?;
        for (number, line) in (1..).zip(text.lines()) {
            let place = format!("{}:{number}", path.strip_prefix(root()).unwrap_or(&path).display());
            referred.extend(symbols_in(line).map(|symbol| (symbol, place.clone())));
        }
    }
    Ok(Used { settings, referred })
}

/// The configurations, in the order of their names.
fn configs(external: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut paths: Vec<PathBuf> = fs::read_dir(external.join("configs"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, Failure>>()?;
    paths.sort();
    if paths.is_empty() {
        return Err("buildroot/configs is empty".into());
    }
    Ok(paths)
}

fn parse_setting(line: &str) -> Result<Option<(String, Option<String>)>, &'static str> {
    if let Some(symbol) = line.strip_prefix("# BR2_").and_then(|rest| rest.strip_suffix(" is not set")) {
        return Ok(Some((format!("BR2_{symbol}"), None)));
    }
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    match line.split_once('=') {
        Some((symbol, value)) if symbol.starts_with("BR2_") => {
            Ok(Some((symbol.to_owned(), Some(value.to_owned()))))
        }
        _ => Err("neither BR2_SYMBOL=VALUE nor '# BR2_SYMBOL is not set' nor a comment"),
    }
}

/// The symbols that a line of a Config.in refers to; a path in quotes names variables, not symbols.
fn symbols_in(line: &str) -> impl Iterator<Item = String> {
    let words = line
        .split('"')
        .step_by(2)
        .flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    words.filter(|word| word.starts_with("BR2_") && *word != "BR2_").map(str::to_owned)
}

fn scan(tree: &Path) -> Result<Symbols, Failure> {
    let mut symbols = Symbols::new();
    scan_file(&tree.join("Config.in"), &mut symbols)?;
    for folder in TREE_FOLDERS.iter().map(|folder| tree.join(folder)).filter(|folder| folder.is_dir()) {
        for path in config_ins(&folder)? {
            scan_file(&path, &mut symbols)?;
        }
    }
    Ok(symbols)
}

fn scan_external(external: &Path) -> Result<Symbols, Failure> {
    let mut symbols = Symbols::new();
    for path in config_ins(external)? {
        scan_file(&path, &mut symbols)?;
    }
    Ok(symbols)
}

fn scan_file(path: &Path, symbols: &mut Symbols) -> Result<(), Failure> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    scan_text(&text, symbols);
    Ok(())
}

/// The symbols that a Config.in defines, with their types.
fn scan_text(text: &str, symbols: &mut Symbols) {
    let mut symbol: Option<&str> = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("config" | "menuconfig") if !line.starts_with(char::is_whitespace) => symbol = words.next(),
            Some(word) => {
                let kind = Kind::ALL.into_iter().find(|kind| kind.name() == word);
                if let (Some(symbol), Some(kind)) = (symbol, kind) {
                    symbols.entry(symbol.to_owned()).or_insert(kind);
                }
            }
            None => {}
        }
    }
}

/// All Config.in files below a folder.
fn config_ins(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            found.extend(config_ins(&path)?);
        } else if name.starts_with("Config.") && name != LEGACY {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The symbols of symbols.txt.
fn listed(text: &str) -> Result<Symbols, Failure> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (symbol, kind) =
                line.split_once(' ').ok_or_else(|| format!("symbols.txt: '{line}' has no type"))?;
            let kind = Kind::ALL.into_iter().find(|known| known.name() == kind);
            Ok((symbol.to_owned(), kind.ok_or_else(|| format!("symbols.txt: '{line}' has no type"))?))
        })
        .collect()
}

/// A line for each symbol that is not there, and for each value that is not of its type.
fn faults(used: &Used, known: &Symbols, ours: &Symbols) -> Vec<String> {
    let kind = |symbol: &str| known.get(symbol).or_else(|| ours.get(symbol)).copied();
    let mut faults = Vec::new();
    for Setting { place, symbol, value } in &used.settings {
        match (kind(symbol), value) {
            (None, _) => faults.push(format!("{place}: {symbol} is not in the pinned release")),
            (Some(Kind::Bool), None) => {}
            (Some(kind), Some(value)) if kind.takes(value) => {}
            (Some(kind), value) => {
                let value = value.as_deref().unwrap_or("is not set");
                faults.push(format!("{place}: {symbol} is of type {}: {value}", kind.name()));
            }
        }
    }
    for (symbol, place) in &used.referred {
        if kind(symbol).is_none() {
            faults.push(format!("{place}: {symbol} is not in the pinned release"));
        }
    }
    faults
}

/// Lets Buildroot read each configuration and looks for every line in what it makes of it: a symbol whose
/// dependencies are not met is dropped without a word.
fn round_trip(tree: &Path, external: &Path) -> Result<(), Failure> {
    let mut lost = Vec::new();
    for config in configs(external)? {
        let name = config.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let output = target().join("buildroot-check").join(&name);
        fs::create_dir_all(&output)?;
        let made = Command::new("make")
            .args(["-s", "-C"])
            .arg(tree)
            .arg(format!("O={}", output.display()))
            .arg(format!("BR2_EXTERNAL={}", external.display()))
            .arg(&name)
            .output()?;
        if !made.status.success() {
            return Err(format!("make {name}: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        let result = fs::read_to_string(output.join(".config"))?;
        let result: BTreeSet<&str> = result.lines().collect();
        let text = fs::read_to_string(&config)?;
        let wanted: Vec<&str> =
            text.lines().filter(|line| matches!(parse_setting(line), Ok(Some(_)))).collect();
        let missing: Vec<&&str> = wanted.iter().filter(|line| !holds(&result, line)).collect();
        println!("buildroot: {name}: {} of {} lines kept", wanted.len() - missing.len(), wanted.len());
        let shown = Command::new("make").args(["-s", "-C"]).arg(&output).arg("show-targets").output()?;
        let shown = String::from_utf8(shown.stdout)?;
        let others =
            shown.split_whitespace().filter(|name| !name.starts_with("host-") && !PACKAGES.contains(name));
        lost.extend(others.map(|package| format!("{name}: Buildroot also builds {package}")));
        lost.extend(missing.iter().map(|line| format!("{name}: Buildroot drops {line}")));
    }
    if lost.is_empty() { Ok(()) } else { Err(lost.join("\n").into()) }
}

/// A symbol that is off is also off when it isn't offered at all.
fn holds(result: &BTreeSet<&str>, line: &str) -> bool {
    result.contains(line)
        || line.strip_prefix("# ").and_then(|line| line.strip_suffix(" is not set")).is_some_and(|symbol| {
            !result.iter().any(|line| line.strip_prefix(symbol).is_some_and(|rest| rest.starts_with('=')))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_configurations_use_symbols_of_the_pinned_release() {
        check(None, false).unwrap();
    }

    #[test]
    fn a_symbol_that_is_not_there_is_found() {
        let mut known = Symbols::new();
        scan_text("config BR2_a\n\tbool \"a\"\n\thelp\n\t  string\nmenuconfig BR2_b\n\tstring\n", &mut known);
        assert_eq!(known, Symbols::from([("BR2_a".into(), Kind::Bool), ("BR2_b".into(), Kind::Text)]));
        let setting = |symbol: &str, value: Option<&str>| Setting {
            place: "x".into(),
            symbol: symbol.into(),
            value: value.map(str::to_owned),
        };
        let faults_of = |setting| {
            let used = Used { settings: vec![setting], referred: Vec::new() };
            faults(&used, &known, &Symbols::new()).len()
        };
        assert_eq!(faults_of(setting("BR2_a", Some("y"))), 0);
        assert_eq!(faults_of(setting("BR2_a", None)), 0);
        assert_eq!(faults_of(setting("BR2_a", Some("m"))), 1);
        assert_eq!(faults_of(setting("BR2_b", Some("\"text\""))), 0);
        assert_eq!(faults_of(setting("BR2_b", Some("text"))), 1);
        assert_eq!(faults_of(setting("BR2_b", None)), 1);
        assert_eq!(faults_of(setting("BR2_c", Some("y"))), 1);
    }

    /// Runs a script of buildroot/scripts; whether it was content.
    fn script(name: &str, args: &[&Path]) -> bool {
        let script = root().join("buildroot/scripts").join(name);
        let output = Command::new(script).args(args).output().unwrap();
        output.status.success()
    }

    fn file(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn only_the_blobs_of_the_manifest_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (blobs, manifest) = (dir.path().join("blobs"), dir.path().join("manifest"));
        let check = || script("check-blobs.sh", &[&blobs, &manifest]);
        file(&blobs.join("modules/a.ko"), "a\n");
        // Buildroot's own mark.
        file(&blobs.join(".stamp_rsynced"), "");
        let hash = "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7";
        file(&manifest, &format!("{hash}  modules/a.ko\n"));
        assert!(check());
        file(&blobs.join("lib/b.so"), "b\n");
        assert!(!check(), "a file that the manifest does not name");
        fs::remove_file(blobs.join("lib/b.so")).unwrap();
        file(&manifest, &format!("{hash}  modules/a.ko\n{hash}  modules/c.ko\n"));
        assert!(!check(), "a file that is missing");
        file(&manifest, &format!("{hash}  ../modules/a.ko\n"));
        assert!(!check(), "a path out of the folder");
        file(&manifest, &format!("{hash}  modules/a.ko\n"));
        file(&blobs.join("modules/a.ko"), "x\n");
        assert!(!check(), "another content");
    }

    #[test]
    fn a_root_is_the_overlay_and_the_program_and_no_shell() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path();
        let overlay = root().join("buildroot/board/common/overlay/.");
        assert!(Command::new("cp").arg("-a").args([&overlay, target]).status().unwrap().success());
        for name in [
            "bin/candor",
            "etc/candor/os-release",
            "etc/candor/root-keys.json",
            "etc/shadow",
            "etc/profile.d/x",
            "opt/vendor/lib/libmpi.so",
            "lib/libc.so.6",
        ] {
            file(&target.join(name), name);
        }
        assert!(Command::new("chmod").arg("755").arg(target.join("bin/candor")).status().unwrap().success());
        assert!(script("post-build.sh", &[target, Path::new("virt-a7")]));
        assert_eq!(fs::read_to_string(target.join("etc/os-release")).unwrap(), "etc/candor/os-release");
        assert!(target.join("opt/vendor/lib/libmpi.so").exists() && target.join("etc/passwd").exists());
        assert!(!target.join("etc/shadow").exists() && !target.join("etc/profile.d").exists());
        assert!(!target.join("lib").exists(), "a C library without mpp-host is nobody's");
        file(&target.join("usr/bin/ash"), "");
        assert!(!script("post-build.sh", &[target, Path::new("virt-a7")]));
    }

    #[test]
    fn mpp_host_is_kept_with_its_c_library_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path();
        let overlay = root().join("buildroot/board/common/overlay/.");
        assert!(Command::new("cp").arg("-a").args([&overlay, target]).status().unwrap().success());
        let kept = ["bin/mpp-host", "lib/ld-linux.so.3", "lib/libc.so.6", "lib/libmppshim.so"];
        let of_candor = ["bin/candor", "etc/candor/os-release", "etc/candor/root-keys.json"];
        for name in kept.into_iter().chain(of_candor).chain(["lib/libz.so.1", "lib/firmware/x"]) {
            file(&target.join(name), name);
        }
        for program in ["bin/candor", "bin/mpp-host"] {
            assert!(Command::new("chmod").arg("755").arg(target.join(program)).status().unwrap().success());
        }
        assert!(script("post-build.sh", &[target, Path::new("hi3521a")]));
        assert!(kept.iter().all(|name| target.join(name).exists()));
        assert!(!target.join("lib/libz.so.1").exists() && !target.join("lib/firmware").exists());
    }

    #[test]
    fn symbols_of_a_line_leave_quoted_paths_out() {
        let symbols = |line| symbols_in(line).collect::<Vec<_>>();
        assert_eq!(symbols("\tdepends on BR2_a && !BR2_b"), ["BR2_a", "BR2_b"]);
        assert!(symbols("source \"$BR2_EXTERNAL_CANDOR_PATH/package/candor/Config.in\"").is_empty());
    }

    #[test]
    fn what_is_off_may_be_absent_but_not_on() {
        let result = BTreeSet::from(["BR2_a=y", "# BR2_b is not set"]);
        assert!(
            holds(&result, "BR2_a=y")
                && holds(&result, "# BR2_b is not set")
                && holds(&result, "# BR2_c is not set")
        );
        assert!(!holds(&result, "# BR2_a is not set") && !holds(&result, "BR2_c=y"));
    }
}
