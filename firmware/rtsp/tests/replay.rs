//! Replays byte by byte: seeking, scales, backwards, ONVIF's marks, the end.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::Recorder;
use common::archive::{GROUP, START, Shelf, wall};
use common::wire::{Came, Reply, Wire};
use hal::WallTime;
use rtcp_types::{Compound, Packet};
use rtp_types::RtpPacket;
use rtsp::ServerOptions;

const PATH: &str = "/ch1/main?start=2026-11-20T10:00:00Z";
const GROUPS: usize = 6;
const COUNT: usize = GROUPS * GROUP;
const FAST: &str = "Rate-Control: no\r\n";

/// From 1900 to 1970, seconds.
const NTP_OFFSET: u64 = 2_208_988_800;

/// A picture as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Picture {
    number: usize,
    timestamp: u32,
    wall: WallTime,
    /// C, E, D and T, from the left.
    flags: u8,
    cseq: u8,
}

fn recorder(bytes: usize) -> (Recorder, Arc<std::sync::atomic::AtomicUsize>) {
    let shelf = Shelf::new(GROUPS, bytes);
    let taken = Arc::clone(&shelf.taken);
    (Recorder::with_archive(ServerOptions::default(), Some(Arc::new(shelf))), taken)
}

/// The next picture; `None` when it says goodbye.
fn picture(wire: &mut Wire) -> Option<Picture> {
    let mut found: Option<Picture> = None;
    loop {
        match wire.next() {
            Came::Packet(0, packet) => {
                let packet = RtpPacket::parse(&packet).unwrap();
                if let Some((profile, words)) = packet.extension() {
                    assert!(found.is_none() && profile == 0xABAC && words.len() == 12, "{words:?}");
                    let ntp = u64::from_be_bytes(words[..8].try_into().unwrap());
                    let micros =
                        ((ntp >> 32) - NTP_OFFSET) * 1_000_000 + (((ntp & 0xffff_ffff) * 1_000_000) >> 32);
                    found = Some(Picture {
                        number: 0,
                        timestamp: packet.timestamp(),
                        // The fraction is cut, not rounded.
                        wall: WallTime::from_unix_micros((micros as i64 + 5) / 10 * 10),
                        flags: words[8],
                        cseq: words[9],
                    });
                }
                if packet.marker_bit() {
                    let mut picture = found.expect("the first packet has the extension");
                    let end = packet.payload().last_chunk::<4>().unwrap();
                    picture.number = u32::from_be_bytes(*end) as usize;
                    return Some(picture);
                }
            }
            Came::Packet(1, packet) => {
                let bye = |packet: Packet<'_>| matches!(packet, Packet::Bye(_));
                if Compound::parse(&packet).unwrap().any(|packet| bye(packet.unwrap())) {
                    return None;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn rest(wire: &mut Wire) -> Vec<Picture> {
    std::iter::from_fn(|| picture(wire)).collect()
}

fn numbers(pictures: &[Picture]) -> Vec<usize> {
    pictures.iter().map(|picture| picture.number).collect()
}

fn play(wire: &mut Wire, headers: &str) -> Reply {
    let reply = wire.request("PLAY", "", headers);
    assert_eq!(reply.status, 200, "{}", reply.head);
    reply
}

fn ready(recorder: &Recorder, path: &str) -> Wire {
    let mut wire = Wire::connect(recorder.address, path);
    wire.set_up("0-1");
    wire
}

#[test]
fn all_of_it_as_fast_as_it_is_read_with_every_mark() {
    let (recorder, _) = recorder(3000);
    let mut wire = ready(&recorder, PATH);
    let reply = play(&mut wire, "Require: onvif-replay\r\nRate-Control: no\r\nImmediate: yes\r\n");
    assert_eq!(reply.header("Rate-Control"), Some("no"));
    let end = "20261120T100012.400000Z";
    assert_eq!(reply.header("Range"), Some(format!("clock=20261120T100000.000000Z-{end}").as_str()));
    let all = rest(&mut wire);
    assert_eq!(numbers(&all), (0..COUNT).collect::<Vec<_>>());
    let cseq: u8 = reply.header("CSeq").unwrap().parse().unwrap();
    for picture in &all {
        let at = picture.number;
        let (gap, last) = (at == COUNT / 2, at == COUNT - 1);
        let clean = u8::from(at.is_multiple_of(GROUP)) << 7;
        let ends = u8::from(at == COUNT / 2 - 1 || last) << 6;
        let flags = clean | ends | u8::from(gap || at == 0) << 5 | u8::from(last) << 4;
        assert_eq!((picture.flags, picture.cseq), (flags, cseq), "picture {at}");
        assert_eq!(picture.wall, wall(GROUPS, at), "picture {at}");
        // Without rate control RTP time is that of recording, gap and all.
        let since = picture.wall.micros_since(START) * 9 / 100;
        assert_eq!(i64::from(picture.timestamp.wrapping_sub(all[0].timestamp)), since, "picture {at}");
    }
    let info = reply.header("RTP-Info").unwrap();
    assert!(info.ends_with(&format!("rtptime={}", all[0].timestamp)), "{info}");
    // The session stays, and plays again: from the beginning, or from where it is told.
    assert_eq!(wire.request("GET_PARAMETER", "", "").status, 200);
    play(&mut wire, FAST);
    let again = rest(&mut wire);
    assert_eq!(numbers(&again), numbers(&all));
    assert!(again[0].timestamp.wrapping_sub(all[COUNT - 1].timestamp) < 90_000, "RTP time goes on");
    let reply = play(&mut wire, &format!("{FAST}Range: npt=11.3-\r\n"));
    assert_eq!(reply.header("Range"), Some("npt=11.200000-12.400000"));
    assert_eq!(numbers(&rest(&mut wire)), (30..COUNT).collect::<Vec<_>>());
    assert_eq!(wire.request("TEARDOWN", "", "").status, 200);
    recorder.wait_until(Duration::from_secs(5), "nobody watches", || recorder.watching() == 0);
    assert!(recorder.gate.seen.lock().unwrap().iter().all(|watch| watch.recorded));
}

#[test]
fn ranges_are_answered_with_what_is_played() {
    let (recorder, _) = recorder(200);
    let mut wire = ready(&recorder, &format!("{PATH}&end=2026-11-20T10:00:11.68Z"));
    let clock = "Range: clock=20261120T100000.500Z-20261120T100000.9Z\r\n";
    let reply = play(&mut wire, &format!("{FAST}{clock}"));
    assert_eq!(reply.header("Range"), Some("clock=20261120T100000.400000Z-20261120T100000.900000Z"));
    assert_eq!(numbers(&rest(&mut wire)), (10..23).collect::<Vec<_>>());
    let reply =
        play(&mut wire, &format!("{FAST}Range: clock=20261120T095959.999999Z-20261120T100000.9Z\r\n"));
    assert_eq!(reply.header("Range"), Some("clock=20261120T100000.000000Z-20261120T100000.900000Z"));
    assert_eq!(numbers(&rest(&mut wire)), (0..23).collect::<Vec<_>>());
    for range in [
        "clock=20261120T095959Z-",
        "clock=20261120T100020Z-",
        "clock=20261120T100005Z-20261120T100004Z",
        "npt=5-5",
        "npt=99999999-",
    ] {
        let reply = wire.request("PLAY", "", &format!("{FAST}Range: {range}\r\n"));
        assert_eq!(reply.status, 457, "{range}");
    }
    play(&mut wire, FAST);
    assert_eq!(numbers(&rest(&mut wire)), (0..42).collect::<Vec<_>>(), "the URL's end");
    for path in ["/ch1/sub?start=2026-11-20T10:00:00Z", "/ch1/main?start=2026-11-21T10:00:00Z"] {
        assert_eq!(Wire::connect(recorder.address, path).request("DESCRIBE", "", "").status, 404, "{path}");
    }
}

#[test]
fn a_pause_goes_on_where_it_was_and_a_seek_does_not() {
    let (recorder, _) = recorder(200);
    let mut wire = ready(&recorder, PATH);
    play(&mut wire, "");
    let before: Vec<Picture> = (0..13).map(|_| picture(&mut wire).unwrap()).collect();
    assert_eq!(numbers(&before), (0..13).collect::<Vec<_>>());
    wire.send("PAUSE", "", "");
    let mut last = before[12];
    let reply = loop {
        // What was on its way comes before the answer.
        match wire.next() {
            Came::Reply(reply) => break reply,
            Came::Packet(0, packet) => {
                let packet = RtpPacket::parse(&packet).unwrap();
                let end = packet.payload().last_chunk::<4>().unwrap();
                (last.number, last.timestamp) = (u32::from_be_bytes(*end) as usize, packet.timestamp());
            }
            Came::Packet(..) => {}
            Came::End => panic!("the connection ended"),
        }
    };
    assert_eq!(reply.status, 200);
    play(&mut wire, FAST);
    let after = rest(&mut wire);
    assert_eq!(numbers(&after), (last.number + 1..COUNT).collect::<Vec<_>>());
    assert_eq!((after[0].flags & 0x20, after[0].timestamp), (0x20, last.timestamp + 3600));
    // While it plays, a PLAY seeks at once.
    play(&mut wire, "");
    picture(&mut wire).unwrap();
    let reply = wire.request("PLAY", "", &format!("{FAST}Range: npt=10.8-\r\n"));
    assert_eq!(reply.status, 200);
    let seek = rest(&mut wire);
    assert_eq!((seek[0].number, seek[0].flags & 0x20), (20, 0x20), "the keyframe before the gap");
}

#[test]
fn scale_shortens_the_time_of_playing_and_jumps_over_gaps() {
    let (recorder, _) = recorder(200);
    let mut wire = ready(&recorder, PATH);
    let reply = play(&mut wire, "Scale: 4.0\r\nSpeed: 8\r\n");
    assert_eq!((reply.header("Scale"), reply.header("Speed")), (Some("4"), Some("8")));
    let all = rest(&mut wire);
    assert_eq!(numbers(&all), (0..COUNT).collect::<Vec<_>>());
    let steps: Vec<u32> = all.windows(2).map(|two| two[1].timestamp.wrapping_sub(two[0].timestamp)).collect();
    assert!(steps.iter().all(|step| *step == 900), "{steps:?}");
    // Faster than that keyframes alone.
    let reply = play(&mut wire, "Scale: 100\r\nRange: npt=0-\r\n");
    assert_eq!(reply.header("Scale"), Some("32"));
    let keyframes = rest(&mut wire);
    assert_eq!(numbers(&keyframes), (0..COUNT).step_by(GROUP).collect::<Vec<_>>());
    assert_eq!(keyframes[1].timestamp.wrapping_sub(keyframes[0].timestamp), 3600 * 10 / 32);
    play(&mut wire, &format!("{FAST}Frames: intra/700\r\nRange: npt=0-\r\n"));
    assert_eq!(numbers(&rest(&mut wire)), [0, 20, 30, 50]);
}

#[test]
fn backwards_by_groups() {
    let (recorder, _) = recorder(200);
    let mut wire = ready(&recorder, PATH);
    let groups = |groups: std::ops::Range<usize>| -> Vec<usize> {
        groups.rev().flat_map(|group| group * GROUP..(group + 1) * GROUP).collect()
    };
    let reply = play(&mut wire, "Scale: -4\r\nSpeed: 8\r\n");
    let (end, start) = ("20261120T100012.400000Z", "20261120T100000.000000Z");
    assert_eq!(reply.header("Range"), Some(format!("clock={end}-{start}").as_str()));
    let all = rest(&mut wire);
    assert_eq!(numbers(&all), groups(0..GROUPS));
    for (at, picture) in all.iter().enumerate() {
        let begins = picture.number.is_multiple_of(GROUP);
        assert_eq!(picture.flags & 0xa0, if begins { 0xa0 } else { 0 }, "C and D of picture {at}");
        assert_eq!(picture.flags & 0x10 != 0, at == COUNT - 1, "T of picture {at}");
        // When it is shown: the last one first, without the gap.
        let shown = (COUNT - picture.number) as u32 * 900;
        assert_eq!(picture.timestamp.wrapping_sub(all[0].timestamp).wrapping_add(GROUP as u32 * 900), shown);
    }
    // As ONVIF's clients ask: from a moment back to another, the later one first.
    let range = "Range: clock=20261120T100010.900Z-20261120T100000.5Z\r\n";
    play(&mut wire, &format!("Require: onvif-replay\r\n{FAST}Scale: -1.0\r\n{range}"));
    let part = rest(&mut wire);
    assert_eq!(numbers(&part), groups(1..3));
    // Without rate control RTP time is that of recording.
    assert_eq!(part[0].timestamp.wrapping_sub(part[GROUP].timestamp), 36_000);
    play(&mut wire, "Scale: -32\r\nRange: npt=12.2-0.1\r\n");
    assert_eq!(numbers(&rest(&mut wire)), (0..COUNT).step_by(GROUP).rev().collect::<Vec<_>>());
}

#[test]
fn a_client_that_does_not_read_holds_back_its_own_footage() {
    let (recorder, taken) = recorder(200_000);
    let mut narrow = Wire::connect_narrow(recorder.address, PATH);
    narrow.set_up("0-1");
    narrow.send("PLAY", "", FAST);
    // Another one reads all of it meanwhile.
    let mut wire = ready(&recorder, PATH);
    play(&mut wire, FAST);
    assert_eq!(rest(&mut wire).len(), COUNT);
    assert!(taken.load(Ordering::SeqCst) < COUNT + COUNT / 2, "{taken:?}");
    assert_eq!(narrow.reply().status, 200);
    assert_eq!(rest(&mut narrow).len(), COUNT, "and it has all when it reads");
}

#[test]
fn udp_has_its_pace_and_refuses_to_go_without() {
    let (recorder, _) = recorder(200);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let port = socket.local_addr().unwrap().port();
    let mut wire = Wire::connect(recorder.address, PATH);
    assert_eq!(wire.request("DESCRIBE", "", "").status, 200);
    let transport = format!("Transport: RTP/AVP;unicast;client_port={port}\r\n");
    assert_eq!(wire.request("SETUP", "/trackID=0", &transport).status, 200);
    assert_eq!(wire.request("PLAY", "", FAST).status, 456);
    play(&mut wire, "Scale: 4\r\nSpeed: 8\r\n");
    let mut datagram = [0; 1500];
    let mut seen = 0;
    while seen < COUNT {
        let length = socket.recv(&mut datagram).unwrap();
        seen += usize::from(RtpPacket::parse(&datagram[..length]).unwrap().marker_bit());
    }
}
