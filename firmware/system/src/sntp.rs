//! The time from servers that the owner named (SNTP, RFC 4330).
//!
//! Does not belong here: when to ask, and whom.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use hal::{Clock, WallTime};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};
use sntpc::{NtpContext, NtpTimestampGenerator, NtpUdpSocket};

use crate::error::{ErrorKind, SystemError};

/// RFC 4330 section 1.
const PORT: u16 = 123;
/// A server that needs longer says nothing useful about now.
const PATIENCE: Duration = Duration::from_secs(3);

/// How far the clock is behind the server's, in microseconds; negative when it is ahead.
///
/// # Errors
/// `NotFound` when the name is unknown, `Device` when nothing comes back, `Malformed` for what is no answer.
pub fn ask_time(server: &str, clock: &dyn Clock) -> Result<i64, SystemError> {
    let failed = |error: io::Error| SystemError::io(format_args!("time server {server}"), error);
    let address = (server, PORT).to_socket_addrs().map_err(failed)?.find(SocketAddr::is_ipv4);
    let Some(address) = address else {
        let words = format!("time server {server}: it has no IPv4 address");
        return Err(SystemError::new(ErrorKind::NotFound, words));
    };
    ask_time_at(address, clock)
}

/// The same of a server whose address is known.
///
/// # Errors
/// As [`ask_time`].
pub fn ask_time_at(address: SocketAddr, clock: &dyn Clock) -> Result<i64, SystemError> {
    let failed = |error: io::Error| SystemError::io(format_args!("time server {address}"), error);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(failed)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    // Only its answers come in.
    socket.connect(address).map_err(failed)?;
    let context = NtpContext::new(Stamp { clock, now: WallTime::default() });
    let answer = sntpc::sync::get_time(address, &Socket(socket), context).map_err(|error| match error {
        sntpc::Error::Network => {
            SystemError::new(ErrorKind::Device, format!("time server {address}: it does not answer"))
        }
        error => SystemError::new(
            ErrorKind::Malformed,
            format!("time server {address}: what it says is no time ({error:?})"),
        ),
    })?;
    Ok(answer.offset())
}

/// Sets this machine's clock.
///
/// # Errors
/// `Device` without the right, or for a time that the kernel does not take.
pub fn set_clock(to: WallTime) -> Result<(), SystemError> {
    let micros = u64::try_from(to.as_unix_micros()).unwrap_or_default();
    clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::from(Duration::from_micros(micros)))
        .map_err(|error| SystemError::io("the clock cannot be set", error))
}

struct Socket(UdpSocket);

impl NtpUdpSocket for Socket {
    async fn send_to(&self, packet: &[u8], _: SocketAddr) -> sntpc::Result<usize> {
        self.0.send(packet).map_err(|_| sntpc::Error::Network)
    }

    async fn recv_from(&self, into: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
        let peer = self.0.peer_addr().map_err(|_| sntpc::Error::Network)?;
        self.0.recv(into).map(|length| (length, peer)).map_err(|_| sntpc::Error::Network)
    }
}

#[derive(Clone, Copy)]
struct Stamp<'a> {
    clock: &'a dyn Clock,
    now: WallTime,
}

impl NtpTimestampGenerator for Stamp<'_> {
    fn init(&mut self) {
        self.now = self.clock.wall();
    }

    fn timestamp_sec(&self) -> u64 {
        u64::try_from(self.now.as_unix_micros().div_euclid(1_000_000)).unwrap_or_default()
    }

    fn timestamp_subsec_micros(&self) -> u32 {
        self.now.as_unix_micros().rem_euclid(1_000_000) as u32
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use hal_sim::SimClock;

    use super::*;

    /// Seconds from 1900, where NTP begins, to 1970 (RFC 5905 section 6).
    const NTP_EPOCH_SEC: u64 = 2_208_988_800;

    /// A server that answers one question, as if it were `unix_sec`, with `bend` done to the answer.
    fn server(unix_sec: u64, bend: fn(&mut [u8; 48])) -> (SocketAddr, thread::JoinHandle<()>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let address = socket.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let mut question = [0; 48];
            let (_, from) = socket.recv_from(&mut question).unwrap();
            let now = ((unix_sec + NTP_EPOCH_SEC) << 32).to_be_bytes();
            let mut answer = [0; 48];
            // Leap 0, version 4, mode 4 (server); stratum 1.
            answer[..4].copy_from_slice(&[0x24, 1, 0, 0xEC]);
            answer[24..32].copy_from_slice(&question[40..48]);
            answer[32..40].copy_from_slice(&now);
            answer[40..48].copy_from_slice(&now);
            bend(&mut answer);
            socket.send_to(&answer, from).unwrap();
        });
        (address, thread)
    }

    #[test]
    fn a_clock_that_is_behind_hears_how_far() {
        let clock = SimClock::new(WallTime::from_unix_micros(1_700_000_000_000_000));
        let (address, thread) = server(1_800_000_000, |_| {});
        let offset = ask_time_at(address, &clock).unwrap();
        assert_eq!(offset, 100_000_000_000_000);
        thread.join().unwrap();
    }

    #[test]
    fn an_answer_to_another_question_is_no_time() {
        let clock = SimClock::new(WallTime::from_unix_micros(1_700_000_000_000_000));
        let (address, thread) = server(1_800_000_000, |answer| answer[24] ^= 1);
        assert_eq!(ask_time_at(address, &clock).unwrap_err().kind(), ErrorKind::Malformed);
        thread.join().unwrap();
        let (address, thread) = server(1_800_000_000, |answer| answer[1] = 0);
        assert_eq!(ask_time_at(address, &clock).unwrap_err().kind(), ErrorKind::Malformed);
        thread.join().unwrap();
    }
}
