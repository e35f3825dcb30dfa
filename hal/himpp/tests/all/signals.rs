//! What cameras and their decoders do.

use board::Board;
use hal::{Backend, Signal};
use mpp_wire::{Fault, FaultKind, Order};

use crate::stage::{Stage, State, ahd, channel, config};

fn board() -> Board {
    Board::builtin("virt-mpp").unwrap()
}

#[test]
fn a_lost_camera_is_told_and_its_stream_goes_on_with_another_picture() {
    let stage = Stage::new();
    stage.state().locked.insert(0, ahd(720));
    let mut backend = stage.backend_on(board());
    let _channel = backend.open(&config(1), stage.sink()).unwrap();
    stage.until("a picture", State::is_present);
    let opened = stage.state().lives[0].open[&1].clone();
    assert_eq!((opened.input.width, opened.input.frame_rate), (1280, 25));
    stage.state().locked.clear();
    stage.until("the loss", |state| matches!(state.last_signal(), Some(Signal::Lost { .. })).then_some(()));
    let shown = |state: &State, wanted: bool| {
        let mut orders = state.orders().iter().rev();
        let last =
            orders.find_map(|o| if let Order::UserPicture { channel: 1, on } = o { Some(*on) } else { None });
        (last == Some(wanted)).then_some(())
    };
    stage.now("the user picture", |state| shown(state, true));
    let units = stage.state().units.len();
    stage.until("the stream goes on", |state| (state.units.len() > units + 4).then_some(()));
    stage.state().locked.insert(0, ahd(720));
    stage.until("it is back", State::is_present);
    stage.now("its own picture", |state| shown(state, false));
    stage.now("from a keyframe on", |state| {
        matches!(state.orders().last(), Some(Order::Keyframe { .. } | Order::Bitmaps { .. })).then_some(())
    });
    assert!(stage.state().orders().iter().any(|o| matches!(o, Order::Keyframe { channel: 1, .. })));
    assert_eq!(stage.state().lives.len(), 1);
}

#[test]
fn without_a_camera_nothing_is_opened_until_one_is_there() {
    let stage = Stage::new();
    let mut backend = stage.backend_on(board());
    let _channel = backend.open(&config(1), stage.sink()).unwrap();
    stage.until("no picture", |state| matches!(state.last_signal(), Some(Signal::Lost { .. })).then_some(()));
    assert!(stage.state().lives.is_empty(), "no host is needed");
    stage.state().locked.insert(0, ahd(720));
    stage.until("a picture", State::is_present);
}

#[test]
fn another_camera_s_size_opens_the_channel_anew() {
    let stage = Stage::new();
    stage.state().locked.insert(0, ahd(1080));
    let mut backend = stage.backend_on(board());
    let _channel = backend.open(&config(1), stage.sink()).unwrap();
    stage.until("a picture", State::is_present);
    stage.state().locked.insert(0, ahd(720));
    stage.until("its size", |state| {
        state
            .lives
            .last()
            .and_then(|life| life.open.get(&1))
            .filter(|plan| plan.input.width == 1280)
            .map(|_| ())
    });
    assert_eq!(stage.state().lives.len(), 1, "smaller pictures fit the buffers");
}

#[test]
fn a_missing_decoder_is_its_channels_failure_and_is_looked_for_again() {
    let stage = Stage::new();
    stage.state().decoders_missing = true;
    let mut backend = stage.backend_on(board());
    let _channel = backend.open(&config(5), stage.sink()).unwrap();
    stage.until("why", |state| state.is_failed("no chip at [\n    0x64"));
    stage.state().decoders_missing = false;
    stage.state().locked.insert(0, ahd(720));
    stage.until("it was found", State::is_present);
    assert_eq!(stage.state().signals.last().unwrap().0, channel(5));
}

#[test]
fn a_channel_that_is_refused_for_now_is_tried_again() {
    let stage = Stage::new();
    stage.state().refuse_open = Some(Fault::new(FaultKind::Busy, "HI_MPI_VENC_CreateChn: no memory"));
    let mut backend = stage.backend();
    let _channel = backend.open(&config(1), stage.sink()).unwrap();
    stage.until("why", |state| state.is_failed("no memory"));
    stage.state().refuse_open = None;
    stage.until("it runs", State::is_present);
    assert_eq!(backend.counters().restarts, 0);
}
