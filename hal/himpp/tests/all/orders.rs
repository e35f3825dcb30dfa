//! What holders of channels ask for, and what reaches the host of it.

use std::time::Duration;

use hal::{
    Area, Backend, BitsPerSecond, DisplayMode, DisplayOutput, ErrorKind, FrameRate, Resolution, StreamKind,
    Tile,
};
use mpp_wire::{BitmapPlan, Order, RatePlan, StreamTag};

use crate::stage::{Stage, State, channel, config};

#[test]
fn keyframes_and_rates_reach_the_encoder() {
    let stage = Stage::new();
    let mut backend = stage.backend();
    let mut open = backend.open(&config(1), stage.sink()).unwrap();
    stage.until("the channel is open", State::is_present);
    open.request_keyframe(StreamKind::Sub).unwrap();
    stage.now("the order", |state| {
        state
            .orders()
            .iter()
            .any(|o| matches!(o, Order::Keyframe { stream: StreamTag::Sub, .. }))
            .then_some(())
    });
    assert_eq!(open.request_keyframe(StreamKind::Audio).unwrap_err().kind(), ErrorKind::NotFound);
    open.set_bit_rate(StreamKind::Main, BitsPerSecond(900_000)).unwrap();
    let rate = RatePlan { kbit_per_sec: 900, gop_frames: 30, frame_rate: 15 };
    stage.now("the rate", |state| {
        let is_it =
            |o: &Order| matches!(o, Order::Rate { stream: StreamTag::Main, rate: r, .. } if *r == rate);
        state.orders().iter().any(is_it).then_some(())
    });
    let refused = open.set_bit_rate(StreamKind::Main, BitsPerSecond(1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}

#[test]
fn what_needs_no_new_streams_is_changed_in_place_and_the_rest_is_refused() {
    let stage = Stage::new();
    let mut backend = stage.backend();
    let mut open = backend.open(&config(1), stage.sink()).unwrap();
    stage.until("the channel is open", State::is_present);
    let mut other = config(1);
    other.title = "Gate".to_owned();
    other.streams[0].gop_frames = 60;
    assert!(open.reconfigure(&other).unwrap());
    other.streams[1].resolution.height = 240;
    assert!(!open.reconfigure(&other).unwrap());
    let mut rare = config(1);
    rare.streams[0].gop_frames = 601;
    assert_eq!(open.reconfigure(&rare).unwrap_err().kind(), ErrorKind::Unsupported);
    stage.until("the change", |state| {
        state
            .orders()
            .iter()
            .any(|o| matches!(o, Order::Rate { rate, .. } if rate.gop_frames == 60))
            .then_some(())
    });
    let opens = stage.state().orders().iter().filter(|o| matches!(o, Order::Open(_))).count();
    assert_eq!(opens, 1);
}

/// The bitmaps of the main stream, one list an order.
fn bitmaps(state: &State) -> Vec<Vec<BitmapPlan>> {
    let orders = state.orders().iter();
    let main = orders.filter_map(|order| match order {
        Order::Bitmaps { stream: StreamTag::Main, bitmaps, .. } => Some(bitmaps.clone()),
        _ => None,
    });
    main.collect()
}

#[test]
fn the_clock_is_drawn_once_a_second_and_the_title_stays() {
    let stage = Stage::new();
    let mut backend = stage.backend();
    let _channel = backend.open(&config(1), stage.sink()).unwrap();
    stage.until("bitmaps", |state| (!bitmaps(state).is_empty()).then_some(()));
    let (before, at) = (bitmaps(&stage.state()).len(), hal::Clock::wall(&*stage.clock).as_unix_micros());
    stage.pass(Duration::from_secs(5));
    let seconds =
        hal::Clock::wall(&*stage.clock).as_unix_micros().div_euclid(1_000_000) - at.div_euclid(1_000_000);
    let all = stage.until("the last second's", |state| {
        let all = bitmaps(state);
        (all.len() > before + 2).then_some(all)
    });
    assert!(all.len() - before <= seconds as usize + 1, "{} in {seconds} s", all.len() - before);
    for pair in all.windows(2) {
        assert_eq!(pair[0][0], pair[1][0], "the title");
        assert_eq!(pair[0][1].place, pair[1][1].place);
        assert_ne!(pair[0][1].argb1555, pair[1][1].argb1555, "the clock");
    }
}

#[test]
fn titles_and_covers_of_an_open_channel_change_through_the_overlay() {
    let stage = Stage::new();
    let mut backend = stage.backend();
    let _channel = backend.open(&config(1), stage.sink()).unwrap();
    let mut overlay = backend.overlay().unwrap();
    let cover = Area::new(0, 0, 5_000, 5_000).unwrap();
    overlay.set_covers(channel(1), &[cover]).unwrap();
    stage.until("the channel is open", State::is_present);
    assert_eq!(stage.state().lives[0].open[&1].covers.len(), 1, "from the first picture on");
    overlay.set_covers(channel(1), &[]).unwrap();
    assert!(
        stage.state().orders().iter().any(|o| matches!(o, Order::Covers { covers, .. } if covers.is_empty()))
    );
    overlay.set_title(channel(1), "").unwrap();
    overlay.set_clock(channel(1), false).unwrap();
    stage.until("nothing is drawn", |state| bitmaps(state).last().is_some_and(Vec::is_empty).then_some(()));
    assert_eq!(overlay.set_covers(channel(1), &[cover; 5]).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(overlay.set_clock(channel(2), true).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(overlay.set_title(channel(1), &"x".repeat(33)).is_err());
}

#[test]
fn a_monitor_shows_tiles_and_a_line_also_after_a_restart() {
    let stage = Stage::new();
    let mut backend = stage.backend();
    let mut display = backend.display().unwrap();
    let output = DisplayOutput::Hdmi;
    assert_eq!(display.show(output, &[]).unwrap_err().kind(), ErrorKind::NotFound, "it is off");
    let mode = |width, height| DisplayMode {
        resolution: Resolution { width, height },
        frame_rate: FrameRate { numerator: 60, denominator: 1 },
    };
    assert_eq!(display.set_mode(output, Some(mode(1920, 1080))).unwrap_err().kind(), ErrorKind::Unsupported);
    display.set_mode(output, Some(mode(1280, 720))).unwrap();
    let tile = Tile { channel: channel(1), area: Area::new(5_000, 0, 5_000, 5_000).unwrap() };
    display.show(output, &[tile]).unwrap();
    display.set_status(output, "Set-up code: 1234").unwrap();
    let shown = |state: &State| {
        let last = state
            .orders()
            .iter()
            .rev()
            .find_map(|o| if let Order::Display(plan) = o { plan.clone() } else { None });
        last.filter(|plan| plan.tiles.len() == 1 && plan.status.is_some()).map(|plan| plan.tiles[0].place.x)
    };
    assert_eq!(stage.until("the monitor", shown), 640);
    stage.life(crate::stage::Life::end);
    stage.until("another host", |state| (state.lives.len() == 2).then_some(()));
    assert_eq!(stage.until("the monitor again", shown), 640);
}

#[test]
fn inputs_have_one_holder() {
    let stage = Stage::new();
    let mut backend = stage.backend();
    let first = backend.open(&config(1), stage.sink()).unwrap();
    let mut same = config(2);
    same.input = "video0".to_owned();
    assert_eq!(backend.open(&same, stage.sink()).err().unwrap().kind(), ErrorKind::Busy);
    same.input = "video9".to_owned();
    assert_eq!(backend.open(&same, stage.sink()).err().unwrap().kind(), ErrorKind::NotFound);
    drop(first);
    same.input = "video0".to_owned();
    assert!(backend.open(&same, stage.sink()).is_ok());
}
