//! Link: one life of the host, from its start to its end.
//!
//! Numbers orders and matches their answers, and watches the host's heartbeat. Does not belong here: what is ordered
//! (`supervisor.rs`), and when another host is started.
//!
//! Invariant: a host that does not take what it is told within [`SEND_PATIENCE`] is broken; nothing here waits longer.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use hal::MonoTime;
use mpp_wire::{Begin, FromHost, Order, SystemPlan, ToHost, VERSION, receive, send};

use crate::budget::Budget;
use crate::host::{HostProcess, Spawn};
use crate::ring_file::RingFile;

/// A message is a few kilobytes and the host's loop turns many times a second.
const SEND_PATIENCE: Duration = Duration::from_secs(1);
/// A loop that does not turn for so long hangs; together with [`LOOK_EVERY`] it is noticed within 2 s.
pub(crate) const SILENCE: Duration = Duration::from_millis(1_500);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// So many looks at least: when this program itself was held up, that is not the host's fault.
const LOOKS: u32 = 4;

/// What a host says, and the number of its life.
pub(crate) enum Said {
    Message(FromHost),
    /// Its end of the socket closed, or what came over it made no sense.
    End(String),
}

/// A host that runs. Dropping it ends the host by force.
pub(crate) struct Link<P> {
    pub(crate) life: u64,
    pub(crate) ring: RingFile,
    /// What the platform was set up for.
    pub(crate) budget: Budget,
    pub(crate) process: Box<dyn HostProcess>,
    socket: UnixStream,
    pending: BTreeMap<u32, P>,
    next_number: u32,
    beat: Beat,
}

/// What a life begins with.
pub(crate) struct Start<'a> {
    pub(crate) life: u64,
    pub(crate) run_dir: &'a Path,
    pub(crate) libraries: Vec<String>,
    pub(crate) user: Option<(u32, u32)>,
    pub(crate) system: SystemPlan,
    pub(crate) budget: Budget,
}

impl<P> Link<P> {
    /// Starts a host and says the first word. What it says goes to `hear`, on a thread of its own, until that returns false.
    pub(crate) fn start(
        spawn: &mut dyn Spawn,
        start: Start<'_>,
        hear: impl Fn(Said) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let ring = RingFile::create(start.run_dir)?;
        let (socket, process) = spawn.spawn()?;
        socket.set_write_timeout(Some(SEND_PATIENCE))?;
        let reading = socket.try_clone()?;
        let mut link = Self {
            life: start.life,
            ring,
            budget: start.budget,
            process,
            socket,
            pending: BTreeMap::new(),
            next_number: 0,
            beat: Beat::default(),
        };
        std::thread::Builder::new().name("mpp-host-ear".to_owned()).spawn(move || listen(reading, hear))?;
        let begin = Begin {
            version: VERSION,
            ring: link.ring.path.clone(),
            libraries: start.libraries,
            user: start.user,
            system: start.system,
        };
        link.tell(&ToHost::Begin(Box::new(begin)))?;
        Ok(link)
    }

    /// Gives an order; `pending` comes back with its answer.
    pub(crate) fn order(&mut self, order: Order, pending: P) -> io::Result<()> {
        self.next_number = self.next_number.wrapping_add(1);
        self.pending.insert(self.next_number, pending);
        self.tell(&ToHost::Order(self.next_number, order))
    }

    /// What waited for the answer of that number.
    pub(crate) fn answered(&mut self, number: u32) -> Option<P> {
        self.pending.remove(&number)
    }

    /// Orders that the host has not answered yet.
    pub(crate) fn unanswered(&self) -> usize {
        self.pending.len()
    }

    /// Asks the host to end in order.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        self.tell(&ToHost::Stop)
    }

    /// Ends the host by force. Whoever waits for an answer gets none.
    pub(crate) fn kill(&mut self) {
        self.pending.clear();
        self.process.kill();
        // Wakes its listener, whoever else may hold the other end.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }

    /// Whether the host's loop turns.
    pub(crate) fn is_alive(&mut self, now: MonoTime) -> bool {
        let heartbeat = self.ring.reader.heartbeat();
        self.beat.look(now, heartbeat)
    }

    fn tell(&mut self, message: &ToHost) -> io::Result<()> {
        send(&mut self.socket, message)
    }
}

impl<P> Drop for Link<P> {
    fn drop(&mut self) {
        self.kill();
    }
}

fn listen(mut socket: UnixStream, hear: impl Fn(Said) -> bool) {
    loop {
        let said = match receive(&mut socket) {
            Ok(Some(message)) => Said::Message(message),
            Ok(None) => Said::End("it ended".to_owned()),
            Err(error) => Said::End(error.to_string()),
        };
        let is_end = matches!(said, Said::End(_));
        if !hear(said) || is_end {
            return;
        }
    }
}

/// Whether a number changes.
#[derive(Debug, Default)]
struct Beat {
    last: Option<(u32, MonoTime)>,
    looked_at: MonoTime,
    looks: u32,
}

impl Beat {
    /// False once it did not change for [`SILENCE`] and [`LOOKS`].
    fn look(&mut self, now: MonoTime, beat: u32) -> bool {
        let Some((last, since)) = self.last.filter(|(last, _)| *last == beat) else {
            self.last = Some((beat, now));
            self.looked_at = now;
            self.looks = 0;
            return true;
        };
        debug_assert_eq!(last, beat);
        if now.since(self.looked_at) >= LOOK_EVERY {
            self.looked_at = now;
            self.looks += 1;
        }
        self.looks < LOOKS || now.since(since) < SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> MonoTime {
        MonoTime::from_start(Duration::from_millis(ms))
    }

    #[test]
    fn a_loop_that_stands_still_is_noticed_within_two_seconds() {
        let mut beat = Beat::default();
        assert!(beat.look(at(0), 7));
        let noticed = (0..100).map(|n| n * LOOK_EVERY.as_millis() as u64).find(|&ms| !beat.look(at(ms), 7));
        assert_eq!(noticed, Some(1_500));
        assert!(beat.look(at(1_501), 8), "it turns again");
        assert!(beat.look(at(2_900), 8));
    }

    #[test]
    fn a_client_that_was_held_up_blames_nobody() {
        let mut beat = Beat::default();
        beat.look(at(0), 7);
        assert!(beat.look(at(60_000), 7), "one look is none");
        assert!(beat.look(at(60_001), 7));
        assert!(beat.look(at(60_300), 8));
    }
}
