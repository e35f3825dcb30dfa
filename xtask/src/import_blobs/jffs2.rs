//! JFFS2: a log of nodes; the newest of each name and piece counts.
//!
//! Only files with recognised names are put together. Does not belong here: a node's form (`jffs2_node.rs`).

use std::collections::BTreeMap;

use super::jffs2_node::{Node, Piece, length, node};
use super::keep::Keep;
use super::limits::{MAX_DEPTH, MAX_FILE_BYTES, MAX_NODES};

/// Nodes begin at multiples of this.
pub(super) const ALIGN: usize = 4;
/// The root folder's inode.
const ROOT: u32 = 1;
const FILE_KIND: u32 = 0o170_000;

struct Name {
    version: u32,
    inode: u32,
}

/// Reads all nodes of a partition.
pub(super) fn read(image: &[u8], keep: &mut Keep) {
    let mut names: BTreeMap<(u32, &[u8]), Name> = BTreeMap::new();
    let mut pieces: BTreeMap<u32, Vec<Piece<'_>>> = BTreeMap::new();
    let (mut at, mut nodes, mut damaged) = (0, 0_usize, 0_usize);
    while let Some(rest) = image.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(total) = length(rest) else {
            at += ALIGN;
            continue;
        };
        nodes += 1;
        if nodes > MAX_NODES {
            keep.problem("more nodes than a recorder has; the rest is not read");
            break;
        }
        match node(rest, total) {
            Node::Name { folder, version, inode, name } => {
                let newest = names.entry((folder, name)).or_insert(Name { version, inode });
                if version >= newest.version {
                    *newest = Name { version, inode };
                }
            }
            Node::Piece(piece) => pieces.entry(piece.inode).or_default().push(piece),
            Node::Other { damaged: false } => {}
            // Its length may be wrong, too: the next one is looked for right behind the header.
            Node::Other { damaged: true } => {
                damaged += 1;
                at += ALIGN;
                continue;
            }
        }
        at = at.saturating_add(total.next_multiple_of(ALIGN));
    }
    if damaged > 0 {
        // What was written when the power went is damaged in a good partition, too.
        keep.note(&format!("{damaged} damaged nodes of {nodes}"));
    }
    let folders: BTreeMap<u32, (u32, &[u8])> = names
        .iter()
        .filter(|(_, name)| name.inode != 0)
        .map(|((folder, text), name)| (name.inode, (*folder, *text)))
        .collect();
    for ((folder, text), name) in &names {
        let path = path(&folders, *folder, text);
        let Some(pieces) = pieces.get_mut(&name.inode) else { continue };
        pieces.sort_by_key(|piece| piece.version);
        let Some(newest) = pieces.last() else { continue };
        match newest.mode & FILE_KIND {
            0o100_000 if keep.wants(&path, newest.file_size.into()) => match content(pieces) {
                Ok(bytes) => keep.take(&path, bytes),
                Err(why) => keep.problem(&format!("{path}: {why}")),
            },
            0o120_000 => keep.link(&path, &content(pieces).unwrap_or_default()),
            _ => {}
        }
    }
}

fn path(folders: &BTreeMap<u32, (u32, &[u8])>, folder: u32, name: &[u8]) -> String {
    let mut path = String::from_utf8_lossy(name).into_owned();
    let mut at = folder;
    for _ in 0..MAX_DEPTH {
        let Some((above, name)) = folders.get(&at).filter(|_| at != ROOT) else { break };
        path = format!("{}/{path}", String::from_utf8_lossy(name));
        at = *above;
    }
    path
}

/// The pieces one over the other, the oldest first; each cuts or lengthens the file. A hole is a piece, too, so what no
/// piece covers is missing.
fn content(pieces: &[Piece<'_>]) -> Result<Vec<u8>, String> {
    let (mut bytes, mut there) = (Vec::new(), Vec::new());
    for piece in pieces {
        let size = piece.file_size as usize;
        let end = piece.offset as usize + piece.size as usize;
        if size > MAX_FILE_BYTES || end > MAX_FILE_BYTES {
            return Err("a piece lies beyond what any module or library has".to_owned());
        }
        bytes.resize(size.max(end), 0);
        there.resize(size.max(end), false);
        bytes[piece.offset as usize..end].copy_from_slice(&piece.bytes()?);
        there[piece.offset as usize..end].fill(true);
        bytes.truncate(size);
        there.truncate(size);
    }
    if there.contains(&false) {
        return Err("not all of its pieces are there".to_owned());
    }
    Ok(bytes)
}
