//! A channel's timeline: from a pipeline's running time to pts and wall time.
//!
//! Every stream of a channel asks the same [`Timeline`], so they share origin and anchor. A pipeline that starts
//! anew begins a new [`Timeline::restart`]: pts goes on from the channel's own monotonic time and never runs
//! backwards.
//!
//! Invariant: two calls with the same running time give the same pts; and the same wall time, unless the wall
//! clock was stepped in between.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use hal::{Clock, MonoTime, Pts90k, WallTime};

/// The wall clock may wander this far from the anchor before the anchor follows. Small enough that the clock on
/// the picture is right to the second, large enough that NTP's slewing does not move it all the time.
const REANCHOR_MICROS: i64 = 500_000;

/// Anchors kept for units that are still in an encoder when the wall clock is stepped.
const MAX_ANCHORS: usize = 4;

/// Where a moment of a pipeline's running time lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) pts: Pts90k,
    pub(crate) wall: WallTime,
}

/// A channel's timeline; see the module.
pub(crate) struct Timeline {
    clock: Arc<dyn Clock>,
    opened: MonoTime,
    state: Mutex<State>,
}

struct State {
    pipeline: Option<gst::glib::WeakRef<gst::Pipeline>>,
    /// Microseconds from running time to the channel's monotonic time.
    origin_micros: Option<i64>,
    /// (valid from this running time, wall time of running time zero), oldest first.
    anchors: VecDeque<(i64, WallTime)>,
}

impl Timeline {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let opened = clock.mono();
        let state = State { pipeline: None, origin_micros: None, anchors: VecDeque::new() };
        Self { clock, opened, state: Mutex::new(state) }
    }

    /// The wall clock now.
    pub(crate) fn wall(&self) -> WallTime {
        self.clock.wall()
    }

    /// From here on running times are this pipeline's.
    pub(crate) fn restart(&self, pipeline: &gst::Pipeline) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State {
            pipeline: Some(pipeline.downgrade()),
            origin_micros: None,
            anchors: VecDeque::with_capacity(MAX_ANCHORS),
        };
    }

    /// The stamp of a picture that was captured just now, at `running` in the pipeline's time. Follows the wall
    /// clock, which [`Self::stamp`] does not.
    pub(crate) fn capture(&self, running: gst::ClockTime) -> Stamp {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let micros = micros(running);
        let zero = self.wall_at_zero(&state);
        let follow = match state.anchors.back() {
            None => true,
            Some((_, anchor)) => zero.micros_since(*anchor).abs() > REANCHOR_MICROS,
        };
        if follow {
            if state.anchors.len() == MAX_ANCHORS {
                state.anchors.pop_front();
            }
            // The first anchor also covers sound that began before the first picture.
            let from = if state.anchors.is_empty() { i64::MIN } else { micros };
            state.anchors.push_back((from, zero));
        }
        self.look_up(&mut state, micros)
    }

    /// The stamp of something that leaves an encoder now and was captured at `running`.
    pub(crate) fn stamp(&self, running: gst::ClockTime) -> Stamp {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.anchors.is_empty() {
            drop(state);
            return self.capture(running);
        }
        self.look_up(&mut state, micros(running))
    }

    fn look_up(&self, state: &mut State, micros: i64) -> Stamp {
        let origin = *state.origin_micros.get_or_insert_with(|| {
            let now = self.clock.mono().since(self.opened);
            i64::try_from(now.as_micros()).unwrap_or(i64::MAX) - micros
        });
        let anchor = state.anchors.iter().rev().find(|(from, _)| *from <= micros).or(state.anchors.front());
        let zero = anchor.map_or_else(|| self.clock.wall(), |(_, zero)| *zero);
        Stamp { pts: Pts90k::from_micros(origin.saturating_add(micros)), wall: zero.offset_micros(micros) }
    }

    /// The wall time at which the pipeline's running time was zero, by what both clocks say now.
    fn wall_at_zero(&self, state: &State) -> WallTime {
        let running = state
            .pipeline
            .as_ref()
            .and_then(gst::glib::WeakRef::upgrade)
            .and_then(|pipeline| pipeline.current_running_time())
            .unwrap_or_default();
        self.clock.wall().offset_micros(-micros(running))
    }
}

fn micros(time: gst::ClockTime) -> i64 {
    i64::try_from(Duration::from(time).as_micros()).unwrap_or(i64::MAX)
}
