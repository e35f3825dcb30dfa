//! The real `mpp-host` on a stand-in of each generation, and on bad ones.
//!
//! Run by `qemu-arm`; each test says which trap of docs/mpp-host.md it is about.

use std::time::Duration;

use hal_sim::mark;
use mpp_wire::{
    BitmapPlan, Codec, DisplayPlan, FaultKind, FromHost, Order, PackKind, PoolPlan, RatePlan, Rect,
    StreamTag, TilePlan,
};
use tests::{INPUT_SIZE, Kept, MediaHost, MediaSetup, Stopwatch, grey_pictures, until, whole_channel};

const GENERATIONS: [&str; 3] = ["g1", "g2", "g3"];

fn setup(generation: &str) -> MediaSetup<'_> {
    MediaSetup { generation, ..MediaSetup::default() }
}

/// Starts a host with one whole channel.
fn with_channel(generation: &str) -> MediaHost {
    let (mut host, ready) = MediaHost::start(&setup(generation));
    assert_eq!(ready.generation, generation);
    host.order(Order::Open(whole_channel(0))).unwrap();
    host
}

/// Nothing that the library calls a mistake was done.
fn stop_cleanly(host: MediaHost) {
    let (status, said) = host.stop();
    assert!(status.success(), "{status}: {said:#?}");
    let wrong: Vec<_> = said.iter().filter(|line| line.contains("VIOLATION")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn pictures(host: &mut MediaHost, stream: StreamTag, count: usize) -> Vec<Kept> {
    (0..count).map(|_| host.picture(stream)).collect()
}

fn joined(pictures: &[Kept]) -> Vec<u8> {
    pictures.iter().flat_map(|picture| picture.data.iter().copied()).collect()
}

/// Packs come whole and in order, wrapped or not (traps 3, 4, 5), with times of the platform's clock (trap 7).
#[test]
fn pictures_are_whole_and_in_order_in_every_generation() {
    let dir = tempfile::tempdir().unwrap();
    for generation in GENERATIONS {
        let mut host = with_channel(generation);
        if generation == "g1" {
            host.control("wrap on");
        }
        let main = pictures(&mut host, StreamTag::Main, 60);
        assert!(main[0].head.keyframe, "{generation}: the first picture is one to start at");
        for pair in main.windows(2) {
            assert_eq!(pair[1].head.sequence, pair[0].head.sequence + 1, "{generation}");
            assert_eq!(pair[1].head.pts_micros - pair[0].head.pts_micros, 40_000, "{generation}");
        }
        assert!(main.iter().all(|picture| picture.data.starts_with(&[0, 0, 0, 1])), "{generation}");
        assert!(main[1..].iter().any(|picture| picture.head.keyframe), "{generation}: the next GOP began");
        let decoded = grey_pictures(&joined(&main), INPUT_SIZE, dir.path());
        assert_eq!(decoded.len(), main.len(), "{generation}: every picture is decoded");
        let (width, height) = (usize::from(INPUT_SIZE.0), usize::from(INPUT_SIZE.1));
        let counters: Vec<u32> = decoded
            .iter()
            .map(|luma| mark::decode(luma, width, height, width).expect("a mark").counter)
            .collect();
        assert!(counters.windows(2).all(|pair| pair[1] == pair[0] + 1), "{generation}: {counters:?}");
        host.picture(StreamTag::Sub);
        stop_cleanly(host);
    }
}

/// Sound without the vendor's head, a motion grid of the whole picture, a JPEG.
#[test]
fn sound_motion_and_snapshots_come_in_every_generation() {
    for generation in GENERATIONS {
        let mut host = with_channel(generation);
        let sound = host.next("sound", |head| head.kind == PackKind::Audio);
        assert_eq!(sound.data.len(), 160, "{generation}: 20 ms of G.711");
        let grid = host.next("a motion grid", |head| matches!(head.kind, PackKind::Motion { .. }));
        assert_eq!(
            grid.head.kind,
            PackKind::Motion { columns: 22, rows: 18 },
            "{generation}: 352x288 in blocks"
        );
        host.next("movement", |head| matches!(head.kind, PackKind::Motion { .. }));
        host.order(Order::Snapshot { channel: 1 }).unwrap();
        let jpeg = host.next("a snapshot", |head| head.kind == PackKind::Snapshot);
        assert!(jpeg.data.starts_with(&[0xFF, 0xD8]) && jpeg.data.ends_with(&[0xFF, 0xD9]), "{generation}");
        // Its encoder is gone, so that there can be another.
        host.order(Order::Snapshot { channel: 1 }).unwrap();
        host.next("another snapshot", |head| head.kind == PackKind::Snapshot);
        stop_cleanly(host);
    }
}

/// Keyframes on request, rates that change while an encoder runs, sizes that need another one (trap 10).
#[test]
fn encoders_are_changed_while_they_run() {
    for generation in GENERATIONS {
        let mut host = with_channel(generation);
        host.next("the first keyframe", |head| head.keyframe && head.kind == PackKind::Video(StreamTag::Sub));
        let began = host.picture(StreamTag::Sub).head.sequence;
        host.order(Order::Keyframe { channel: 1, stream: StreamTag::Sub }).unwrap();
        let asked =
            host.next("a keyframe", |head| head.keyframe && head.kind == PackKind::Video(StreamTag::Sub));
        assert!(asked.head.sequence - began < 40, "{generation}: before the GOP of 50 ended by itself");

        let bytes = |pictures: &[Kept]| pictures.iter().map(|picture| picture.data.len()).sum::<usize>();
        let slow = bytes(&pictures(&mut host, StreamTag::Main, 50));
        let rate = RatePlan { kbit_per_sec: 3000, gop_frames: 10, frame_rate: 25 };
        host.order(Order::Rate { channel: 1, stream: StreamTag::Main, rate }).unwrap();
        host.next("the change", |head| head.keyframe && head.kind == PackKind::Video(StreamTag::Main));
        let after = pictures(&mut host, StreamTag::Main, 50);
        assert!(bytes(&after) > 2 * slow, "{generation}: {slow} bytes before, {} after", bytes(&after));
        assert!(
            after.iter().filter(|picture| picture.head.keyframe).count() >= 4,
            "{generation}: GOPs of 10"
        );

        let mut small = whole_channel(0);
        (small.streams[0].width, small.streams[0].height) = (480, 270);
        host.order(Order::Open(small)).unwrap();
        // The old one's last pictures may still be in the ring; the new one counts from the start.
        let first = host.next("the new encoder's first picture", |head| {
            head.kind == PackKind::Video(StreamTag::Main) && head.sequence < 50
        });
        assert!(first.head.keyframe, "{generation}: a new encoder");
        stop_cleanly(host);
    }
}

/// What is drawn is seen, what is covered is not (trap 11), and without a signal the user picture is (trap 12).
#[test]
fn bitmaps_covers_and_the_user_picture_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (width, height) = (usize::from(INPUT_SIZE.0), usize::from(INPUT_SIZE.1));
    for generation in GENERATIONS {
        let (mut host, _) = MediaHost::start(&setup(generation));
        let mut plan = whole_channel(0);
        let cover = Rect { x: 320, y: 176, width: 128, height: 96 };
        plan.covers = vec![cover];
        host.order(Order::Open(plan)).unwrap();
        let place = Rect { x: 32, y: 256, width: 64, height: 32 };
        let bitmap = BitmapPlan { place, argb1555: vec![0xFFFF; 64 * 32] };
        host.order(Order::Bitmaps { channel: 1, stream: StreamTag::Main, bitmaps: vec![bitmap] }).unwrap();
        let mean = |luma: &[u8], at: Rect| {
            let rows = (at.y..at.y + at.height).map(usize::from);
            let sum: usize = rows
                .flat_map(|row| &luma[row * width + usize::from(at.x)..][..usize::from(at.width)])
                .map(|sample| usize::from(*sample))
                .sum();
            sum / (usize::from(at.width) * usize::from(at.height))
        };
        // Pictures that were encoded before an order may still be on their way: what is looked for comes soon.
        let decoded = |host: &mut MediaHost| {
            host.order(Order::Keyframe { channel: 1, stream: StreamTag::Main }).unwrap();
            let first = host
                .next("a keyframe", |head| head.keyframe && head.kind == PackKind::Video(StreamTag::Main));
            let mut all = vec![first];
            all.extend(pictures(host, StreamTag::Main, 3));
            grey_pictures(&joined(&all), INPUT_SIZE, dir.path())
        };
        until("a white bitmap and a black cover", || {
            let seen = decoded(&mut host);
            seen.iter().all(|luma| mean(luma, place) > 200 && mean(luma, cover) < 32).then_some(())
        });
        // A cover that is moved.
        let moved = Rect { y: 64, ..cover };
        host.order(Order::Covers { channel: 1, covers: vec![moved, place] }).unwrap();
        until("the cover where it was moved to", || {
            let seen = decoded(&mut host);
            seen.iter().all(|luma| mean(luma, moved) < 32 && mean(luma, cover) > 32).then_some(())
        });
        // Gone again, both.
        host.order(Order::Bitmaps { channel: 1, stream: StreamTag::Main, bitmaps: Vec::new() }).unwrap();
        host.order(Order::Covers { channel: 1, covers: Vec::new() }).unwrap();
        until("neither of them", || {
            let seen = decoded(&mut host);
            seen.iter().all(|luma| mean(luma, place) < 200 && mean(luma, moved) > 32).then_some(())
        });
        host.order(Order::UserPicture { channel: 1, on: true }).unwrap();
        let flat = until("the user picture", || {
            let luma = decoded(&mut host).pop()?;
            let below = &luma[width * height / 2..];
            let (low, high) = (below.iter().min()?, below.iter().max()?);
            (high - low < 8).then_some(*low)
        });
        println!("{generation}: the user picture has the brightness {flat}");
        host.order(Order::UserPicture { channel: 1, on: false }).unwrap();
        stop_cleanly(host);
    }
}

/// The first generation takes one bitmap a second: also when a call is held up on its way, and when its clock jumps.
#[test]
fn bitmaps_keep_their_distance_on_a_slow_machine() {
    let mut host = with_channel("g1");
    host.control("late 400");
    let bitmap = |shade| {
        let place = Rect { x: 32, y: 256, width: 64, height: 32 };
        let bitmaps = vec![BitmapPlan { place, argb1555: vec![shade; 64 * 32] }];
        Order::Bitmaps { channel: 1, stream: StreamTag::Main, bitmaps }
    };
    let begun = Stopwatch::start();
    let mut shade = 0x8000;
    until("six seconds of bitmaps", || {
        shade += 1;
        host.order(bitmap(shade)).unwrap();
        host.picture(StreamTag::Main);
        if shade == 0x8020 {
            host.control("pts +5");
        }
        (begun.elapsed() > Duration::from_secs(6)).then_some(())
    });
    stop_cleanly(host);
}

/// A monitor with tiles and a line of text; channels that close and open beside it.
#[test]
fn a_monitor_shows_tiles_and_a_line() {
    for generation in GENERATIONS {
        let (mut host, _) = MediaHost::start(&setup(generation));
        for number in 0..4 {
            host.order(Order::Open(whole_channel(number))).unwrap();
        }
        let tile = |channel: u16| TilePlan {
            channel,
            place: Rect { x: (channel - 1) % 2 * 640, y: (channel - 1) / 2 * 360, width: 640, height: 360 },
        };
        let line = |value: u16| BitmapPlan {
            place: Rect { x: 16, y: 680, width: 320, height: 32 },
            argb1555: vec![value; 320 * 32],
        };
        let mut plan = DisplayPlan {
            width: 1280,
            height: 720,
            frame_rate: 60,
            tiles: (1..=4).map(tile).collect(),
            status: Some(line(0xFFFF)),
        };
        host.order(Order::Display(Some(plan.clone()))).unwrap();
        plan.status = Some(line(0x8000));
        host.order(Order::Display(Some(plan))).unwrap();
        host.order(Order::Close { channel: 2 }).unwrap();
        host.order(Order::Open(whole_channel(1))).unwrap();
        host.next("a picture of channel 2", |head| head.channel == 2);
        host.order(Order::Display(None)).unwrap();
        stop_cleanly(host);
    }
}

/// Eight channels with everything at once, and every one delivers.
#[test]
fn eight_channels_run_beside_each_other() {
    let (mut host, _) = MediaHost::start(&setup("g2"));
    for number in 0..8 {
        host.order(Order::Open(whole_channel(number))).unwrap();
    }
    for channel in 1..=8 {
        for stream in [StreamTag::Main, StreamTag::Sub] {
            host.next("a picture of each", |head| {
                head.channel == channel && head.kind == PackKind::Video(stream)
            });
        }
    }
    stop_cleanly(host);
}

#[test]
fn an_unknown_version_is_refused_with_its_words() {
    let environment = vec![("STANDIN_VERSION", "Hi3519_MPP_V9.9.9.9 B000 Release")];
    let mut host = MediaHost::spawn(&MediaSetup { environment, ..setup("g2") });
    let FromHost::Refused(fault) = host.first_word() else { panic!("it came up") };
    assert_eq!(fault.kind, FaultKind::Unsupported);
    assert!(fault.message.contains("Hi3519_MPP_V9.9.9.9"), "{fault}");
    assert!(!host.end().0.success());
}

/// Trap 9: the modules' state outlives the process that crashed, so each host clears it first.
#[test]
fn what_a_crash_has_left_behind_is_cleared() {
    for generation in GENERATIONS {
        let environment = vec![("STANDIN_STALE", "1")];
        let (mut host, _) = MediaHost::start(&MediaSetup { environment, ..setup(generation) });
        host.order(Order::Open(whole_channel(0))).unwrap();
        host.picture(StreamTag::Main);
        stop_cleanly(host);
    }
}

#[test]
fn a_library_that_is_not_there_is_refused_with_its_path() {
    let mut host = MediaHost::spawn(&setup("g9"));
    let FromHost::Refused(fault) = host.first_word() else { panic!("it came up") };
    assert_eq!(fault.kind, FaultKind::NotFound);
    assert!(fault.message.contains("lib/mpp/g9/libmpi.so"), "{fault}");
}

/// Trap 1: a library whose structures are larger writes past ours. It is noticed, and nothing is corrupted before.
#[test]
fn a_library_with_larger_structures_is_noticed() {
    let environment = vec![("STANDIN_WRITES_MORE", "1")];
    let (mut host, _) = MediaHost::start(&MediaSetup { environment, ..setup("g2") });
    host.order(Order::Open(whole_channel(0))).unwrap();
    while host.listen() {}
    let (status, said) = host.end();
    assert!(!status.success());
    assert!(said.iter().any(|line| line.contains("wrote past its structure")), "{said:#?}");
}

/// Trap 8 as the library sees it: a pool that is too small for the picture.
#[test]
fn what_the_library_refuses_is_told_with_function_and_number() {
    let pools = Some(vec![PoolPlan { block_bytes: 4096, blocks: 2 }]);
    let (mut host, _) = MediaHost::start(&MediaSetup { pools, ..setup("g2") });
    let refused = host.order(Order::Open(whole_channel(0)));
    // Either at once, or no picture ever comes: the vendor's libraries differ in this, and the stand-in is one of the strict.
    if let Err(fault) = refused {
        assert!(fault.message.contains("HI_MPI_") && fault.message.contains("(0xA0"), "{fault}");
    }
    let environment = vec![("STANDIN_FAIL", "VENC_CreateChn:12")];
    let (mut host, _) = MediaHost::start(&MediaSetup { environment, ..setup("g2") });
    let fault = host.order(Order::Open(whole_channel(0))).unwrap_err();
    assert!(fault.message.contains("HI_MPI_VENC_CreateChn(0)"), "{fault}");
    assert!(fault.message.contains("no memory left (0xA008800C)"), "{fault}");
    stop_cleanly(host);
}

/// Plans that the platform has not are refused, and the host is of use afterwards.
#[test]
fn plans_that_cannot_be_are_refused() {
    let mut host = with_channel("g2");
    let mut twice = whole_channel(1);
    twice.streams[1].stream = StreamTag::Main;
    assert_eq!(host.order(Order::Open(twice)).unwrap_err().kind, FaultKind::Unsupported);
    let odd = BitmapPlan { place: Rect { x: 1, y: 0, width: 2, height: 2 }, argb1555: vec![0; 4] };
    let order = Order::Bitmaps { channel: 1, stream: StreamTag::Main, bitmaps: vec![odd] };
    assert_eq!(host.order(order).unwrap_err().kind, FaultKind::Unsupported);
    let order = Order::Keyframe { channel: 7, stream: StreamTag::Main };
    assert_eq!(host.order(order).unwrap_err().kind, FaultKind::NotFound);
    let order = Order::Covers { channel: 1, covers: vec![Rect::default()] };
    assert_eq!(host.order(order).unwrap_err().kind, FaultKind::Unsupported);
    let mut other = whole_channel(1);
    other.streams[0].codec = Codec::H265;
    assert!(host.order(Order::Open(other)).is_err(), "the stand-in has no H.265");
    host.picture(StreamTag::Main);
    stop_cleanly(host);
}

/// A full ring costs whole GOPs, counted, and the next picture after is one to start at.
#[test]
fn a_client_that_does_not_read_loses_whole_gops() {
    let (mut host, _) = MediaHost::start(&setup("g2"));
    let mut plan = whole_channel(0);
    plan.streams[0].rate.kbit_per_sec = 20_000;
    host.order(Order::Open(plan)).unwrap();
    until("the ring to be full", || {
        host.listen();
        (host.lost() > 0).then_some(())
    });
    let mut last = None;
    let mut gap = false;
    while !gap {
        let picture = host.picture(StreamTag::Main);
        if let Some(last) = last
            && picture.head.sequence != last + 1
        {
            assert!(picture.head.keyframe, "after a gap comes a keyframe");
            gap = true;
        }
        last = Some(picture.head.sequence);
    }
    stop_cleanly(host);
}

/// Trap 6: an encoder that has nothing is not asked in circles; the loop sleeps.
#[test]
fn a_stalled_encoder_costs_nothing_and_the_others_go_on() {
    let mut host = with_channel("g2");
    host.picture(StreamTag::Main);
    host.control("stall 0");
    let watch = Stopwatch::start();
    let mut last = Stopwatch::start();
    while last.elapsed() < Duration::from_secs(1) {
        assert!(watch.elapsed() < Duration::from_secs(60), "it goes on");
        host.listen();
        while let Some(pack) = host.take() {
            if pack.head.kind == PackKind::Video(StreamTag::Main) {
                last = Stopwatch::start();
            }
        }
    }
    let before = host.heartbeat();
    let watch = Stopwatch::start();
    while watch.elapsed() < Duration::from_secs(2) {
        host.listen();
    }
    let turns = host.heartbeat() - before;
    // The sub stream's pictures, sound, motion and the heartbeat's own pace; in circles it would be tens of thousands.
    assert!(turns < 1000, "{turns} turns in 2 s");
    host.picture(StreamTag::Sub);
    host.control("go 0");
    host.picture(StreamTag::Main);
    stop_cleanly(host);
}

/// A library that hangs or crashes: the heartbeat stops, the socket ends.
#[test]
fn hangs_and_crashes_show() {
    let mut host = with_channel("g2");
    host.picture(StreamTag::Main);
    host.control("hang");
    let mut last = (host.heartbeat(), Stopwatch::start());
    until("the heartbeat to stop", || {
        host.listen();
        while host.take().is_some() {}
        if host.heartbeat() != last.0 {
            last = (host.heartbeat(), Stopwatch::start());
        }
        (last.1.elapsed() > Duration::from_secs(2)).then_some(())
    });
    drop(host);
    let mut host = with_channel("g2");
    host.picture(StreamTag::Main);
    host.control("crash");
    while host.listen() {
        while host.take().is_some() {}
    }
    assert!(!host.end().0.success());
}
