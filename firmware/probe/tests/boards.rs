//! What the probe says of boards whose facts owners published (testdata/README.md).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use board::Board;
use probe::{Facts, Hardware, SocSource, draft, report};
use proptest::prelude::*;

fn testdata(board: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata").join(board)
}

/// Registers and a bus, with a note of what was asked.
#[derive(Default)]
struct Known {
    registers: BTreeMap<u64, u32>,
    ask: bool,
    asked: Vec<(u32, u8)>,
}

impl Hardware for Known {
    fn register(&mut self, address: u64) -> Result<u32, String> {
        self.registers.get(&address).copied().ok_or_else(|| "no such device".to_owned())
    }

    fn i2c_asked(&self) -> bool {
        self.ask
    }

    fn i2c_answers(&mut self, bus: u32, address: u8) -> Result<bool, String> {
        self.asked.push((bus, address));
        Ok(address == 0x30)
    }
}

fn gather(root: &Path) -> Facts {
    Facts::gather(root, &mut Known::default())
}

fn facts(board: &str) -> Facts {
    gather(&testdata(board))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}

#[test]
fn each_board_is_told_and_drafted() {
    for name in ["dhb-ax", "n6708g5"] {
        let facts = facts(name);
        insta::assert_snapshot!(format!("{name}-report"), report(&facts));
        let draft = draft(&facts);
        Board::parse(name, &draft).unwrap_or_else(|error| panic!("{error}\n{draft}"));
        insta::assert_snapshot!(format!("{name}-draft"), draft);
        insta::assert_snapshot!(format!("{name}-json"), serde_json::to_string_pretty(&facts).unwrap());
    }
}

/// What is drafted from a board's facts is what its description, written by hand from the same source, says.
#[test]
fn a_draft_agrees_with_the_description_that_ships() {
    for name in ["dhb-ax", "n6708g5"] {
        let drafted = Board::parse(name, &draft(&facts(name))).unwrap();
        let shipped = Board::builtin(name).unwrap();
        assert_eq!(drafted.soc.model, shipped.soc.model);
        assert_eq!(drafted.capture, shipped.capture);
        let (memory, ours) = (drafted.memory.unwrap(), shipped.memory.unwrap());
        assert_eq!((memory.bank, memory.linux), (ours.bank, ours.linux));
        let sizes = |flash: &[board::Flash]| {
            let parts = flash.iter().flat_map(|chip| &chip.partitions);
            parts.map(|part| (part.name.clone(), part.offset(), part.size)).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&drafted.flash), sizes(&shipped.flash));
        let chips =
            |flash: &[board::Flash]| flash.iter().map(|chip| (chip.kind, chip.size)).collect::<Vec<_>>();
        assert_eq!(chips(&drafted.flash), chips(&shipped.flash));
    }
}

#[test]
fn a_system_that_shows_nothing_is_drafted_too() {
    let dir = tempfile::tempdir().unwrap();
    let facts = gather(dir.path());
    Board::parse("empty", &draft(&facts)).unwrap();
    insta::assert_snapshot!("nothing-draft", draft(&facts));
    assert!(facts.missed.iter().any(|missed| missed.path == "/proc/cmdline"));
}

#[test]
fn a_decoder_is_drafted_from_its_drivers_node_or_its_module() {
    let dir = tempfile::tempdir().unwrap();
    copy(&testdata("dhb-ax"), dir.path());
    fs::write(
        dir.path().join("proc/modules"),
        "nvp6134_ex 1 0 - Live 0x0 (O)\nhi3521a_base 1 0 - Live 0x0 (PO)\n",
    )
    .unwrap();
    let by_module = Board::parse("drafted", &draft(&gather(dir.path()))).unwrap();
    assert_eq!(by_module.front_ends[0].chip, board::DecoderChip::Nvp6134);
    fs::write(dir.path().join("dev/tp2823dev"), "").unwrap();
    let text = draft(&gather(dir.path()));
    let by_node = Board::parse("drafted", &text).unwrap();
    assert_eq!(by_node.front_ends[0].chip, board::DecoderChip::Tp2823);
    assert!(text.contains("device = \"/dev/tp2823dev\""), "{text}");
}

/// What does not fit is told and commented out, and the rest is still a description.
#[test]
fn a_table_that_does_not_fit_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    copy(&testdata("dhb-ax"), dir.path());
    let zone = "+---ZONE: PHYS(0x80100000, 0x801FFFFF), GFP=0, nBYTES=1024KB, NAME=\"low\"\n";
    fs::write(dir.path().join("proc/media-mem"), zone).unwrap();
    let draft = draft(&gather(dir.path()));
    assert!(draft.contains("# left out: ") && draft.contains("\n# linux = \"224M\"\n"), "{draft}");
    let board = Board::parse("drafted", &draft).unwrap();
    assert!(board.memory.is_none() && board.flash.len() == 2);
}

/// The identity register outranks what the kernel says, and is read at the place that the UART points to.
#[test]
fn the_chips_own_number_is_read() {
    let registers = [(0x1205_0EE0, 0x3536_C100), (0x1205_0EE4, 0), (0x1205_0EE8, 0), (0x1205_0EEC, 0)];
    let mut hardware = Known { registers: registers.into(), ..Known::default() };
    let soc = Facts::gather(&testdata("n6708g5"), &mut hardware).soc;
    assert_eq!((soc.model, soc.source), (Some("hi3536cv100"), Some(SocSource::ChipId)));
    assert_eq!(soc.chip_id, Some(0x3536_C100));
    // Without a UART that points there, nobody looks.
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(Facts::gather(empty.path(), &mut hardware).soc.chip_id, None);
}

#[test]
fn nobody_on_a_bus_is_asked_unless_told_to() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("sys/class/i2c-dev/i2c-1")).unwrap();
    let mut hardware = Known::default();
    assert_eq!(Facts::gather(dir.path(), &mut hardware).i2c.answers, None);
    assert_eq!(hardware.asked, []);
    hardware.ask = true;
    let answers = Facts::gather(dir.path(), &mut hardware).i2c.answers.unwrap();
    assert_eq!(answers.iter().map(|a| (a.bus, a.address)).collect::<Vec<_>>(), [(1, 0x30)]);
    assert!(hardware.asked.iter().all(|(bus, _)| *bus == 1) && hardware.asked.len() > 8);
}

/// Everything about a tree that a write would change.
fn state(root: &Path) -> BTreeMap<PathBuf, (u32, u64, i64, i64, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if metadata.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let times = (metadata.mtime(), metadata.mtime_nsec());
        all.insert(path, (metadata.mode(), metadata.len(), times.0, times.1, content));
    }
    all
}

#[test]
fn a_tree_is_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    copy(&testdata("dhb-ax"), dir.path());
    fs::File::create(dir.path().join("dev/mem")).unwrap();
    for path in state(dir.path()).keys().filter(|path| path.is_file()) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
    }
    let before = state(dir.path());
    let facts = gather(dir.path());
    assert_eq!(facts.soc.model, Some("hi3531"));
    assert_eq!(state(dir.path()), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a vendor's files hold, the draft is a description.
    #[test]
    fn any_files_give_a_description(
        mem in "[0-9]{1,12}[KMG]?(@0x8)?",
        parts in "(hi_sfc|hinand|x):[-0-9KM@x(),a-c\"']{0,40}(;y:[0-9]{1,3}[KM]\\([a-b]\\)(,-\\(c\\))?)?",
        zones in prop::collection::vec((any::<u32>(), any::<u32>(), "[a-z\"\\\\]{0,4}"), 0..4),
        mtd in prop::collection::vec((any::<u32>(), any::<u32>(), "[a-c]{1}"), 0..4),
        model in "(Hi3521A|Hi3531D|hi3536c|none)",
        console in "[a-zA-Z0-9,\"\\\\]{0,12}",
    ) {
        let dir = tempfile::tempdir().unwrap();
        let proc = dir.path().join("proc");
        fs::create_dir(&proc).unwrap();
        fs::write(proc.join("cmdline"), format!("mem={mem} mtdparts={parts} console=tty{console}")).unwrap();
        fs::write(proc.join("cpuinfo"), format!("processor : 0\nHardware : {model}\n")).unwrap();
        let zones = zones.iter().map(|(first, last, name)| {
            format!("+---ZONE: PHYS(0x{first:08X}, 0x{last:08X}), GFP=0, nBYTES=1KB, NAME=\"{name}\"\n")
        });
        fs::write(proc.join("media-mem"), zones.collect::<String>()).unwrap();
        let mtd = mtd.iter().enumerate().map(|(n, (size, block, name))| {
            format!("mtd{n}: {size:08x} {block:08x} \"{name}\"\n")
        });
        fs::write(proc.join("mtd"), format!("dev:    size   erasesize  name\n{}", mtd.collect::<String>())).unwrap();
        let text = draft(&gather(dir.path()));
        if let Err(error) = Board::parse("drafted", &text) {
            panic!("{error}\n{text}");
        }
    }
}
