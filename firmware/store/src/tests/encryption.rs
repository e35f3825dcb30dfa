//! Encrypted volumes: who can read them, and that nobody else can.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use hal::{ByteCount, StreamKind};

use super::support::{
    BEGINNING, END, Made, Source, assert_clean, assert_stretch, clock, keys, open, read_all, scratch, small,
    small_sealed, stream,
};
use crate::faults::{Fault, FaultDisk, Loss};
use crate::{
    Cipher, DeviceKey, ErrorKind, Keys, Movie, OwnerKey, Reader, RecoveryKey, Store, StoreError, check,
    chunks, destroy_key, erase, erase_on, rebuild_index, renew_keys,
};

fn source() -> Source {
    Source::new(stream(1, StreamKind::Main), 10, 400)
}

/// What movies can be made of: the pictures here are none.
fn sound() -> Source {
    Source::new(stream(2, StreamKind::Audio), 10, 160)
}

fn open_sealed(dir: &Path, keys: &Keys) -> Result<Store, StoreError> {
    Store::open(dir, small_sealed(40), keys, clock()).map(|(store, _)| store)
}

/// An encrypted volume with some footage, in closed segments and in one that is not.
fn sealed_volume(dir: &Path, keys: &Keys) -> Vec<Made> {
    let mut store = open_sealed(dir, keys).unwrap();
    let (mut source, mut sound) = (source(), sound());
    let mut made = Vec::new();
    for _ in 0..30 {
        made.extend(source.feed(&mut store, 10));
        sound.feed(&mut store, 10);
        store.commit().unwrap();
    }
    assert_eq!(store.status().cipher, Cipher::ChaCha20Poly1305);
    made
}

/// All of a folder's files but the key file, by name.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for folder in [dir.to_owned(), dir.join("segments")] {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file())
        {
            all.push((entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
        }
    }
    all.sort();
    all
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

#[track_caller]
fn assert_reads(dir: &Path, keys: &Keys, made: &[Made]) {
    let reader = Reader::open(dir, keys).unwrap();
    assert_eq!(assert_stretch(made, &read_all(&reader, source().stream)), (0, made.len()));
}

#[track_caller]
fn assert_locked(dir: &Path, keys: &Keys) {
    let before = files(dir);
    assert_eq!(open_sealed(dir, keys).map(drop).unwrap_err().kind(), ErrorKind::NoKey);
    // Another size asked for: also that waits until it opens.
    let error = Store::open(dir, small(39), keys, clock()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoKey, "{error}");
    assert_eq!(files(dir), before, "nothing on it was changed");
    let reader = Reader::open(dir, keys).unwrap();
    let stream = source().stream;
    assert!(reader.bounds(stream).unwrap().is_some(), "what is there is told");
    let error = reader.units(stream, BEGINNING, END).unwrap().find_map(Result::err).unwrap();
    assert_eq!(error.kind(), ErrorKind::NoKey, "{error}");
    let end = first().offset_micros(5_000_000);
    let error = Movie::plan(&reader, sound().stream.channel, first(), end).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoKey, "{error}");
}

fn first() -> hal::WallTime {
    hal::WallTime::from_unix_micros(super::support::START_MICROS)
}

fn read_to_end(movie: &Movie) -> Result<Vec<u8>, StoreError> {
    let mut all = vec![0; usize::try_from(movie.len()).unwrap()];
    let read = movie.read_at(0, &mut all)?;
    assert_eq!(read, all.len());
    Ok(all)
}

#[test]
fn footage_comes_back_and_nothing_of_it_lies_on_disk() {
    let (plain, sealed) = (scratch(), scratch());
    let made = sealed_volume(sealed.path(), &keys());
    assert_clean(sealed.path());
    assert_reads(sealed.path(), &keys(), &made);
    let mut store = open(plain.path(), 40);
    source().feed(&mut store, 300);
    store.finish().unwrap();
    // The same search finds every unit where it is not encrypted.
    let lies_in = |dir: &Path, unit: &Made| {
        files(dir).iter().any(|(_, bytes)| contains(bytes, &unit.stored[unit.stored.len() - 64..]))
    };
    for unit in made.iter().step_by(37) {
        assert!(lies_in(plain.path(), unit));
        assert!(!lies_in(sealed.path(), unit));
    }
    let secret = volume_secret(sealed.path());
    assert!(!files(sealed.path()).iter().any(|(_, bytes)| contains(bytes, &secret)));
}

/// The volume's key as it must never lie anywhere.
fn volume_secret(dir: &Path) -> [u8; 32] {
    let mut volume = crate::volume::Volume::open(Arc::new(crate::RealDisk), dir).unwrap();
    volume.unlock(&keys()).unwrap();
    *volume.key.unwrap().secret()
}

#[test]
fn a_movie_is_the_same_encrypted_or_not() {
    let (plain, sealed) = (scratch(), scratch());
    for (dir, options) in [(&plain, small(40)), (&sealed, small_sealed(40))] {
        let mut store = Store::open(dir.path(), options, &keys(), clock()).unwrap().0;
        sound().feed(&mut store, 100);
        store.finish().unwrap();
    }
    let movie = |dir: &Path| {
        let reader = Reader::open(dir, &keys()).unwrap();
        let (start, end) = (first().offset_micros(1_300_000), first().offset_micros(7_000_000));
        read_to_end(&Movie::plan(&reader, sound().stream.channel, start, end).unwrap()).unwrap()
    };
    assert_eq!(movie(plain.path()), movie(sealed.path()));
}

#[test]
fn a_volume_without_its_key_is_locked_but_not_unknown() {
    let dir = scratch();
    let made = sealed_volume(dir.path(), &keys());
    assert_locked(dir.path(), &Keys::NONE);
    assert_locked(dir.path(), &Keys::of_device(DeviceKey::from_bytes([1; 32])));
    assert_locked(dir.path(), &Keys::NONE.and_recovery_key(&RecoveryKey::generate().unwrap()));
    // The same bytes as the device's, but they are not the owner's.
    assert_locked(dir.path(), &Keys::NONE.with_owner(OwnerKey::from_bytes([0x5a; 32])));

    // Everything but the footage is verified, listed and indexed without a key.
    let report = check(dir.path(), &Keys::NONE).unwrap();
    assert!(report.is_clean() && report.locked_chunks == report.chunks, "{report:?}");
    assert_eq!(check(dir.path(), &keys()).unwrap().locked_chunks, 0);
    assert_eq!(chunks(dir.path()).unwrap().len() as u64, report.chunks);
    rebuild_index(dir.path()).unwrap();
    assert_reads(dir.path(), &keys(), &made);
}

#[test]
fn a_damaged_payload_is_noticed_without_a_key() {
    let dir = scratch();
    sealed_volume(dir.path(), &keys());
    let path = dir.path().join("segments/0000000000000001.seg");
    let mut bytes = fs::read(&path).unwrap();
    // In the first chunk's payload: it has some 4000 bytes, behind a header of less than 500.
    bytes[4096 + 1000] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(check(dir.path(), &Keys::NONE).unwrap().damages.len(), 1);
    assert_eq!(check(dir.path(), &keys()).unwrap().damages.len(), 1);
}

#[test]
fn a_disk_in_another_recorder_opens_with_the_recovery_key_and_is_that_ones_from_then_on() {
    let dir = scratch();
    let recovery = RecoveryKey::generate().unwrap();
    let first_recorder = keys().with_owner(OwnerKey::of(&recovery));
    let mut made = sealed_volume(dir.path(), &first_recorder);

    let other_recovery = RecoveryKey::generate().unwrap();
    let other = Keys::of_device(DeviceKey::from_bytes([9; 32])).with_owner(OwnerKey::of(&other_recovery));
    assert_locked(dir.path(), &other);
    // To read it no more is needed, and nothing is changed.
    let key_file = fs::read(dir.path().join("volume.keys")).unwrap();
    assert_reads(dir.path(), &Keys::NONE.and_recovery_key(&recovery), &made);
    assert_eq!(fs::read(dir.path().join("volume.keys")).unwrap(), key_file);

    let mut store = open_sealed(dir.path(), &other.clone().and_recovery_key(&recovery)).unwrap();
    assert!(store.status().recoverable);
    let mut source = source();
    source.next = 300;
    made.extend(source.feed(&mut store, 20));
    store.finish().unwrap();
    // From now on without: by the device alone, and by its owner's key alone.
    assert_reads(dir.path(), &Keys::of_device(DeviceKey::from_bytes([9; 32])), &made);
    assert_reads(dir.path(), &Keys::NONE.and_recovery_key(&other_recovery), &made);
    assert_locked(dir.path(), &Keys::NONE.and_recovery_key(&recovery));
    // The first recorder opens it when it comes back, and takes it back.
    drop(open_sealed(dir.path(), &first_recorder).unwrap());
    assert_reads(dir.path(), &Keys::NONE.and_recovery_key(&recovery), &made);
    assert_locked(dir.path(), &Keys::NONE.and_recovery_key(&other_recovery));
    assert_clean(dir.path());
}

#[test]
fn a_recovery_key_can_come_later_and_be_made_anew() {
    let dir = scratch();
    let made = sealed_volume(dir.path(), &keys());
    let [first, second] = [(); 2].map(|()| RecoveryKey::generate().unwrap());
    assert!(!open_sealed(dir.path(), &keys()).unwrap().status().recoverable);
    for (key, other) in [(&first, &second), (&second, &first)] {
        let mut writer = keys().with_owner(OwnerKey::of(key));
        assert!(open_sealed(dir.path(), &writer).unwrap().status().recoverable);
        assert_reads(dir.path(), &Keys::NONE.and_recovery_key(key), &made);
        assert_locked(dir.path(), &Keys::NONE.and_recovery_key(other));
        // What changes nothing writes nothing.
        let before = fs::metadata(dir.path().join("volume.keys")).unwrap();
        writer = writer.and_recovery_key(other);
        drop(open_sealed(dir.path(), &writer).unwrap());
        use std::os::unix::fs::MetadataExt;
        assert_eq!(fs::metadata(dir.path().join("volume.keys")).unwrap().ino(), before.ino());
    }
}

#[test]
fn a_recovery_key_is_made_anew_under_a_writer() {
    let dir = scratch();
    let [first, second] = [(); 2].map(|()| RecoveryKey::generate().unwrap());
    let before = keys().with_owner(OwnerKey::of(&first));
    let mut made = sealed_volume(dir.path(), &before);
    let mut store = open_sealed(dir.path(), &before).unwrap();
    let mut source = source();
    source.next = 300;
    made.extend(source.feed(&mut store, 20));
    assert!(renew_keys(dir.path(), &keys().with_owner(OwnerKey::of(&second))).unwrap());
    made.extend(source.feed(&mut store, 20));
    store.finish().unwrap();
    assert_reads(dir.path(), &Keys::NONE.and_recovery_key(&second), &made);
    assert_locked(dir.path(), &Keys::NONE.and_recovery_key(&first));
    assert_eq!(
        renew_keys(dir.path(), &Keys::NONE.with_owner(OwnerKey::of(&first))).unwrap_err().kind(),
        ErrorKind::NoKey
    );
}

#[test]
fn old_wraps_are_overwritten_and_devices_do_not_pile_up() {
    let dir = scratch();
    let recovery = RecoveryKey::generate().unwrap();
    sealed_volume(dir.path(), &keys().with_owner(OwnerKey::of(&recovery)));
    let path = dir.path().join("volume.keys");
    // A second name keeps what is replaced in reach.
    fs::hard_link(&path, dir.path().join("kept")).unwrap();
    for device in 1..=10 {
        let device = Keys::of_device(DeviceKey::from_bytes([device; 32]));
        drop(open_sealed(dir.path(), &device.and_recovery_key(&recovery)).unwrap());
    }
    let kept = fs::read(dir.path().join("kept")).unwrap();
    assert!(kept.len() > 100 && kept.iter().all(|&byte| byte == 0));
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("by = \"device\"").count(), 4, "{text}");
    assert_eq!(text.matches("by = \"recovery\"").count(), 1, "{text}");
    assert_locked(dir.path(), &keys());
}

const SECRET_REASON: &str = "the neighbour's car";

/// Somebody has a reason to keep all of it.
fn lock_all(store: &mut Store) {
    let from = clock().wall();
    let to = from.offset_micros(30_000_000);
    store.lock(&[source().stream], from, to, SECRET_REASON, "ann").unwrap();
}

#[test]
fn an_erased_volume_is_gone_and_its_folder_takes_a_new_one() {
    let dir = scratch();
    let recovery = RecoveryKey::generate().unwrap();
    let all = keys().with_owner(OwnerKey::of(&recovery));
    sealed_volume(dir.path(), &all);
    let id = crate::list(dir.path()).unwrap().id;
    let path = dir.path().join("volume.keys");
    fs::hard_link(&path, dir.path().join("kept")).unwrap();
    let mut store = open_sealed(dir.path(), &all).unwrap();
    lock_all(&mut store);
    let locks = dir.path().join("locks.toml");
    fs::hard_link(&locks, dir.path().join("kept-locks")).unwrap();
    fs::write(locks.with_added_extension("new"), SECRET_REASON).unwrap();
    assert_eq!(destroy_key(dir.path()).unwrap_err().kind(), ErrorKind::Locked, "not under its writer");
    assert_eq!(erase(dir.path()).unwrap_err().kind(), ErrorKind::Locked, "not under its writer");
    drop(store);
    destroy_key(dir.path()).unwrap();
    for kept in ["kept", "kept-locks"] {
        let kept = fs::read(dir.path().join(kept)).unwrap();
        assert!(kept.len() > 100 && kept.iter().all(|&byte| byte == 0), "zeros in place");
    }
    assert!(!locks.exists() && !locks.with_added_extension("new").exists(), "who locked what, and why");
    assert_eq!(
        open_sealed(dir.path(), &all).map(drop).unwrap_err().kind(),
        ErrorKind::NoKey,
        "nobody opens it"
    );
    erase(dir.path()).unwrap();
    assert_eq!(erase(dir.path()).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(fs::read_dir(dir.path().join("segments")).unwrap().count(), 0);
    let made = sealed_volume(dir.path(), &all);
    assert_ne!(crate::list(dir.path()).unwrap().id, id);
    assert_reads(dir.path(), &all, &made);
    assert_eq!(open_sealed(dir.path(), &all).unwrap().locks(), []);
    assert_clean(dir.path());
}

#[test]
fn erasing_that_was_interrupted_anywhere_leaves_footage_whole_or_gone() {
    let mut outcomes = [0; 2];
    for operation in 0.. {
        let dir = scratch();
        let made = sealed_volume(dir.path(), &keys());
        lock_all(&mut open_sealed(dir.path(), &keys()).unwrap());
        let disk = FaultDisk::new(Loss::Everything);
        disk.fail_at(operation, Fault::PowerCut);
        let done = erase_on(Arc::new(disk.clone()), dir.path()).is_ok();
        disk.cut_power();
        let locks = fs::read_to_string(dir.path().join("locks.toml")).unwrap_or_default();
        let key_is_there = dir.path().join("volume.keys").exists();
        assert!(!done || locks.is_empty());
        assert!(!key_is_there || locks.contains(SECRET_REASON), "the key goes first");
        match Reader::open(dir.path(), &keys())
            .and_then(|reader| reader.units(source().stream, BEGINNING, END)?.collect::<Result<Vec<_>, _>>())
        {
            Ok(units) if !done && units.len() == made.len() => outcomes[0] += 1,
            Ok(units) => assert!(units.is_empty(), "some of it can be read"),
            Err(error) => {
                outcomes[1] += 1;
                let expected = matches!(
                    error.kind(),
                    ErrorKind::NoKey | ErrorKind::NotFound | ErrorKind::Recycled | ErrorKind::Damaged
                );
                assert!(expected, "{error}");
            }
        }
        if done {
            break;
        }
        erase(dir.path())
            .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
            .unwrap();
        sealed_volume(dir.path(), &keys());
        assert_eq!(open_sealed(dir.path(), &keys()).unwrap().locks(), [], "of the volume before");
    }
    assert!(outcomes[0] > 0 && outcomes[1] > 3, "{outcomes:?}");
}

#[test]
fn plain_volumes_have_no_key_and_stay_plain() {
    let dir = scratch();
    let mut store = open(dir.path(), 40);
    let made = source().feed(&mut store, 20);
    store.finish().unwrap();
    assert_eq!(erase(dir.path()).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(!dir.path().join("volume.keys").exists());
    // What is asked for is for new volumes.
    assert_eq!(open_sealed(dir.path(), &keys()).unwrap().status().cipher, Cipher::None);
    assert_reads(dir.path(), &Keys::NONE, &made);

    // And one that is encrypted stays so, whatever is asked.
    let sealed = scratch();
    let made = sealed_volume(sealed.path(), &keys());
    let store = open(sealed.path(), 40);
    assert_eq!(store.status().cipher, Cipher::ChaCha20Poly1305);
    assert_eq!(store.status().max_bytes, ByteCount(40 * (64 << 10)));
    drop(store);
    assert_reads(sealed.path(), &keys(), &made);
}

#[test]
fn a_key_file_is_believed_only_as_it_was_written() {
    let dir = scratch();
    let made = sealed_volume(dir.path(), &keys());
    let path = dir.path().join("volume.keys");
    let text = fs::read_to_string(&path).unwrap();
    let other = scratch();
    sealed_volume(other.path(), &keys());
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        text.replacen(from, to, 1)
    };
    let wrong = [
        (
            "of another volume",
            fs::read_to_string(other.path().join("volume.keys")).unwrap(),
            ErrorKind::Damaged,
        ),
        ("cut short", text[..text.len() / 2].to_owned(), ErrorKind::Damaged),
        ("empty", String::new(), ErrorKind::Damaged),
        ("a later version", changed("version = 1", "version = 2"), ErrorKind::Unsupported),
        ("for somebody else", changed("\"device\"", "\"recovery\""), ErrorKind::NoKey),
        ("another nonce", changed("nonce = \"", "nonce = \"00"), ErrorKind::Damaged),
        ("another key's name", changed("key = \"", "key = \"00"), ErrorKind::Damaged),
        ("many", format!("{text}{}", text[text.find("[[wrap]]").unwrap()..].repeat(20)), ErrorKind::Damaged),
    ];
    for (what, wrong, kind) in wrong {
        fs::write(&path, &wrong).unwrap();
        let error = open_sealed(dir.path(), &keys()).map(drop).unwrap_err();
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), wrong, "{what}: nobody changes it");
    }
    fs::write(&path, &text).unwrap();
    assert_reads(dir.path(), &keys(), &made);

    // Without volume.toml a new volume would be made, and its key would take this one's place.
    fs::remove_file(dir.path().join("volume.toml")).unwrap();
    let error = open_sealed(dir.path(), &keys()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_key_file_is_changed_as_a_whole_whenever_the_power_goes() {
    let recovery = RecoveryKey::generate().unwrap();
    for operation in 0.. {
        let dir = scratch();
        let made = sealed_volume(dir.path(), &keys());
        let disk = FaultDisk::new(Loss::Everything);
        disk.fail_at(operation, Fault::PowerCut);
        let owned = keys().with_owner(OwnerKey::of(&recovery));
        let opened = Store::open_on(Arc::new(disk.clone()), dir.path(), small_sealed(40), &owned, clock());
        let done = opened.is_ok();
        drop(opened);
        disk.cut_power();
        assert_reads(dir.path(), &keys(), &made);
        drop(open_sealed(dir.path(), &owned).unwrap());
        assert_reads(dir.path(), &Keys::NONE.and_recovery_key(&recovery), &made);
        if done {
            break;
        }
    }
}

#[test]
fn an_encrypted_volume_is_not_made_without_a_key_that_opens_it() {
    let dir = scratch();
    let visitor = Keys::NONE.and_recovery_key(&RecoveryKey::generate().unwrap());
    for keys in [Keys::NONE, visitor] {
        assert_eq!(open_sealed(dir.path(), &keys).map(drop).unwrap_err().kind(), ErrorKind::NoKey);
    }
    assert!(!dir.path().join("volume.toml").exists());
    drop(open_sealed(dir.path(), &keys()).unwrap());
}

/// Commits until the power goes; what was handed in, and how much of it was acknowledged.
fn record_until_dark(disk: &FaultDisk, dir: &Path) -> (Vec<Made>, usize) {
    let (mut made, mut acknowledged) = (Vec::new(), 0);
    let mut source = source();
    let disk: Arc<dyn crate::Disk> = Arc::new(disk.clone());
    let Ok((mut store, _)) = Store::open_on(disk, dir, small_sealed(4), &keys(), clock()) else {
        return (made, 0);
    };
    for _ in 0..COMMITS {
        made.extend(source.feed(&mut store, 25));
        if store.commit().is_err() {
            return (made, acknowledged);
        }
        acknowledged = made.len();
    }
    // Its end is not tidied up: the newest segment is continued.
    (made, acknowledged)
}

/// The ring of 4 segments goes round.
const COMMITS: usize = 30;

#[test]
fn power_cuts_at_every_operation_leave_what_was_acknowledged_and_sealed() {
    let dir = scratch();
    let undisturbed = FaultDisk::new(Loss::Everything);
    let (made, _) = record_until_dark(&undisturbed, dir.path());
    let read = read_all(&Reader::open(dir.path(), &keys()).unwrap(), source().stream);
    assert!(assert_stretch(&made, &read).0 > 0, "the scenario recycles");
    for operation in 0..=undisturbed.operations() {
        let dir = scratch();
        let disk = FaultDisk::new(Loss::Some(super::support::noise(operation)));
        disk.fail_at(operation, Fault::PowerCut);
        let (mut made, acknowledged) = record_until_dark(&disk, dir.path());
        disk.cut_power();
        // The device's key opens it whatever happened while it was made, and nobody else's does.
        let mut store = Store::open(dir.path(), small_sealed(4), &keys(), clock()).unwrap().0;
        let read = read_all(&Reader::open(dir.path(), &keys()).unwrap(), source().stream);
        let (_, end) = assert_stretch(&made, &read);
        assert!(end >= acknowledged, "{acknowledged} were acknowledged before {operation}, {end} are there");
        assert_clean(dir.path());
        assert_eq!(check(dir.path(), &Keys::NONE).unwrap().locked_chunks > 0, !read.is_empty());
        // It goes on in another life of the writer, with another key of its own.
        made.truncate(end);
        let mut source = source();
        source.next = end as u64;
        // Only a keyframe begins a stream that has nothing yet.
        made.extend(source.feed(&mut store, 20));
        store.finish().unwrap();
        let read = read_all(&Reader::open(dir.path(), &keys()).unwrap(), source.stream);
        assert_eq!(assert_stretch(&made, &read).1, made.len());
        assert_clean(dir.path());
    }
}
