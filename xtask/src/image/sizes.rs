//! What takes the room: a table, and an error when it does not fit.

use std::fmt::Write;
use std::path::Path;

use board::{Board, PartitionRole};

use super::flash::header_bytes;
use super::root::RootFile;
use crate::workspace::Failure;

/// Files of the root that are named by themselves; smaller ones are summed up.
const WORTH_NAMING: u64 = 16 << 10;

/// What is to be measured.
pub(super) struct Parts<'a> {
    /// The compressed kernel.
    pub(super) kernel: &'a Path,
    /// The loader, and it with its keys, compressed.
    pub(super) loader: &'a Path,
    pub(super) initramfs: &'a Path,
    /// What goes into the partitions.
    pub(super) stage: &'a Path,
    pub(super) root: &'a Path,
    /// What is in the root.
    pub(super) files: &'a [RootFile],
}

/// The table for all layouts, and what does not fit.
pub(super) fn table(boards: &[(&str, Board)], parts: &Parts<'_>) -> Result<(String, Vec<String>), Failure> {
    let (stage, root) = (size(parts.stage)?, size(parts.root)?);
    let mut text = String::new();
    let mut faults = Vec::new();
    writeln!(text, "{:<34} {:>12} {:>12} {:>6}", "what", "bytes", "room", "used")?;
    for (layout, board) in boards {
        for flash in &board.flash {
            for partition in &flash.partitions {
                let (bytes, room, what) = match partition.role {
                    Some(PartitionRole::Recovery | PartitionRole::RecoveryB) => {
                        (stage, partition.size.bytes(), "stage")
                    }
                    Some(PartitionRole::Main | PartitionRole::MainB) => {
                        (root, partition.size.bytes() - header_bytes(flash)?, "root")
                    }
                    _ => continue,
                };
                row(&mut text, &format!("{layout} MB: {} ({what})", partition.name), bytes, Some(room))?;
                if bytes > room {
                    faults.push(format!(
                        "the {what} has {bytes} bytes, partition {} of layout {layout} {room}",
                        partition.name
                    ));
                }
            }
        }
        if let Some(limit) = board.budget.as_ref().and_then(|budget| budget.main_image)
            && root > limit.bytes()
        {
            faults.push(format!("the root has {root} bytes, the budget of {} is {limit}", board.name));
        }
    }
    writeln!(text)?;
    row(&mut text, "kernel, compressed", size(parts.kernel)?, None)?;
    row(&mut text, "initramfs, compressed", size(parts.initramfs)?, None)?;
    row(&mut text, "    loader, before", size(parts.loader)?, None)?;
    row(&mut text, "root, compressed", root, None)?;
    let (named, small): (Vec<_>, Vec<_>) = parts.files.iter().partition(|file| file.bytes >= WORTH_NAMING);
    for file in named {
        row(&mut text, &format!("    {}, before", file.name), file.bytes, None)?;
    }
    let rest = small.iter().map(|file| file.bytes).sum();
    row(&mut text, &format!("    {} small files, before", small.len()), rest, None)?;
    Ok((text, faults))
}

fn row(text: &mut String, what: &str, bytes: u64, room: Option<u64>) -> Result<(), Failure> {
    let (room, used) = room
        .map_or_else(Default::default, |room| (room.to_string(), format!("{} %", bytes * 100 / room.max(1))));
    Ok(writeln!(text, "{}", format!("{what:<34} {bytes:>12} {room:>12} {used:>6}").trim_end())?)
}

fn size(path: &Path) -> Result<u64, Failure> {
    Ok(std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?.len())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_does_not_fit_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: u64| {
            let path = dir.path().join(name);
            fs::File::create(&path).unwrap().set_len(bytes).unwrap();
            path
        };
        let (small, stage) = (file("small", 100), file("stage", 4608 << 10));
        let (fits, large) = (file("fits", 9 << 20), file("large", (9 << 20) + 1));
        let boards =
            [("16", Board::builtin("virt-a7-16").unwrap()), ("64", Board::builtin("virt-a7-64").unwrap())];
        let files = [
            RootFile { name: "bin/candor".into(), bytes: 20 << 10 },
            RootFile { name: "etc/a".into(), bytes: 5 },
        ];
        let of = |root: &Path| {
            let parts = Parts {
                kernel: &small,
                loader: &small,
                initramfs: &small,
                stage: &stage,
                root,
                files: &files,
            };
            table(&boards, &parts).unwrap()
        };
        let (text, faults) = of(&fits);
        assert_eq!(faults, Vec::<String>::new());
        assert!(text.contains("16 MB: recovery (stage)") && text.contains("100 %"), "{text}");
        assert!(text.contains("bin/candor, before") && !text.contains("etc/a"), "{text}");
        assert_eq!(of(&large).1.len(), 2, "the budget of both layouts");
    }
}
