//! Many datagrams in one system call.
//!
//! Packets of equal size, of which the last may be shorter, are one message that the kernel cuts (UDP segmentation offload,
//! Linux 4.18); where it can not, `sendmmsg` (Linux 3.0) takes them one by one.
//!
//! Does not belong here: how many may go at once (`pace.rs`), sockets.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg, sendmsg};

/// In one call. The kernel cuts a message into 64 at most (`UDP_MAX_SEGMENTS`).
const MAX_PACKETS: usize = 64;

/// What a message may have; the header of UDP belongs to it, and IPv6 counts none of its own.
const MAX_MESSAGE_BYTES: usize = 65_000;

/// What was learnt of the kernel.
#[derive(Debug, Default)]
pub(crate) struct Kernel {
    /// It, or the network's driver, cuts no messages.
    cuts_none: AtomicBool,
}

impl Kernel {
    /// Sends the first packets, one at least; returns how many. An empty list is an error of the caller's, and sends none.
    ///
    /// # Errors
    /// The socket's; then none was sent.
    pub(crate) fn send<'a, P>(&self, socket: &impl AsFd, packets: P, to: SocketAddr) -> io::Result<usize>
    where
        P: Iterator<Item = &'a [u8]> + Clone,
    {
        let fd = socket.as_fd().as_raw_fd();
        let to = SockaddrStorage::from(to);
        let mut slices = [IoSlice::new(&[]); MAX_PACKETS];
        let run = gather(packets.clone().take(run_length(packets.clone())), &mut slices);
        if run.len() > 1 && !self.cuts_none.load(Ordering::Relaxed) {
            let segment = run[0].len() as u16;
            let cut = [ControlMessage::UdpGsoSegments(&segment)];
            match sendmsg(fd, run, &cut, MsgFlags::empty(), Some(&to)) {
                Ok(_) => return Ok(run.len()),
                // Unknown to the kernel, or impossible on this way: without checksums in hardware, with IPsec.
                Err(Errno::EINVAL | Errno::EIO | Errno::EOPNOTSUPP | Errno::ENOPROTOOPT) => {
                    self.cuts_none.store(true, Ordering::Relaxed);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let each = gather(packets, &mut slices);
        if let [only] = each {
            sendmsg(fd, &[*only], &[], MsgFlags::empty(), Some(&to))?;
            return Ok(1);
        }
        let singles: Vec<[IoSlice<'_>; 1]> = each.iter().map(|slice| [*slice]).collect();
        let addresses = vec![Some(to); each.len()];
        let mut headers = MultiHeaders::preallocate(each.len(), None);
        let sent = sendmmsg(fd, &mut headers, &singles, addresses, [], MsgFlags::empty())?;
        Ok(sent.count())
    }
}

fn gather<'s, 'a: 's>(
    packets: impl Iterator<Item = &'a [u8]>,
    slices: &'s mut [IoSlice<'a>; MAX_PACKETS],
) -> &'s [IoSlice<'a>] {
    let mut count = 0;
    for (slice, packet) in slices.iter_mut().zip(packets) {
        *slice = IoSlice::new(packet);
        count += 1;
    }
    &slices[..count]
}

/// How many of the first packets the kernel can cut from one message.
fn run_length<'a>(mut packets: impl Iterator<Item = &'a [u8]>) -> usize {
    let Some(first) = packets.next().map(<[u8]>::len) else { return 0 };
    let most = (MAX_MESSAGE_BYTES / first.max(1)).clamp(1, MAX_PACKETS);
    let mut run = 1;
    for packet in packets {
        if run == most || packet.len() > first {
            break;
        }
        run += 1;
        if packet.len() < first {
            break;
        }
    }
    run
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn packets(lengths: &[usize]) -> Vec<Vec<u8>> {
        lengths.iter().enumerate().map(|(index, length)| vec![index as u8; *length]).collect()
    }

    #[test]
    fn a_run_has_equal_packets_and_one_shorter_at_its_end() {
        let run = |lengths: &[usize]| run_length(packets(lengths).iter().map(Vec::as_slice));
        assert_eq!(run(&[]), 0);
        assert_eq!(run(&[1400]), 1);
        assert_eq!(run(&[1400, 1400, 1400, 7, 7]), 4);
        assert_eq!(run(&[30, 1400, 1400]), 1);
        assert_eq!(run(&[1400; 100]), MAX_MESSAGE_BYTES / 1400);
        assert_eq!(run(&[10; 100]), MAX_PACKETS);
    }

    /// All packets arrive as they were, in order, whatever the kernel can.
    fn arrive(kernel: &Kernel, lengths: &[usize]) -> usize {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = receiver.local_addr().unwrap();
        let packets = packets(lengths);
        let (mut gone, mut calls) = (0, 0);
        let mut buffer = [0; 2000];
        while gone < packets.len() {
            let sent = kernel.send(&sender, packets[gone..].iter().map(Vec::as_slice), to).unwrap();
            assert!(sent > 0);
            for packet in &packets[gone..gone + sent] {
                let length = receiver.recv(&mut buffer).unwrap();
                assert_eq!(&buffer[..length], &packet[..]);
            }
            gone += sent;
            calls += 1;
        }
        calls
    }

    #[test]
    fn packets_arrive_as_they_were() {
        let lengths = [25, 9, 1400, 1400, 1400, 1400, 600, 1400, 1400, 3];
        let kernel = Kernel::default();
        let calls = arrive(&kernel, &lengths);
        // `25, 9`, then `1400` four times with `600`, then the rest; in one call where the kernel cuts none.
        let expected = if kernel.cuts_none.load(Ordering::Relaxed) { 1 } else { 3 };
        assert_eq!(calls, expected);
        assert_eq!(arrive(&Kernel { cuts_none: true.into() }, &lengths), 1);
        assert_eq!(arrive(&kernel, &[1400]), 1);
    }
}
