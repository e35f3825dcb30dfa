//! A ledger on disk: limits, dropping, damage, and how much opening reads.

use std::sync::Arc;

use super::support::{Definition, ORIGIN, key, leaf, leaves, open, signer};
use crate::log::Limits;
use crate::{
    ErrorKind, Folder, KeyKind, Leaf, LedgerError, Log, Loss, MAX_LEAF_BYTES, MemoryStorage, Progress,
    Reader, Recovery, Signer, Storage, audit, empty_root, leaf_hash, verify_consistency, verify_inclusion,
};

const SMALL: Limits = Limits { leaf_bytes: 6_000, file_bytes: 2_000, file_leaves: 16 };

fn small(storage: &MemoryStorage) -> Result<(Log, Recovery), LedgerError> {
    Log::open_with_limits(Arc::new(storage.clone()), &signer(), SMALL)
}

fn kind<T>(result: Result<T, LedgerError>) -> ErrorKind {
    result.err().expect("this must fail").kind()
}

fn audited(storage: &MemoryStorage) -> Result<crate::Audit, LedgerError> {
    audit(Arc::new(storage.clone()), &key(), &mut |_| {})
}

/// Five files, two of them dropped, a checkpoint in the last.
fn filled(storage: &MemoryStorage) -> Log {
    let (mut log, _) = small(storage).unwrap();
    for index in 0..80 {
        log.append(&[leaf(index)]).unwrap();
    }
    log.checkpoint(&signer()).unwrap();
    assert!(log.reader().first_kept() > 0);
    log
}

#[test]
fn a_ledger_in_a_real_folder() {
    let dir = tempfile::tempdir().unwrap();
    let folder = || -> Arc<dyn Storage> { Arc::new(Folder::create(&dir.path().join("a/ledger")).unwrap()) };
    let (mut log, recovery) = Log::open(folder(), &signer(), u64::MAX).unwrap();
    assert_eq!(recovery, Recovery::default());
    assert_eq!((log.reader().size(), log.reader().root()), (0, empty_root()));
    assert_eq!(log.append(&leaves(0..3)).unwrap(), 0..3);
    assert_eq!(log.append(&[]).unwrap(), 3..3);
    assert_eq!(log.append(&leaves(3..10)).unwrap(), 3..10);
    let mut definition = Definition::of(leaves(0..10));
    assert_eq!(log.reader().root(), definition.root(10));
    let signed = log.checkpoint(&signer()).unwrap().clone();
    assert_eq!((signed.checkpoint().size, signed.checkpoint().root), (10, definition.root(10)));
    log.append(&leaves(10..20)).unwrap();

    assert_eq!(kind(Log::open(folder(), &signer(), u64::MAX)), ErrorKind::Locked);
    let beside = Reader::open(folder(), &key()).unwrap();
    assert_eq!((beside.size(), beside.leaf(13).unwrap()), (20, leaf(13)));
    drop(log);

    let (log, recovery) = Log::open(folder(), &signer(), u64::MAX).unwrap();
    assert_eq!(recovery, Recovery { cut_bytes: 0, unsigned_leaves: 10 });
    assert_eq!(log.reader().last_checkpoint(), &signed);
    let proof = log.reader().consistency(10, 20).unwrap();
    verify_consistency(10, &signed.checkpoint().root, 20, &log.reader().root(), &proof).unwrap();
    let text = std::fs::read_to_string(dir.path().join("a/ledger/leaves-0000000000000000.jsonl")).unwrap();
    assert_eq!(text.lines().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>(), leaves(0..20));
    let mut steps = Vec::new();
    let whole = audit(folder(), &key(), &mut |progress| steps.push(progress)).unwrap();
    assert_eq!((whole.size, whole.first_kept, whole.signed), (20, 0, 10));
    assert_eq!(steps, [Progress { done: 0, total: 20 }, Progress { done: 20, total: 20 }]);
}

#[test]
fn a_folder_that_is_not_there_is_no_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let folder: Arc<dyn Storage> = Arc::new(Folder::new(&dir.path().join("none")));
    assert_eq!(kind(Log::open(Arc::clone(&folder), &signer(), u64::MAX)), ErrorKind::NotFound);
    assert_eq!(kind(Reader::open(folder, &key())), ErrorKind::NotFound);
    assert_eq!(kind(Reader::open(Arc::new(Folder::new(dir.path())), &key())), ErrorKind::NotFound);
}

#[test]
fn what_cannot_be_a_leaf_is_not_appended() {
    let storage = MemoryStorage::new(Loss::Everything);
    let (mut log, _) = open(&storage).unwrap();
    let padded = |bytes: usize| format!("{{\"x\":\"{}\"}}", "x".repeat(bytes - 8)).into_bytes();
    for bad in [
        b"".to_vec(),
        b"{".to_vec(),
        b"[]".to_vec(),
        b"{} {}".to_vec(),
        b" {}".to_vec(),
        b"{\n}".to_vec(),
        b"{}\n".to_vec(),
        b"{\t}".to_vec(),
        b"{\"a\":\"\xff\"}".to_vec(),
        padded(MAX_LEAF_BYTES + 1),
    ] {
        assert_eq!(kind(log.append(&[leaf(0), bad])), ErrorKind::Invalid);
    }
    assert_eq!(kind(log.append(&vec![b"{}".to_vec(); 8193])), ErrorKind::Invalid);
    assert_eq!(kind(log.append(&vec![padded(MAX_LEAF_BYTES); 17])), ErrorKind::Invalid);
    assert_eq!(log.reader().size(), 0);
    log.append(&[padded(MAX_LEAF_BYTES)]).unwrap();
    log.append(&vec![b"{}".to_vec(); 8192]).unwrap();
    log.append(&vec![padded(MAX_LEAF_BYTES); 15]).unwrap();
    assert_eq!(log.reader().size(), 1 + 8192 + 15);
    audited(&storage).unwrap();
}

#[test]
fn the_oldest_leaves_are_dropped_and_everything_is_still_provable() {
    let storage = MemoryStorage::new(Loss::Everything);
    let (mut log, _) = small(&storage).unwrap();
    log.append(&leaves(0..4)).unwrap();
    let old = log.checkpoint(&signer()).unwrap().checkpoint().clone();
    for index in 4..200 {
        log.append(&[leaf(index)]).unwrap();
    }
    drop(log);
    let (log, _) = small(&storage).unwrap();
    let reader = log.reader();
    let first = reader.first_kept();
    assert!(first > 100, "{first}");
    assert!(reader.leaf_bytes() <= SMALL.leaf_bytes + SMALL.file_bytes);
    for index in 0..200 {
        let proof = reader.inclusion(index, 200).unwrap();
        verify_inclusion(&leaf_hash(&leaf(index)), index, 200, &proof, &reader.root()).unwrap();
    }
    let proof = reader.consistency(4, 200).unwrap();
    verify_consistency(4, &old.root, 200, &reader.root(), &proof).unwrap();
    assert_eq!(kind(reader.leaf(first - 1)), ErrorKind::Dropped);
    assert_eq!(reader.leaf(first).unwrap(), leaf(first));
    for index in [200, u64::MAX] {
        assert_eq!(kind(reader.leaf(index)), ErrorKind::Invalid);
        assert_eq!(kind(reader.inclusion(index, 200)), ErrorKind::Invalid);
    }
    assert_eq!(kind(reader.inclusion(0, 201)), ErrorKind::Invalid);
    assert_eq!(kind(reader.consistency(0, 201)), ErrorKind::Invalid);
    assert_eq!(kind(reader.root_at(201)), ErrorKind::Invalid);
    let audit = audited(&storage).unwrap();
    assert_eq!((audit.size, audit.first_kept, audit.signed), (200, first, 4));
}

#[test]
fn leaves_are_paged_through_both_ways() {
    let storage = MemoryStorage::new(Loss::Everything);
    let log = filled(&storage);
    let reader = log.reader();
    let all: Vec<_> = (reader.first_kept()..80).map(|index| (index, leaf(index))).collect();
    for limit in [1, 3, 1000] {
        let mut forwards = Vec::new();
        while let Some((last, _)) = {
            let page = reader.leaves(forwards.last().map_or(0, |(last, _)| last + 1), limit).unwrap();
            assert!(page.len() <= limit);
            forwards.extend(page.iter().cloned());
            page.last().cloned()
        } {
            assert!(last < 80);
        }
        assert_eq!(forwards, all);
        let mut backwards = Vec::new();
        loop {
            let page =
                reader.leaves_backwards(backwards.last().map_or(u64::MAX, |(last, _)| *last), limit).unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            backwards.extend(page);
        }
        backwards.reverse();
        assert_eq!(backwards, all);
    }
    assert_eq!(reader.leaves(80, 10).unwrap(), []);
    assert_eq!(reader.leaves(0, 0).unwrap(), []);
    assert_eq!(reader.leaves_backwards(0, 10).unwrap(), []);
}

fn file_names(storage: &MemoryStorage) -> Vec<String> {
    let mut names: Vec<_> = storage.list().unwrap().into_iter().map(|(name, _)| name).collect();
    names.retain(|name| name.starts_with("leaves-"));
    names.sort();
    names
}

#[test]
fn a_torn_end_is_cut_and_what_follows_is_where_it_was() {
    let storage = MemoryStorage::new(Loss::Everything);
    let root = filled(&storage).reader().root();
    let last = file_names(&storage).pop().unwrap();
    for torn in [
        "{\"n\":8",
        "{\"n\":80}",
        "{\"n\":80\n",
        "{\"n\":\u{0}80}\n",
        "\0\0\0\0",
        "\n",
        "{}\r\n",
        "{\"n\":{}\n{}\n",
    ] {
        storage.tamper(&last, |content| content.extend_from_slice(torn.as_bytes()));
        let (log, recovery) = small(&storage).unwrap();
        assert_eq!(recovery.cut_bytes, torn.len() as u64, "{torn:?}");
        assert_eq!((log.reader().size(), log.reader().root()), (80, root));
    }
    assert_eq!(small(&storage).unwrap().1.cut_bytes, 0);
}

#[test]
fn a_ledger_that_is_shorter_than_what_was_signed_is_reported_and_left_alone() {
    let shorter: [fn(&MemoryStorage); 5] = [
        |storage| {
            storage
                .tamper(&file_names(storage).pop().unwrap(), |content| content.truncate(content.len() - 1));
        },
        |storage| storage.tamper(&file_names(storage).pop().unwrap(), Vec::clear),
        |storage| storage.remove(&file_names(storage).pop().unwrap()).unwrap(),
        |storage| file_names(storage).iter().for_each(|name| storage.remove(name).unwrap()),
        |storage| storage.remove("checkpoint").unwrap(),
    ];
    for (number, shorten) in shorter.into_iter().enumerate() {
        let storage = MemoryStorage::new(Loss::Everything);
        drop(filled(&storage));
        shorten(&storage);
        let before = storage.list().unwrap();
        assert_eq!(kind(small(&storage)), ErrorKind::Truncated, "case {number}");
        assert_eq!(kind(audited(&storage)), ErrorKind::Truncated, "case {number}");
        assert_eq!(storage.list().unwrap(), before, "case {number}");
    }
}

#[test]
fn what_was_signed_cannot_be_exchanged() {
    let storage = MemoryStorage::new(Loss::Everything);
    drop(filled(&storage));
    // Another leaf of the same length, in the last file: opening sees it.
    let last = file_names(&storage).pop().unwrap();
    storage.tamper(&last, |content| {
        let at = content.iter().position(|byte| *byte == b'x').unwrap();
        content[at] = b'y';
    });
    assert_eq!(kind(small(&storage)), ErrorKind::Damaged);

    // In an older file: whoever asks for it sees it, and an audit does.
    let storage = MemoryStorage::new(Loss::Everything);
    drop(filled(&storage));
    let first = file_names(&storage).remove(0);
    storage.tamper(&first, |content| {
        let at = content.iter().position(|byte| *byte == b'x').unwrap();
        content[at] = b'y';
    });
    let (log, _) = small(&storage).unwrap();
    let start = log.reader().first_kept();
    assert!(log.reader().leaves(start, 1000).is_err());
    assert_eq!(kind(audited(&storage)), ErrorKind::Damaged);

    // A checkpoint by another key, or of another ledger.
    let storage = MemoryStorage::new(Loss::Everything);
    let log = filled(&storage);
    let checkpoint = log.reader().last_checkpoint().checkpoint().clone();
    drop(log);
    let thief = Signer::from_seed(ORIGIN, KeyKind::Note, &[8; 32]).unwrap();
    let forged = checkpoint.sign(&thief).unwrap();
    storage.tamper("checkpoint", |content| *content = forged.to_string().into_bytes());
    assert_eq!(kind(small(&storage)), ErrorKind::Refused);
    storage.tamper("checkpoint", |content| content.truncate(10));
    assert_eq!(kind(small(&storage)), ErrorKind::Damaged);
}

#[test]
fn every_byte_of_every_file_counts() {
    let pristine = || {
        let storage = MemoryStorage::new(Loss::Everything);
        drop(filled(&storage));
        storage
    };
    let names: Vec<_> = pristine().list().unwrap();
    for (name, size) in names {
        for at in (0..size as usize).step_by(7) {
            let storage = pristine();
            storage.tamper(&name, |content| content[at] ^= 1);
            assert!(audited(&storage).is_err(), "byte {at} of {name}");
        }
        let storage = pristine();
        storage.remove(&name).unwrap();
        // The oldest leaf file may be missing: that is what dropping looks like.
        let oldest = name == file_names(&pristine())[0];
        assert_eq!(audited(&storage).is_err(), !oldest, "{name}");
    }
}

#[test]
fn a_damaged_hash_makes_no_proof() {
    let storage = MemoryStorage::new(Loss::Everything);
    drop(filled(&storage));
    // The hash of leaf 1: part of the proof for leaf 0, not of what opening reads.
    storage.tamper("hashes", |content| content[32] ^= 1);
    let (log, _) = small(&storage).unwrap();
    assert_eq!(kind(log.reader().inclusion(0, 80)), ErrorKind::Damaged);
    log.reader().inclusion(70, 80).unwrap();
    assert_eq!(kind(audited(&storage)), ErrorKind::Damaged);
}

#[test]
fn a_co_signature_is_kept_with_the_checkpoint() {
    let storage = MemoryStorage::new(Loss::Everything);
    let mut log = filled(&storage);
    let phone = Signer::from_seed("phone", KeyKind::Cosignature, &[9; 32]).unwrap();
    let line = log.reader().last_checkpoint().cosign(&phone, hal::WallTime::from_unix_micros(0)).unwrap();
    log.add_cosignature(line, phone.verifier()).unwrap();
    assert_eq!(
        log.checkpoint(&signer()).unwrap().note().lines().len(),
        2,
        "nothing new: the same checkpoint"
    );
    drop(log);
    let (log, _) = small(&storage).unwrap();
    let seen = log.reader().last_checkpoint().verify(&key(), &[phone.verifier().clone()]).unwrap();
    assert_eq!(seen.len(), 1);
    let another = Signer::from_seed(ORIGIN, KeyKind::Note, &[8; 32]).unwrap();
    drop(log);
    assert_eq!(kind(Log::open(Arc::new(storage), &another, u64::MAX)), ErrorKind::Refused);
}

#[test]
fn opening_a_ledger_of_a_million_leaves_reads_its_end_only() {
    const LEAVES: u64 = 1_000_000;
    let storage = MemoryStorage::new(Loss::Everything);
    let (mut log, _) = open(&storage).unwrap();
    for from in (0..LEAVES).step_by(1000) {
        let batch: Vec<_> = (from..from + 1000).map(|n| format!("{{\"n\":{n}}}").into_bytes()).collect();
        log.append(&batch).unwrap();
        if from == 500_000 {
            log.checkpoint(&signer()).unwrap();
        }
    }
    let root = log.reader().root();
    drop(log);

    let before = storage.bytes_read();
    let (log, recovery) = open(&storage).unwrap();
    assert_eq!((log.reader().size(), log.reader().root()), (LEAVES, root));
    assert_eq!(recovery.unsigned_leaves, LEAVES - 501_000);
    let opened = storage.bytes_read() - before;
    let last_file =
        storage.list().unwrap().into_iter().rfind(|(name, _)| name.starts_with("leaves-")).unwrap().1;
    // The last file, the checkpoint, and the hashes of a few roots and a proof between them.
    assert!(opened < last_file + 1000 + 32 * 200, "{opened} bytes, {last_file} of them the last file");

    let before = storage.bytes_read();
    log.reader().inclusion(123_456, LEAVES).unwrap();
    let proven = storage.bytes_read() - before;
    assert!(proven <= 32 * 64, "{proven} bytes");
}

/// docs/ledger.md, section 8: what another program can be tested against.
#[test]
fn the_document_has_the_ledger_that_we_write() {
    let document = include_str!("../../../../docs/ledger.md");
    let seed = |first: u8| std::array::from_fn(|at| first + at as u8);
    let signer = Signer::from_seed(ORIGIN, KeyKind::Note, &seed(0)).unwrap();
    let phone = Signer::from_seed("phone/4711", KeyKind::Cosignature, &seed(32)).unwrap();
    let leaves: Vec<_> = document.lines().filter(|line| line.starts_with(r#"{"time":"2030-"#)).collect();
    let leaves: Vec<_> = leaves.iter().map(|line| line.as_bytes().to_vec()).collect();
    assert_eq!(leaves.len(), 3);
    for leaf in &leaves {
        assert_eq!(&Leaf::decode(leaf).unwrap().encode().unwrap(), leaf);
    }
    let storage = Arc::new(MemoryStorage::new(Loss::Everything));
    let (mut log, _) = Log::open(storage, &signer, u64::MAX).unwrap();
    log.append(&leaves).unwrap();
    log.checkpoint(&signer).unwrap();
    let time = hal::WallTime::from_unix_micros(1_900_000_000_000_000);
    let line = log.reader().last_checkpoint().cosign(&phone, time).unwrap();
    let checkpoint = log.add_cosignature(line, phone.verifier()).unwrap().to_string();
    let mut expected = vec![signer.verifier().to_string(), phone.verifier().to_string(), checkpoint];
    expected.extend(log.reader().inclusion(1, 3).unwrap().iter().map(ToString::to_string));
    expected.push(log.reader().root().to_string());
    for text in expected {
        assert!(document.contains(&text), "the document lacks\n{text}");
    }
}

/// Roles share a ledger between threads.
#[test]
fn a_ledger_can_be_sent_and_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<Log>();
    shared::<Reader>();
}
