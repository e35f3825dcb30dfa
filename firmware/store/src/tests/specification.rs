//! A reader written from docs/storage.md finds what was recorded.
//!
//! Does not belong here: that reader (`second_reader`), which knows nothing of the store.

use std::fs;
use std::path::{Path, PathBuf};

use hal::{AccessUnit, AudioCodec, AudioFormat, Pts90k, StreamFormat, StreamKind, WallTime};

use super::second_reader::{Entry, Found, Secret, Unit, read};
use super::support::{
    BEGINNING, END, Made, START_MICROS, Source, clock, keys, open, scratch, small, small_sealed, stream,
};
use crate::{Class, DeviceKey, Keys, OwnerKey, Reader, RecoveryKey, Store, StoreOptions};

/// What [`keys`] has.
const DEVICE: [u8; 32] = [0x5a; 32];
const AAC_CONFIG: [u8; 2] = [0x14, 0x08];

/// Three streams in two classes: a camera that is begun anew with other parameter sets, its sound, and one that changes its
/// class. Nothing is sealed in the end.
fn record(dir: &Path, options: StoreOptions, keys: &Keys) -> Vec<Vec<Made>> {
    let mut store = Store::open(dir, options, keys, clock()).unwrap().0;
    let mut sources = [
        Source::new(stream(1, StreamKind::Main), 5, 1200),
        Source::new(stream(1, StreamKind::Audio), 10, 160),
        Source::new(stream(64, StreamKind::Sub), 4, 600),
    ];
    let mut made = vec![Vec::new(); 3];
    for second in 0..40 {
        if second == 17 {
            sources[0].parameter_set = 0x20;
            sources[0].next = sources[0].next.next_multiple_of(sources[0].gop);
            sources[0].discontinuity = true;
        }
        let class = Class::new(if (second / 9) % 2 == 0 { 0 } else { 5 }).unwrap();
        store.set_class(sources[2].stream, class);
        for (source, made) in sources.iter_mut().zip(&mut made) {
            made.extend(source.feed(&mut store, source.rate));
        }
        store.commit().unwrap();
    }
    made
}

#[track_caller]
fn assert_same(found: &Found, made: &[Vec<Made>]) {
    assert_eq!(found.units.len(), made.len());
    for made in made {
        let of = made[0].stream;
        let units = &found.units[&(of.channel.get(), of.kind.code())];
        assert_eq!(units.len(), made.len(), "{of}");
        for (unit, made) in units.iter().zip(made) {
            assert!(is(unit, made), "{of}: {unit:?} is not {made:?}");
        }
    }
}

fn is(unit: &Unit, made: &Made) -> bool {
    let as_described = match &unit.entry {
        // One SPS and one PPS, which are at the beginning of the last keyframe, behind start codes.
        Entry::Video { codec, sets: [vps, sps, pps] } => {
            let sets = [&[0, 0, 0, 1][..], &sps[0], &[0, 0, 0, 1], &pps[0]].concat();
            *codec == 1
                && (vps.len(), sps.len(), pps.len()) == (0, 1, 1)
                && (!made.keyframe || made.annexb.starts_with(&sets))
        }
        Entry::Audio { codec, channels, rate, config } => {
            (*codec, *channels, *rate) == (17, 1, 8000) && config.is_empty()
        }
    };
    as_described
        && unit.pts == made.pts.0
        && (unit.wall_us - made.wall.as_unix_micros()).abs() <= 100
        && (unit.starts_decoding, unit.new_timeline) == (made.keyframe, made.discontinuity)
        && unit.data == made.stored
}

#[test]
fn a_plain_volume_is_read_by_what_the_page_says() {
    let dir = scratch();
    let made = record(dir.path(), small(60), &keys());
    let found = read(dir.path(), Secret::None);
    assert!(found.sealed >= 4 && found.open == 2 && found.classes.len() == 2, "{}", found.sealed);
    assert_same(&found, &made);
    // The store seals what is open, and goes on.
    open(dir.path(), 60).finish().unwrap();
    let found = read(dir.path(), Secret::None);
    assert_eq!(found.open, 0);
    assert_same(&found, &made);
}

#[test]
fn an_encrypted_volume_is_read_by_what_the_page_says() {
    let dir = scratch();
    let recovery = RecoveryKey::generate().unwrap();
    let keys = Keys::of_device(DeviceKey::from_bytes(DEVICE)).with_owner(OwnerKey::of(&recovery));
    let made = record(dir.path(), small_sealed(60), &keys);
    for secret in [Secret::Device(DEVICE), Secret::Recovery(&recovery.to_text())] {
        assert_same(&read(dir.path(), secret), &made);
    }
}

#[test]
fn aac_and_hevc_have_the_sample_entries_of_the_page() {
    let dir = scratch();
    let mut store = open(dir.path(), 10);
    let config = AAC_CONFIG.to_vec();
    let aac =
        StreamFormat::Audio(AudioFormat { codec: AudioCodec::Aac, sample_rate: 16_000, channels: 1, config });
    let hevc = StreamFormat::Video(hal::VideoCodec::H265);
    let nal = |kind: u8| vec![0, 0, 0, 1, kind << 1, 1, 0x40 | kind, 0x55];
    let picture = [nal(32), nal(33), nal(34), nal(19)].concat();
    for (format, of, data) in
        [(&aac, stream(3, StreamKind::Audio), &[7; 30][..]), (&hevc, stream(3, StreamKind::Main), &picture)]
    {
        let unit = AccessUnit {
            stream: of,
            pts: Pts90k(90_000),
            wall: WallTime::from_unix_micros(START_MICROS),
            keyframe: true,
            discontinuity: true,
            data,
        };
        store.append(format, &unit).unwrap();
    }
    store.commit().unwrap();
    let found = read(dir.path(), Secret::None);
    let [sound] = &found.units[&(3, 2)][..] else { panic!("one unit of sound") };
    let config = AAC_CONFIG.to_vec();
    assert_eq!(sound.entry, Entry::Audio { codec: 16, channels: 1, rate: 16_000, config });
    assert_eq!((sound.data.as_slice(), sound.new_timeline), (&[7; 30][..], true));
    let [picture] = &found.units[&(3, 0)][..] else { panic!("one picture") };
    let sets = [32, 33, 34].map(|kind| vec![nal(kind)[4..].to_vec()]);
    assert_eq!(picture.entry, Entry::Video { codec: 2, sets });
    assert_eq!(picture.data, [&[0, 0, 0, 4][..], &nal(19)[4..]].concat());
}

/// The segment that nobody sealed, of class 0.
fn last_segment(dir: &Path) -> PathBuf {
    let mut paths: Vec<_> =
        fs::read_dir(dir.join("segments")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.pop().unwrap()
}

/// Both readers say the same of a crash: the last commit is void as a whole when a byte of it is another one; one in the
/// middle is damage, and what is behind it counts.
#[test]
fn torn_and_damaged_commits_are_what_the_page_says() {
    let dir = scratch();
    let mut store = open(dir.path(), 10);
    let mut source = Source::new(stream(1, StreamKind::Main), 5, 1200);
    let mut made = Vec::new();
    let mut begins = vec![4096];
    for _ in 0..6 {
        made.extend(source.feed(&mut store, 5));
        begins.push(begins[begins.len() - 1] + store.commit().unwrap().written.0 as usize);
    }
    // The first commit is written with the segment's header.
    begins.iter_mut().skip(1).for_each(|begin| *begin -= 4096);
    drop(store);
    // The index knows what was durable; here the segments alone are to tell.
    fs::remove_file(dir.path().join("index.db")).unwrap();
    let path = last_segment(dir.path());
    let whole = fs::read(&path).unwrap();
    assert_eq!(read(dir.path(), Secret::None).units[&(1, 0)].len(), made.len());
    // In the last payload, in the last header, in a header in the middle.
    for (at, lost) in [(begins[6] - 4200, 25..30), (begins[5] + 100, 25..30), (begins[2] + 100, 10..15)] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let expected: Vec<Made> = made
            .iter()
            .enumerate()
            .filter(|(number, _)| !lost.contains(number))
            .map(|(_, made)| made.clone())
            .collect();
        assert_same(&read(dir.path(), Secret::None), std::slice::from_ref(&expected));
        let reader = Reader::open(dir.path(), &keys()).unwrap();
        let theirs: Vec<_> =
            reader.units(source.stream, BEGINNING, END).unwrap().filter_map(Result::ok).collect();
        let same = theirs.iter().zip(&expected).all(|(unit, made)| made.is(unit));
        assert!(same && theirs.len() == expected.len(), "{} units of {}", theirs.len(), expected.len());
    }
}
