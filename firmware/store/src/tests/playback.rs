//! Fragments for players: a movie's units at the same times, from anywhere.

use std::path::Path;

use hal::{ByteCount, StreamKind};

use super::clips::{
    Packet, assert_same_pictures, assert_same_sound, clip, packets, probe, record, record_as, run, text, wall,
};
use super::support::{Source, clock, keys, open, scratch, stream};
use super::watched::{Read, Watched};
use crate::{ErrorKind, FragmentRequest, Reader, Store, StoreOptions};

/// Media time 0 is an hour before the clips begin.
const HOUR_MICROS: i64 = 3_600_000_000;

fn request(from: i64, to: i64) -> FragmentRequest {
    FragmentRequest {
        channel: stream(1, StreamKind::Main).channel,
        start: wall(from),
        end: wall(to),
        zero: wall(-HOUR_MICROS),
        sound: true,
    }
}

fn save(reader: &Reader, request: &FragmentRequest, file: &Path) -> String {
    let fragments = reader.fragments(request).unwrap();
    let mime = fragments.mime().to_owned();
    let pieces: Vec<_> = fragments.collect::<Result<_, _>>().unwrap();
    std::fs::write(file, pieces.concat()).unwrap();
    mime
}

fn plays_as_recorded(name: &str, b_frames: bool) {
    let (clip, made) = clip(name, b_frames);
    let volume = scratch();
    record(&clip, volume.path());
    let reader = Reader::open(volume.path(), &keys()).unwrap();
    let file = made.path().join("whole.fragments.mp4");
    let first = clip.first_micros();
    let mime = save(&reader, &request(first, 200_000_000), &file);
    assert_eq!(mime.contains("mp4a.40.2"), !clip.audio.is_empty(), "{mime}");
    let pictures = packets(&file, "v:0");
    assert_same_pictures(clip.codec, &pictures, &clip.video, -HOUR_MICROS);
    assert_same_sound(&packets(&file, "a:0"), &clip.sound_after(first), -HOUR_MICROS);
    run("ffmpeg", &["-v", "error", "-i", text(&file), "-f", "null", "-"]);
    // Decoding times grow, and each unit lasts until the next one decodes: browsers see no gap.
    let times = run(
        "ffprobe",
        &[
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-show_entries",
            "packet=dts,duration",
            "-of",
            "csv=p=0",
            text(&file),
        ],
    );
    let times = String::from_utf8(times).unwrap();
    let times: Vec<(i64, i64)> = times
        .lines()
        .map(|line| {
            let mut fields = line.split(',').map(|field| field.parse().unwrap());
            (fields.next().unwrap(), fields.next().unwrap())
        })
        .collect();
    for pair in times.windows(2) {
        assert!(pair[0].0 < pair[1].0 && pair[0].0 + pair[0].1 == pair[1].0, "{pair:?}");
    }

    // From the middle: from the keyframe before, at the same media times.
    let (from, to) = (12_345_678, 20_000_000);
    save(&reader, &request(from, to), &file);
    let part = packets(&file, "v:0");
    let keyframe = |packet: &&Packet| packet.keyframe && packet.pts_micros <= from;
    let begins = clip.video.iter().filter(keyframe).map(|packet| packet.pts_micros).max().unwrap();
    assert!((part[0].pts_micros - begins - HOUR_MICROS).abs() < 1_000);
    let source = clip.video.iter().position(|packet| packet.pts_micros == begins).unwrap();
    assert_same_pictures(clip.codec, &part, &clip.video[source..source + part.len()], -HOUR_MICROS);
    assert!(part.iter().map(|packet| packet.pts_micros).max().unwrap() >= to + HOUR_MICROS - 200_000);
}

#[test]
fn a_clip_with_sound_plays_as_it_was_recorded() {
    plays_as_recorded("car-detection.mp4", false);
}

#[test]
fn a_clip_with_b_frames_plays_as_it_was_recorded() {
    plays_as_recorded("one-by-one-person-detection.mp4", true);
}

fn ends_segment(read: &Read, segment_bytes: u64) -> bool {
    read.offset + read.bytes as u64 == segment_bytes
}

#[test]
fn the_first_picture_takes_one_footer_and_one_chunk() {
    let dir = scratch();
    let mut store = open(dir.path(), 1000);
    let mut sources: Vec<Source> =
        (1..=4).map(|channel| Source::new(stream(channel, StreamKind::Main), 10, 600)).collect();
    for source in &mut sources {
        source.gop = 10;
    }
    for _ in 0..200 {
        for source in &mut sources {
            source.feed(&mut store, 10);
        }
        store.commit().unwrap();
    }
    store.finish().unwrap();
    for second in [0, 7, 100, 150, 199] {
        let disk = Watched::new();
        let reader = Reader::open_on(disk.clone(), dir.path(), &keys()).unwrap();
        disk.reads();
        let from = second * 1_000_000 + 10_000;
        let request = FragmentRequest { end: wall(HOUR_MICROS), ..request(from, 0) };
        let mut fragments = reader.fragments(&request).unwrap();
        // Init segment, fragment's head, pictures.
        let pieces: Vec<_> = fragments.by_ref().take(3).map(Result::unwrap).collect();
        let lens: Vec<usize> = pieces.iter().map(bytes::Bytes::len).collect();
        assert!(lens[2] > 1_000, "second {second}: {lens:?}");
        let reads = disk.reads();
        assert_eq!(reads.len(), 2, "second {second}: {reads:#?}");
        assert_eq!(reads[0].file, reads[1].file);
        assert!(ends_segment(&reads[0], 64 << 10) && reads[1].bytes < 20_000, "{reads:#?}");
        // And each further chunk is one more, with one footer a segment.
        let rest = fragments.take(40).map(Result::unwrap).count();
        let footers = disk.reads().iter().filter(|read| ends_segment(read, 64 << 10)).count();
        assert!(rest < 40 || (1..=12).contains(&footers), "{footers} footers for 20 chunks");
    }
}

/// 16 channels with sound and little movement, whose footer is a larger part of the segment than usual: several MiB.
#[test]
fn the_footer_of_a_large_segment_of_little_footage_is_one_read() {
    const SEGMENT_BYTES: u64 = 256 << 20;
    let dir = scratch();
    let options = StoreOptions {
        segment_bytes: ByteCount(SEGMENT_BYTES),
        hash: false,
        ..StoreOptions::with_max_bytes(ByteCount(4 * SEGMENT_BYTES))
    };
    let mut store = Store::open(dir.path(), options, &keys(), clock()).unwrap().0;
    let mut sources: Vec<Source> = (1..=16)
        .flat_map(|channel| {
            [
                Source::new(stream(channel, StreamKind::Main), 25, 1_500),
                Source::new(stream(channel, StreamKind::Audio), 25, 320),
            ]
        })
        .collect();
    let mut commits = 0;
    while store.commit().unwrap().sealed == 0 {
        for source in &mut sources {
            source.feed(&mut store, source.rate);
        }
        commits += 1;
    }
    store.finish().unwrap();
    let disk = Watched::new();
    let reader = Reader::open_on(disk.clone(), dir.path(), &keys()).unwrap();
    for second in [0, commits / 2, commits - 5] {
        disk.reads();
        let from = second * 1_000_000 + 10_000;
        let fragments =
            reader.fragments(&FragmentRequest { end: wall(HOUR_MICROS), ..request(from, 0) }).unwrap();
        // Init segment, fragment's head, pictures.
        assert_eq!(fragments.take(3).map(Result::unwrap).filter(|piece| !piece.is_empty()).count(), 3);
        let reads = disk.reads();
        let footers: Vec<&Read> = reads.iter().filter(|read| read.bytes > 100_000).collect();
        if second == 0 {
            // Headers and entries of a second of a channel take 1.5 KB, padding of a commit up to a block.
            let rows = commits as usize * 16 * 1_500;
            assert!(ends_segment(footers[0], SEGMENT_BYTES) && footers.len() == 1, "{reads:#?}");
            assert!(footers[0].bytes > 2 << 20, "{footers:#?}");
            assert!(footers[0].bytes < rows + commits as usize * 4096, "{rows}: {footers:#?}");
        } else {
            assert!(footers.is_empty(), "what was read is kept: {reads:#?}");
        }
        // The chunk, and its sound's.
        assert!(reads.len() <= footers.len() + 2, "second {second}: {reads:#?}");
    }
}

#[test]
fn a_gap_is_a_gap_and_nothing_goes_on_through_it() {
    let (clip, made) = clip("car-detection.mp4", false);
    let volume = scratch();
    record(&clip, volume.path());
    let later = 100_000_000;
    record_as(&clip, volume.path(), 1, later);
    let reader = Reader::open(volume.path(), &keys()).unwrap();
    let first = clip.first_micros();
    let file = made.path().join("gap.mp4");
    save(&reader, &request(first, HOUR_MICROS), &file);
    let pictures = packets(&file, "v:0");
    let (before, after) = pictures.split_at(clip.video.len());
    assert_same_pictures(clip.codec, before, &clip.video, -HOUR_MICROS);
    assert_same_pictures(clip.codec, after, &clip.video, -HOUR_MICROS - later);
    let duration = probe(&file, "packet=duration_time");
    assert!(duration.lines().all(|line| line.trim_end_matches(',').parse::<f64>().unwrap() < 1.0));

    let end = clip.video.iter().map(|packet| packet.pts_micros).max().unwrap();
    let nothing =
        FragmentRequest { start: wall(end + 10_000_000), end: wall(end + 20_000_000), ..request(0, 0) };
    assert_eq!(reader.fragments(&nothing).err().unwrap().kind(), ErrorKind::NoFootage);
    let late = FragmentRequest { zero: wall(0), ..request(0, 1_000_000) };
    assert_eq!(reader.fragments(&late).err().unwrap().kind(), ErrorKind::Invalid);
}
