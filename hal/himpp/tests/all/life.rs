//! The host's life: refused, dead, hung, damaged, and started again.

use std::os::unix::fs::FileExt;
use std::time::Duration;

use hal::{Backend, Clock, ErrorKind, Signal};
use mpp_wire::{Fault, FaultKind, Order};

use crate::stage::{Stage, State, config};

/// A backend with a channel that delivers.
fn delivering(stage: &Stage) -> (hal_himpp::HimppBackend, Box<dyn hal::Channel>) {
    let mut backend = stage.backend();
    let channel = backend.open(&config(1), stage.sink()).unwrap();
    stage.until("units", |state| (state.units.len() >= 4).then_some(()));
    (backend, channel)
}

/// The channel failed for that reason, and goes on with the second host.
fn recovers(stage: &Stage, words: &str) {
    stage.until("the failure is told", |state| {
        let failed = |signal: &Signal| matches!(signal, Signal::Failed { reason } if reason.contains(words));
        state.signals.iter().any(|(_, signal)| failed(signal)).then_some(())
    });
    let before = stage.state().units.len();
    stage.until("another host", |state| (state.lives.len() == 2 && state.opened() == 1).then_some(()));
    stage.until("it goes on", State::is_present);
    stage.until("units again", |state| (state.units.len() >= before + 8).then_some(()));
    let state = stage.state();
    assert!(state.lives[0].killed);
    let main: Vec<_> = state.units.iter().filter(|unit| unit.stream.kind == hal::StreamKind::Main).collect();
    assert!(main.windows(2).all(|pair| pair[0].pts < pair[1].pts), "presentation goes on");
    assert_eq!(main.iter().filter(|unit| unit.discontinuity).count(), 2);
    assert_eq!(state.formats.len(), 3, "the streams are the same");
}

#[test]
fn a_host_that_ends_is_started_again_and_its_channels_with_it() {
    let stage = Stage::new();
    let (backend, _channel) = delivering(&stage);
    stage.life(crate::stage::Life::end);
    recovers(&stage, "mpp-host is gone");
    assert_eq!(backend.counters().restarts, 1);
}

#[test]
fn a_host_that_hangs_is_noticed_within_two_seconds() {
    let stage = Stage::new();
    let (_backend, _channel) = delivering(&stage);
    let hung = stage.clock.mono();
    stage.life(|life| life.hung = true);
    stage.until("the hang is told", |state| state.is_failed("no sign of life"));
    let noticed = stage.clock.mono().since(hung);
    assert!(noticed <= Duration::from_secs(2), "after {noticed:?}");
    recovers(&stage, "no sign of life");
}

#[test]
fn a_host_that_damages_the_ring_is_ended() {
    let stage = Stage::new();
    let (_backend, _channel) = delivering(&stage);
    let ring = stage.life(|life| life.begin.clone().unwrap().ring);
    let file = std::fs::File::options().write(true).open(ring).unwrap();
    stage.state().still = true;
    // More is written than the ring holds: its word for that is at 64.
    file.write_all_at(&0x7FFF_0000_u32.to_ne_bytes(), 64).unwrap();
    stage.until("the damage is told", |state| state.is_failed("damaged"));
    stage.state().still = false;
    recovers(&stage, "damaged");
}

#[test]
fn words_that_make_no_sense_end_the_host() {
    let stage = Stage::new();
    let (_backend, _channel) = delivering(&stage);
    stage.life(crate::stage::Life::babble);
    recovers(&stage, "mpp-host is gone");
}

#[test]
fn a_refusal_is_told_in_its_own_words_and_tried_again_ever_more_rarely() {
    let stage = Stage::new();
    let words = "the library says \"Hi3599_MPP_V9.0.0.0\", which this program does not know";
    stage.state().refuse = Some(Fault::new(FaultKind::Unsupported, words));
    let mut backend = stage.backend();
    let _channel = backend.open(&config(1), stage.sink()).unwrap();
    stage.until("the refusal is told", |state| state.is_failed(words));
    let mut starts = Vec::new();
    for lives in 2..8 {
        stage.until("one more", |state| (state.lives.len() == lives).then_some(()));
        starts.push(stage.clock.mono());
    }
    let pauses: Vec<Duration> = starts.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(pauses[4] > pauses[0] * 4, "{pauses:?}");
    stage.state().refuse = None;
    stage.until("it is taken at last", State::is_present);
    assert!(backend.counters().restarts >= 6);
}

#[test]
fn a_host_that_says_nothing_is_given_up() {
    let stage = Stage::new();
    stage.state().mute = true;
    let mut backend = stage.backend();
    let _channel = backend.open(&config(1), stage.sink()).unwrap();
    stage.until("that is told", |state| state.is_failed("not ready in time"));
    stage.state().mute = false;
    stage.until("the next one does better", State::is_present);
}

#[test]
fn a_stream_that_stands_still_is_opened_anew_and_then_the_host_is_started_again() {
    let stage = Stage::new();
    let (backend, _channel) = delivering(&stage);
    stage.state().still = true;
    let opens = |state: &State| state.orders().iter().filter(|o| matches!(o, Order::Open(_))).count();
    stage.until("it is closed", |state| {
        state.orders().iter().any(|o| matches!(o, Order::Close { channel: 1 })).then_some(())
    });
    stage.until("and opened", |state| (opens(state) == 2).then_some(()));
    stage.until("the host is started again", |state| (state.lives.len() == 2).then_some(()));
    stage.state().still = false;
    stage.until("and all is well", State::is_present);
    let counters = backend.counters();
    assert_eq!((counters.stalls, counters.restarts), (2, 1));
}

#[test]
fn one_channel_that_never_delivers_does_not_take_the_others_along() {
    let stage = Stage::new();
    let (backend, _channel) = delivering(&stage);
    stage.state().still = true;
    stage.until("the one restart", |state| (state.lives.len() == 2 && state.opened() == 1).then_some(()));
    stage.until("it is given up for now", |state| {
        state.is_failed("deliver no pictures; they are tried again")
    });
    stage.pass(Duration::from_secs(12));
    assert_eq!(stage.state().lives.len(), 2);
    assert_eq!(backend.counters().restarts, 1);
    stage.state().still = false;
    stage.until("it comes back", State::is_present);
}

#[test]
fn a_channel_that_the_host_reports_as_failed_is_opened_again() {
    let stage = Stage::new();
    let (backend, _channel) = delivering(&stage);
    let fault = Fault::new(FaultKind::Device, "HI_MPI_VENC_GetStream: no buffer");
    stage.life(|life| {
        life.open.clear();
        life.say(&mpp_wire::FromHost::Failed { channel: 1, fault });
    });
    stage.until("it is open again", |state| (state.opened() == 1).then_some(()));
    assert_eq!((backend.counters().failures, stage.state().lives.len()), (1, 1));
}

#[test]
fn larger_pictures_need_other_buffers_and_so_another_host() {
    let stage = Stage::new();
    let (mut backend, _channel) = delivering(&stage);
    let _second = backend.open(&config(2), stage.sink()).unwrap();
    stage.until("both are open", |state| (state.opened() == 2).then_some(()));
    let state = stage.state();
    assert_eq!(state.lives.len(), 2);
    assert!(state.lives[0].stopped, "in order");
    let blocks = |life: usize| -> u32 {
        state.lives[life].begin.as_ref().unwrap().system.pools.iter().map(|pool| pool.blocks).sum()
    };
    assert_eq!(blocks(1) - blocks(0), 3 + 2 + 2);
    assert!(
        !state.signals.iter().any(|(_, signal)| matches!(signal, Signal::Failed { .. })),
        "nobody failed"
    );
    drop(state);
    let counters = backend.counters();
    assert_eq!((counters.regrown, counters.restarts), (1, 0));
}

#[test]
fn a_configuration_beyond_the_board_s_memory_is_refused_with_its_parts() {
    let stage = Stage::new();
    let mut backend = stage.backend();
    let mut channels = Vec::new();
    let refused = (1..=8).find_map(|number| {
        let mut large = config(number);
        large.streams[0].resolution = hal::Resolution { width: 1920, height: 1080 };
        match backend.open(&large, stage.sink()) {
            Ok(channel) => {
                channels.push(channel);
                None
            }
            Err(error) => Some(error),
        }
    });
    let refused = refused.unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("the board has 128 MiB"), "{refused}");
    let small = backend.open(&config(8), stage.sink());
    assert_eq!((channels.len(), small.is_ok()), (4, true));
}

#[test]
fn the_host_is_told_to_stop_at_the_end() {
    let stage = Stage::new();
    let (backend, channel) = delivering(&stage);
    drop(channel);
    stage.now("the channel is closed", |state| (state.opened() == 0).then_some(()));
    drop(backend);
    let state = stage.state();
    assert!(state.lives[0].stopped);
}
