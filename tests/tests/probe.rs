//! `candor probe`, as an owner runs it: what it says, and that it changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use board::Board;
use tests::{Done, program, run};

/// It takes a blink; a busy machine takes longer.
const LIMIT: Duration = Duration::from_secs(60);

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

/// Everything that a write, a new file or a removal would change.
fn state(root: &Path) -> BTreeMap<PathBuf, (u32, u64, i64, i64)> {
    let (mut all, mut left) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        all.insert(path, (metadata.mode(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()));
    }
    all
}

#[test]
fn a_board_is_told_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware/probe/tests/testdata/n6708g5");
    copy(&tree, dir.path());
    // Physical memory, of which only the identity register is not zero.
    let memory = fs::File::create(dir.path().join("dev/mem")).unwrap();
    memory.set_len(0x1206_0000).unwrap();
    memory.write_all_at(&0x3536_D100_u32.to_ne_bytes(), 0x1205_0EE0).unwrap();
    let before = state(dir.path());
    let probe = |more: &[&str]| -> Done {
        let mut command = Command::new(program("candor"));
        run(LIMIT, command.arg("probe").arg("--root").arg(dir.path()).args(more).current_dir(dir.path()))
            .flawless()
    };

    let text = probe(&[]).text();
    assert!(text.contains("hi3536dv100 (by its identity register, identity 0x3536d100)"), "{text}");
    let (_, draft) = text.split_once("A description to start from (docs/porting.md):\n").unwrap();
    let board = Board::parse("printed", draft).unwrap();
    assert_eq!(board.flash[0].partitions.len(), 7);

    let json: serde_json::Value = serde_json::from_str(&probe(&["--json"]).text()).unwrap();
    assert_eq!(json["soc"]["source"], "chip-id");
    assert_eq!(json["i2c"]["answers"], serde_json::Value::Null);
    assert_eq!(json["draft"].as_str().unwrap().trim(), draft.trim());

    assert_eq!(state(dir.path()), before);
}
