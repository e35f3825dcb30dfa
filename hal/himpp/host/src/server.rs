//! The host's loop: orders from the client, pictures into the ring.
//!
//! One thread does everything, as the library wants it: whatever waits is read, then an order is carried out. A turn of the
//! loop takes at most [`LONGEST_WAIT`] unless the library hangs; then the heartbeat stops, and the client ends this process.
//!
//! Invariant: the library's descriptors are watched, never closed and never read.
#![allow(unsafe_code, reason = "descriptors that belong to the library are lent to poll")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mpp_abi::common::MppChn;
use mpp_wire::{
    Answer, Begin, Fault, FaultKind, FromHost, Order, PackWriter, Ready, Rect, ToHost, VERSION, receive, send,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::channel::{Channel, Outputs};
use crate::confine;
use crate::display::Display;
use crate::library::Library;
use crate::motion::Motion;
use crate::platform::Platform;

/// The heartbeat's slowest pace, milliseconds: several within the time after which the client believes in a hang.
const LONGEST_WAIT: u16 = 250;
/// Orders a turn: more wait, and pictures are read first.
const ORDERS_A_TURN: u32 = 16;
/// A client that does not take a message for so long has ended or hangs itself.
const CLIENT_PATIENCE: Duration = Duration::from_secs(2);

/// Serves the client on standard input until it says stop, or is gone.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let Some(ToHost::Begin(begin)) = receive(&mut socket)? else {
        return Err("the client's first message must be Begin".into());
    };
    socket.set_write_timeout(Some(CLIENT_PATIENCE))?;
    match Host::begin(&begin) {
        Ok((mut host, ready)) => {
            send(&mut socket, &FromHost::Ready(Box::new(ready)))?;
            let ended = host.serve(&mut socket);
            host.end();
            ended
        }
        Err(fault) => {
            send(&mut socket, &FromHost::Refused(fault.clone()))?;
            Err(fault.into())
        }
    }
}

struct Host {
    platform: Platform,
    channels: BTreeMap<u16, Channel>,
    display: Option<Display>,
    writer: PackWriter,
    scratch: Vec<u8>,
}

impl Host {
    fn begin(begin: &Begin) -> Result<(Self, Ready), Fault> {
        if begin.version != VERSION {
            let message = format!("the client speaks version {}, this host {VERSION}", begin.version);
            return Err(Fault::new(FaultKind::Unsupported, message));
        }
        let ring = File::options().read(true).write(true).open(&begin.ring);
        let writer = ring.and_then(|file| PackWriter::open(&file)).map_err(|error| {
            Fault::new(FaultKind::Device, format!("the ring {} cannot be used: {error}", begin.ring))
        })?;
        let library = Library::load(&begin.libraries)?;
        let confinement = confine::confine(begin.user);
        let platform = Platform::begin(library, &begin.system)?;
        let ready = Ready {
            library: platform.library.version.clone(),
            generation: platform.library.dialect.generation().to_string(),
            confinement,
            motion: Motion::is_there(&platform),
            h265: platform.codes().payload_h265.is_some(),
        };
        let host = Self { platform, channels: BTreeMap::new(), display: None, writer, scratch: Vec::new() };
        Ok((host, ready))
    }

    fn serve(&mut self, socket: &mut UnixStream) -> Result<(), Box<dyn Error>> {
        loop {
            self.writer.beat();
            let (order_waits, ready) = self.wait(socket)?;
            for fault in self.read(&ready) {
                send(socket, &fault)?;
            }
            if self.writer.take_wish() {
                send(socket, &FromHost::Packs)?;
            }
            self.draw_late();
            let mut left = if order_waits { ORDERS_A_TURN } else { 0 };
            while left > 0 {
                match receive(socket)? {
                    Some(ToHost::Order(number, order)) => {
                        let answer = self.obey(order);
                        send(socket, &FromHost::Answer(number, answer))?;
                    }
                    Some(ToHost::Stop) | None => return Ok(()),
                    Some(ToHost::Begin(_)) => return Err("a second Begin".into()),
                }
                left = if is_readable(socket)? { left - 1 } else { 0 };
            }
        }
    }

    fn draw_late(&mut self) {
        for channel in self.channels.values_mut() {
            if let Err(fault) = channel.draw_late(&self.platform) {
                eprintln!("channel {}'s title or clock is an old one: {fault}", channel.number());
            }
        }
        if let Some(display) = &mut self.display {
            display.draw_late(&self.platform);
        }
    }

    /// Waits for an order or a picture: whether there is one, and of which channels there are others.
    fn wait(&self, socket: &UnixStream) -> io::Result<(bool, Vec<u16>)> {
        let sources: Vec<(u16, i32)> = self
            .channels
            .values()
            .flat_map(|channel| channel.descriptors().map(|descriptor| (channel.number(), descriptor)))
            .collect();
        let watch = |descriptor| PollFd::new(descriptor, PollFlags::POLLIN);
        let mut polled = vec![watch(socket.as_fd())];
        // SAFETY: the library keeps these descriptors open until their encoder is closed, which happens on this thread.
        polled.extend(sources.iter().map(|(_, fd)| watch(unsafe { BorrowedFd::borrow_raw(*fd) })));
        match poll(&mut polled, PollTimeout::from(LONGEST_WAIT)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |polled: &PollFd<'_>| polled.any().unwrap_or(false);
        let mut ready: Vec<u16> = sources
            .iter()
            .zip(&polled[1..])
            .filter(|(_, polled)| is_ready(polled))
            .map(|((channel, _), _)| *channel)
            .collect();
        ready.dedup();
        Ok((is_ready(&polled[0]), ready))
    }

    /// Reads the channels that have something; those that fail are closed and told.
    fn read(&mut self, ready: &[u16]) -> Vec<FromHost> {
        let mut failed = Vec::new();
        for number in ready {
            let Some(channel) = self.channels.get_mut(number) else { continue };
            if let Err(fault) = channel.read(&self.platform, &mut self.writer, &mut self.scratch) {
                failed.push(FromHost::Failed { channel: *number, fault });
            }
        }
        for message in &failed {
            if let FromHost::Failed { channel, .. } = message {
                self.close(*channel);
            }
        }
        failed
    }

    fn obey(&mut self, order: Order) -> Answer {
        match order {
            Order::Open(plan) => {
                let number = plan.channel;
                self.close(number);
                let channel = Channel::open(&mut self.platform, plan)?;
                self.channels.insert(number, channel);
                self.connect_display()
            }
            Order::Close { channel } => {
                self.close(channel);
                self.connect_display()
            }
            Order::Keyframe { channel, stream } => {
                let (platform, channel) = self.channel(channel)?;
                channel.keyframe(platform, stream)
            }
            Order::Rate { channel, stream, rate } => {
                let (platform, channel) = self.channel(channel)?;
                channel.rate(platform, stream, rate)
            }
            Order::UserPicture { channel, on } => {
                let (platform, channel) = self.channel(channel)?;
                channel.user_picture(platform, on)
            }
            Order::Bitmaps { channel, stream, bitmaps } => {
                let (platform, channel) = self.channel(channel)?;
                channel.bitmaps(platform, stream, &bitmaps)
            }
            Order::Covers { channel, covers } => {
                let (platform, channel) = self.channel(channel)?;
                channel.set_covers(platform, &covers)
            }
            Order::Snapshot { channel } => {
                let (platform, channel) = self.channel(channel)?;
                channel.take_snapshot(platform)
            }
            Order::Display(plan) => {
                if let (Some(display), Some(plan)) = (&mut self.display, &plan)
                    && display.change_status(&self.platform, plan)
                {
                    return Ok(());
                }
                if let Some(mut display) = self.display.take() {
                    display.close(&self.platform);
                }
                let Some(plan) = plan else { return Ok(()) };
                self.display = Some(Display::open(&self.platform, plan, &self.channels)?);
                Ok(())
            }
        }
    }

    fn channel(&mut self, number: u16) -> Result<(&Platform, &mut Channel), Fault> {
        let missing = || Fault::new(FaultKind::NotFound, format!("channel {number} is not open"));
        Ok((&self.platform, self.channels.get_mut(&number).ok_or_else(missing)?))
    }

    fn close(&mut self, number: u16) {
        let Some(mut channel) = self.channels.remove(&number) else { return };
        if let Some(display) = &mut self.display {
            display.disconnect(&self.platform);
        }
        channel.close(&self.platform);
    }

    fn connect_display(&mut self) -> Answer {
        match &mut self.display {
            Some(display) => display.connect(&self.platform, &self.channels),
            None => Ok(()),
        }
    }

    fn end(&mut self) {
        if let Some(mut display) = self.display.take() {
            display.close(&self.platform);
        }
        for channel in self.channels.values_mut() {
            channel.close(&self.platform);
        }
        self.platform.end();
    }
}

fn is_readable(socket: &UnixStream) -> io::Result<bool> {
    let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    match poll(&mut polled, PollTimeout::ZERO) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl Outputs for BTreeMap<u16, Channel> {
    fn monitor_output(
        &self,
        platform: &Platform,
        channel: u16,
        place: Rect,
    ) -> Result<Option<MppChn>, Fault> {
        self.get(&channel).map(|channel| channel.monitor_output(platform, place)).transpose()
    }
}
