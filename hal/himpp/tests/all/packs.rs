//! What encoders deliver: order, times, losses, and bytes that make no sense.

use std::time::Duration;

use hal::{AudioCodec, AudioFormat, Backend, Clock, Signal, StreamFormat, StreamId, StreamKind, VideoCodec};
use mpp_wire::{Order, PackHead, PackKind, StreamTag};

use crate::stage::{KEYFRAME, Stage, State, channel, config};

fn main_units(state: &State) -> Vec<crate::stage::Unit> {
    state.units.iter().filter(|unit| unit.stream.kind == StreamKind::Main).cloned().collect()
}

#[test]
fn an_open_channel_delivers_its_streams_in_the_hal_s_terms() {
    let stage = Stage::new();
    let mut backend = stage.backend();
    let begun = stage.clock.wall();
    assert_eq!((backend.name(), backend.inputs().len()), ("himpp", 8));
    let _channel = backend.open(&config(3), stage.sink()).unwrap();
    stage.until("units of both streams", |state| (state.units.len() >= 6).then_some(()));
    let state = stage.state();
    let stream = |kind| StreamId::new(channel(3), kind);
    let sound = AudioFormat { codec: AudioCodec::G711A, sample_rate: 8_000, channels: 1, config: Vec::new() };
    let formats = [
        (stream(StreamKind::Main), StreamFormat::Video(VideoCodec::H264)),
        (stream(StreamKind::Sub), StreamFormat::Video(VideoCodec::H264)),
        (stream(StreamKind::Audio), StreamFormat::Audio(sound)),
    ];
    assert_eq!(state.formats, formats);
    assert_eq!(state.signals, [(channel(3), Signal::Present)]);
    let units = main_units(&state);
    assert!(units[0].discontinuity && units[1..].iter().all(|unit| !unit.discontinuity));
    assert!(units.windows(2).all(|pair| pair[0].pts < pair[1].pts));
    // Not one after the other: what a busy machine delivers late seems later than what follows in time.
    let (begun, ended) = (begun.as_unix_micros(), stage.clock.wall().as_unix_micros());
    assert!(units.iter().all(|unit| (begun..=ended).contains(&unit.wall.as_unix_micros())));
    let begin = state.lives[0].begin.clone().unwrap();
    assert_eq!(begin.libraries, ["/lib/mpp/libmpi.so"]);
    assert_eq!((begin.system.devices.len(), begin.system.pools.len()), (2, 2));
    drop(state);
    assert_eq!(backend.counters(), hal_himpp::Counters::default());
}

#[test]
fn sound_and_snapshots_come_through_the_same_ring() {
    let stage = Stage::new();
    let mut backend = stage.backend();
    let mut open = backend.open(&config(1), stage.sink()).unwrap();
    let head = |kind| PackHead {
        kind,
        channel: 1,
        keyframe: true,
        sequence: 9,
        pts_micros: 5_000_000,
        age_micros: 20_000,
    };
    stage.until("the channel is open", State::is_present);
    stage.state().still = true;
    assert!(stage.life(|life| life.put(&head(PackKind::Audio), &[0xD5; 320])));
    let sound =
        stage.now("sound", |state| state.units.iter().find(|u| u.stream.kind == StreamKind::Audio).cloned());
    assert!(sound.keyframe && sound.bytes == 320);
    open.request_snapshot().unwrap();
    assert!(matches!(stage.state().orders().last(), Some(Order::Snapshot { channel: 1 })));
    assert!(stage.life(|life| life.put(&head(PackKind::Snapshot), b"no JPEG")));
    assert!(stage.life(|life| life.put(&head(PackKind::Snapshot), &[0xFF, 0xD8, 0xFF])));
    stage.now("the snapshot", |state| (state.snapshots == [[0xFF, 0xD8, 0xFF]]).then_some(()));
    assert_eq!(backend.counters().invalid, 1);
}

#[test]
fn units_begin_with_a_keyframe_and_after_a_gap_with_the_next_one() {
    let stage = Stage::new();
    stage.state().still = true;
    let mut backend = stage.backend();
    let _channel = backend.open(&config(1), stage.sink()).unwrap();
    stage.until("the channel is open", State::is_present);
    let keyframes = |state: &State| {
        state
            .orders()
            .iter()
            .filter(|o| matches!(o, Order::Keyframe { channel: 1, stream: StreamTag::Main }))
            .count()
    };
    stage.life(|life| life.picture(1, StreamTag::Main, false));
    stage.now("a keyframe is asked for", |state| (keyframes(state) == 1).then_some(()));
    stage.life(|life| {
        life.picture(1, StreamTag::Main, true);
        life.picture(1, StreamTag::Main, false);
    });
    stage.now("two units", |state| (state.units.len() == 2).then_some(()));
    stage.life(|life| {
        let _lost = life.head(1, StreamTag::Main, false);
        life.picture(1, StreamTag::Main, false);
        life.picture(1, StreamTag::Main, false);
        life.picture(1, StreamTag::Main, true);
    });
    stage.now("the keyframe after", |state| (state.units.len() == 3).then_some(()));
    let state = stage.state();
    let keys: Vec<bool> = state.units.iter().map(|unit| unit.keyframe).collect();
    assert_eq!(keys, [true, false, true]);
    assert_eq!(keyframes(&state), 1, "asked for once a second at most");
    drop(state);
    let counters = backend.counters();
    assert_eq!((counters.gaps, counters.undecodable), (1, 3));
}

#[test]
fn what_does_not_fit_the_ring_is_lost_and_the_stream_goes_on_at_a_keyframe() {
    let stage = Stage::new();
    stage.state().still = true;
    let mut backend = stage.backend();
    let _channel = backend.open(&config(1), stage.sink()).unwrap();
    stage.until("the channel is open", State::is_present);
    let mut large = KEYFRAME.to_vec();
    large.resize(3 << 20, 0x55);
    let put = stage.life(|life| {
        life.picture(1, StreamTag::Main, true);
        let mut put = 1;
        loop {
            let head = life.head(1, StreamTag::Main, false);
            if !life.put(&head, &large) {
                break put;
            }
            put += 1;
        }
    });
    stage.now("what had room", |state| (state.units.len() == put).then_some(()));
    stage.life(|life| {
        life.picture(1, StreamTag::Main, false);
        life.picture(1, StreamTag::Main, true);
    });
    stage.now("the keyframe", |state| (state.units.len() == put + 1).then_some(()));
    assert!(stage.state().units.last().unwrap().keyframe);
    stage.now("an order for it", |state| {
        state.orders().iter().any(|o| matches!(o, Order::Keyframe { .. })).then_some(())
    });
    stage.settle();
    let counters = backend.counters();
    assert_eq!((counters.lost, counters.gaps, counters.undecodable), (1, 1, 1));
}

#[test]
fn a_platform_clock_that_jumps_is_a_discontinuity_in_time_that_goes_on() {
    for jump in [3_600_000_000, -4_000_000] {
        let stage = Stage::new();
        let mut backend = stage.backend();
        let _channel = backend.open(&config(1), stage.sink()).unwrap();
        let before = stage.until("some units", |state| {
            let units = main_units(state);
            (units.len() >= 5).then_some(units.len())
        });
        stage.life(|life| life.jump(jump));
        let units = stage.until("units after it", |state| {
            let units = main_units(state);
            (units.len() >= before + 5).then_some(units)
        });
        let breaks = units.iter().skip(1).filter(|unit| unit.discontinuity).count();
        assert_eq!(breaks, 1, "{units:?}");
        for pair in units.windows(2) {
            let step = pair[1].pts - pair[0].pts;
            assert!((1..=3 * 9_000).contains(&step), "{jump}: a step of {step} ticks");
        }
    }
}

#[test]
fn packs_without_sense_are_dropped_and_counted() {
    let stage = Stage::new();
    stage.state().still = true;
    let mut backend = stage.backend();
    let mut small = config(1);
    small.streams.truncate(1);
    let _channel = backend.open(&small, stage.sink()).unwrap();
    stage.until("the channel is open", State::is_present);
    stage.life(|life| {
        life.picture(9, StreamTag::Main, true);
        life.picture(1, StreamTag::Sub, true);
        let head = life.head(1, StreamTag::Main, true);
        life.put(&head, &[]);
        let head = life.head(1, StreamTag::Main, true);
        life.put(&head, &[0, 0, 1, 0x65, 9]);
        life.picture(1, StreamTag::Main, true);
    });
    stage.now("the good one", |state| (state.units.len() == 1).then_some(()));
    let counters = backend.counters();
    assert_eq!((counters.unknown, counters.invalid, counters.restarts), (2, 2, 0));
}

#[test]
fn motion_grids_are_read_when_they_are_wanted() {
    let stage = Stage::new();
    let mut backend = stage.backend();
    let _channel = backend.open(&config(1), stage.sink()).unwrap();
    let mut motion = backend.motion().unwrap();
    let mut grid = hal::MotionGrid::default();
    assert!(motion.read(channel(1), &mut grid).is_err(), "it is off");
    stage.until("the channel is open", State::is_present);
    motion.enable(channel(1), true).unwrap();
    stage.until("it is open with a grid", |state| {
        state.lives[0].open.get(&1).is_some_and(|plan| plan.motion.is_some()).then_some(())
    });
    stage.state().still = true;
    stage.life(|life| {
        let mut head = life.head(1, StreamTag::Main, true);
        head.kind = PackKind::Motion { columns: 3, rows: 2 };
        life.put(&head, &[0, 1, 2, 3, 4, 255]);
    });
    stage.settle();
    assert!(motion.read(channel(1), &mut grid).unwrap());
    assert_eq!((grid.columns, grid.rows, &grid.levels[..]), (3, 2, &[0, 1, 2, 3, 4, 255][..]));
    assert!(!motion.read(channel(1), &mut grid).unwrap(), "read once");
    motion.enable(channel(1), false).unwrap();
    assert!(motion.read(channel(1), &mut grid).is_err());
    stage.pass(Duration::from_secs(1));
}
