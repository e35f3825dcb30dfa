//! Feeders: push a clip's units into a running media, in real time, repeating.
//!
//! Does not belong here: sockets and sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSrc;

use crate::clip::{Clip, Track};

/// How far ahead of its time a unit is pushed. The server's own queues take it from there.
const AHEAD: Duration = Duration::from_millis(20);

/// The longest nap: a media that ends, or a camera that falls silent, is noticed after that.
const NAP: Duration = Duration::from_millis(50);

/// Where a track of a clip goes.
pub(crate) enum Part {
    Video,
    Audio,
}

impl Part {
    fn of(self, clip: &Clip) -> Option<&Track> {
        match self {
            Self::Video => Some(&clip.video),
            Self::Audio => clip.audio.as_ref(),
        }
    }
}

/// Gives the source its format and a thread that feeds it until the media ends.
pub(crate) fn feed(source: &AppSrc, clip: &Arc<Clip>, part: Part, silent: &Arc<AtomicBool>) {
    let clip = Arc::clone(clip);
    let silent = Arc::clone(silent);
    let Some(track) = part.of(&clip) else { return };
    source.set_caps(Some(&track.caps));
    source.set_format(gst::Format::Time);
    source.set_is_live(true);
    let units = track.units.clone();
    let round = clip.round;
    // The thread must not keep a media alive that everybody has left.
    let weak = source.downgrade();
    let run = move || {
        for number in 0.. {
            for unit in &units {
                let (pts, dts) = (unit.pts + number * round, unit.dts + number * round);
                let Some(source) = wait_until(&weak, dts) else { return };
                if silent.load(Ordering::Relaxed) {
                    continue;
                }
                let mut buffer = unit.data.copy();
                if let Some(buffer) = buffer.get_mut() {
                    buffer.set_pts(gst::ClockTime::from_nseconds(pts));
                    buffer.set_dts(gst::ClockTime::from_nseconds(dts));
                }
                if source.push_buffer(buffer).is_err() {
                    return;
                }
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("test-camera-feed".into()).spawn(run) {
        eprintln!("test-camera: no thread to feed a track: {error}");
    }
}

/// Waits for `due` in the media's running time; `None` when the media has ended.
fn wait_until(source: &gst::glib::WeakRef<AppSrc>, due: u64) -> Option<AppSrc> {
    loop {
        let source = source.upgrade()?;
        let (_, state, pending) = source.state(gst::ClockTime::ZERO);
        if state == gst::State::Null && pending == gst::State::VoidPending {
            // Not started yet, or over: the weak reference tells which.
            drop(source);
            thread::sleep(NAP);
            continue;
        }
        match source.current_running_time() {
            Some(now) => {
                let due = Duration::from_nanos(due).saturating_sub(AHEAD);
                let left = due.saturating_sub(now.into());
                if left.is_zero() {
                    return Some(source);
                }
                drop(source);
                thread::sleep(left.min(NAP));
            }
            None => {
                drop(source);
                thread::sleep(NAP / 10);
            }
        }
    }
}
