//! The server byte by byte: what players would hide.

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::Recorder;
use common::ears::Ears;
use common::footage::Clip;
use common::wire::{Came, Wire};
use hal::{Clock, SystemClock, VideoCodec};
use rtcp_types::{Compound, Packet, ReceiverReport, RtcpPacketWriter};
use rtp_types::RtpPacket;
use rtsp::ServerOptions;

const PATH: &str = "/ch1/main";

fn sequence(packet: &[u8]) -> u16 {
    RtpPacket::parse(packet).unwrap().sequence_number()
}

fn timestamp(packet: &[u8]) -> u32 {
    RtpPacket::parse(packet).unwrap().timestamp()
}

/// A keyframe begins with an aggregation packet of its parameter sets.
fn begins_keyframe(packet: &[u8]) -> bool {
    packet[12] & 0x1f == 24
}

/// Sequence number and RTP time that PLAY announced.
fn announced(reply: &common::wire::Reply) -> (u16, u32) {
    let info = reply.header("RTP-Info").unwrap();
    let number = |name: &str| {
        let text = info.split(name).nth(1).unwrap();
        text.split([';', ',']).next().unwrap().parse::<u32>().unwrap()
    };
    (number("seq=") as u16, number("rtptime="))
}

/// Waits until the stream has gone on for `ticks` of 90 kHz since its latest keyframe or an earlier one, as a viewer
/// sees it who has left when this returns.
fn let_it_go_on(recorder: &Recorder, ticks: u32) {
    let mut wire = Wire::connect(recorder.address, PATH);
    wire.set_up("0-1");
    assert_eq!(wire.request("PLAY", "", "").status, 200);
    let first = timestamp(&wire.packet(0));
    while timestamp(&wire.packet(0)).wrapping_sub(first) < ticks {}
    assert_eq!(wire.request("TEARDOWN", "", "").status, 200);
}

#[test]
fn wrong_keys_and_unknown_channels() {
    let mut recorder = Recorder::new();
    recorder.noise(1, 1000, 25);
    let mut right = Wire::connect(recorder.address, PATH);
    assert_eq!(right.request("DESCRIBE", "", "").status, 200);
    for (user, key) in [(common::USER, "wrong"), ("bert", common::KEY), ("", "")] {
        let mut wrong = Wire::connect(recorder.address, PATH).with_key(user, key);
        assert_eq!(wrong.request("DESCRIBE", "", "").status, 401);
    }
    for path in ["/ch9/main", "/ch1/sub", "/ch0/main", "/", "/../../etc/passwd"] {
        assert_eq!(Wire::connect(recorder.address, path).request("DESCRIBE", "", "").status, 404, "{path}");
    }
}

#[test]
fn the_first_packet_comes_at_once_and_is_the_announced_keyframe() {
    let mut recorder = Recorder::new();
    recorder.noise(1, 20_000, 100);
    // Viewers come in the middle of a GOP of four seconds.
    let_it_go_on(&recorder, 135_000);
    let clock = SystemClock::new();
    let (mut times, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let connected = clock.mono();
        let mut wire = Wire::connect(recorder.address, PATH);
        wire.set_up("0-1");
        let asked = clock.mono();
        let play = wire.request("PLAY", "", "");
        let packet = wire.packet(0);
        times.push(clock.mono().since(asked));
        whole.push(clock.mono().since(connected));
        assert_eq!(announced(&play), (sequence(&packet), timestamp(&packet)));
        assert!(begins_keyframe(&packet));
    }
    for (what, list) in [("PLAY", &mut times), ("connect", &mut whole)] {
        list.sort_unstable();
        println!(
            "{what} to first packet: median {:?}, worst {:?}",
            list[list.len() / 2],
            list[list.len() - 1]
        );
    }
    assert!(times[times.len() / 2] < Duration::from_millis(200), "{times:?}");
}

#[test]
fn a_slow_reader_loses_whole_gops_and_disturbs_nobody() {
    let mut recorder = Recorder::new();
    recorder.noise(1, 200_000, 10);
    let mut slow = Wire::connect_narrow(recorder.address, PATH);
    let mut quick = Wire::connect(recorder.address, PATH);
    for wire in [&mut slow, &mut quick] {
        wire.set_up("0-1");
        assert_eq!(wire.request("PLAY", "", "").status, 200);
    }
    // 25 MB, of which sockets and fan-out hold less than 8 for the slow one.
    let (mut received, mut last) = (0, None);
    while received < 25_000_000 {
        let packet = quick.packet(0);
        received += packet.len();
        if let Some(last) = last.replace(sequence(&packet)) {
            assert_eq!(sequence(&packet), u16::wrapping_add(last, 1), "the quick one misses nothing");
        }
    }
    drop(quick);
    let mut last: Option<u16> = None;
    loop {
        let packet = slow.packet(0);
        let now = sequence(&packet);
        if last.is_some_and(|last| now != last.wrapping_add(1)) {
            assert!(begins_keyframe(&packet), "it goes on at a keyframe");
            assert!(recorder.server.stats().lost_gops > 0, "and it is counted");
            break;
        }
        last = Some(now);
    }
}

#[test]
fn a_viewer_that_falls_behind_now_and_then_misses_nothing() {
    const UNITS_A_ROUND: usize = 5;
    let mut recorder = Recorder::new();
    recorder.noise(1, 100_000, 10);
    let mut fitful = Wire::connect_narrow(recorder.address, PATH);
    let mut quick = Wire::connect(recorder.address, PATH);
    for wire in [&mut fitful, &mut quick] {
        wire.set_up("0-1");
        assert_eq!(wire.request("PLAY", "", "").status, 200);
    }
    let ends_unit = |packet: &[u8]| packet[1] & 0x80 != 0;
    let mut last: Option<u16> = None;
    for _ in 0..15 {
        // Half a megabyte that nobody reads is more than its sockets hold.
        let mut units = 0;
        while units < UNITS_A_ROUND {
            units += usize::from(ends_unit(&quick.packet(0)));
        }
        // And then as much at once, so that it catches up.
        while units > 0 {
            let packet = fitful.packet(0);
            units -= usize::from(ends_unit(&packet));
            if let Some(last) = last.replace(sequence(&packet)) {
                assert_eq!(sequence(&packet), u16::wrapping_add(last, 1));
            }
        }
    }
    assert_eq!(recorder.server.stats().lost_gops, 0);
}

#[test]
fn any_channel_numbers_carry_the_same_packets() {
    let mut recorder = Recorder::new();
    recorder.noise(1, 5000, 25);
    let mut usual = Wire::connect(recorder.address, PATH);
    let mut unusual = Wire::connect(recorder.address, PATH);
    usual.set_up("0-1");
    unusual.set_up("10-251");
    usual.request("PLAY", "", "");
    unusual.request("PLAY", "", "");
    let Came::Packet(channel, report) = unusual.next() else { panic!("no packet") };
    assert_eq!(channel, 251, "the sender report comes first");
    assert!(Compound::parse(&report).is_ok());
    let mut theirs = unusual.packet(10);
    let mut ours = usual.packet(0);
    while sequence(&ours) != sequence(&theirs) {
        if sequence(&ours).wrapping_sub(sequence(&theirs)) > u16::MAX / 2 {
            ours = usual.packet(0);
        } else {
            theirs = unusual.packet(10);
        }
    }
    for _ in 0..50 {
        assert_eq!(ours, theirs);
        (ours, theirs) = (usual.packet(0), unusual.packet(10));
    }
}

#[test]
fn a_paused_viewer_comes_back_at_the_latest_keyframe() {
    let mut recorder = Recorder::new();
    recorder.noise(1, 5000, 10);
    let mut wire = Wire::connect(recorder.address, PATH);
    wire.set_up("0-1");
    wire.request("PLAY", "", "");
    let before = timestamp(&wire.packet(0));
    assert_eq!(recorder.watching(), 1);
    assert_eq!(wire.request("PAUSE", "", "").status, 200);
    assert_eq!(recorder.watching(), 0);
    // A second, and a GOP: then the latest keyframe is more than a second away from the first.
    let_it_go_on(&recorder, 90_000 + 36_000);
    // Whatever was sent meanwhile would come before this answer.
    wire.send("GET_PARAMETER", "", "");
    assert!(matches!(wire.next(), Came::Reply(reply) if reply.status == 200));
    let play = wire.request("PLAY", "", "Range: npt=3.5-\r\n");
    let packet = wire.packet(0);
    assert_eq!(announced(&play), (sequence(&packet), timestamp(&packet)));
    assert!(begins_keyframe(&packet));
    assert!(timestamp(&packet).wrapping_sub(before) >= 90_000, "at least a second later");
    assert_eq!(wire.request("TEARDOWN", "", "").status, 200);
    assert_eq!(recorder.watching(), 0);
}

#[test]
fn sender_reports_tell_the_wall_time() {
    let mut recorder = Recorder::new();
    recorder.noise(1, 5000, 10);
    let mut wire = Wire::connect(recorder.address, PATH);
    wire.set_up("0-1");
    wire.request("PLAY", "", "");
    let mut reports = Vec::new();
    while reports.len() < 2 {
        let bytes = wire.packet(1);
        let now = SystemClock::new().wall().as_unix_micros();
        let Some(Ok(Packet::Sr(report))) = Compound::parse(&bytes).unwrap().next() else { panic!() };
        let ntp = report.ntp_timestamp();
        let micros = ((ntp >> 32) as i64 - 2_208_988_800) * 1_000_000
            + (((ntp & 0xffff_ffff) * 1_000_000) >> 32) as i64;
        assert!((now - micros).abs() < 5_000_000, "{now} {micros}");
        reports.push((micros, report.rtp_timestamp(), report.packet_count()));
    }
    let micros = reports[1].0 - reports[0].0;
    let ticks = i64::from(reports[1].1.wrapping_sub(reports[0].1));
    assert!((micros * 9 / 100 - ticks).abs() <= 90, "{reports:?}");
    assert!(reports[0].2 == 0 && reports[1].2 > 100);
}

fn listen(recorder: &Recorder) -> Ears {
    let mut ears = Ears::prepare(recorder.address, PATH);
    ears.play();
    assert!(begins_keyframe(&ears.packet()));
    ears
}

#[test]
fn a_udp_client_that_vanished_times_out_and_one_that_reports_does_not() {
    let options = ServerOptions { session_timeout: Duration::from_secs(3), ..ServerOptions::default() };
    let mut recorder = Recorder::with(options);
    recorder.noise(1, 5000, 10);
    let mut vanished = listen(&recorder);
    let mut alive = listen(&recorder);
    assert_eq!(recorder.watching(), 2);
    let mut report = vec![0; 8];
    assert_eq!(ReceiverReport::builder(77).write_into_unchecked(&mut report), 8);
    // More than two time-outs long, by the clock of the stream itself.
    let next = || timestamp(&alive.packet());
    let first = next();
    let mut reported = None;
    loop {
        let elapsed = next().wrapping_sub(first);
        if elapsed >= 8 * 90_000 {
            break;
        }
        if reported.is_none_or(|last| elapsed - last >= 27_000) {
            reported = Some(elapsed);
            alive.rtcp.send_to(&report, ("127.0.0.1", alive.server_rtcp)).unwrap();
        }
    }
    assert_eq!(recorder.watching(), 1, "the one that reports");
    assert!(matches!(vanished.wire.next(), Came::End));
    assert_eq!(alive.wire.request("GET_PARAMETER", "", "").status, 200);
}

#[test]
fn a_revoked_key_ends_a_running_session() {
    let mut recorder = Recorder::new();
    recorder.noise(1, 5000, 10);
    let mut wire = Wire::connect(recorder.address, PATH);
    wire.set_up("0-1");
    wire.request("PLAY", "", "");
    recorder.gate.revoked.store(true, Ordering::SeqCst);
    while !matches!(wire.next(), Came::End) {}
    assert_eq!(recorder.watching(), 0);
}

#[test]
fn too_many_clients_and_watchers_hear_why() {
    let options = ServerOptions { max_clients: 3, max_watchers: 1, ..ServerOptions::default() };
    let mut recorder = Recorder::with(options);
    recorder.noise(1, 5000, 10);
    let mut first = Wire::connect(recorder.address, PATH);
    first.set_up("0-1");
    let mut second = Wire::connect(recorder.address, PATH);
    assert_eq!(second.request("DESCRIBE", "", "").status, 200);
    let tcp = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
    assert_eq!(second.request("SETUP", "/trackID=0", tcp).status, 503);
    let mut third = Wire::connect(recorder.address, PATH);
    assert_eq!(third.request("OPTIONS", "", "").status, 200);
    let mut fourth = Wire::connect(recorder.address, PATH);
    assert_eq!(fourth.request("OPTIONS", "", "").status, 503);
    assert!(matches!(fourth.next(), Came::End));
    assert_eq!(first.request("TEARDOWN", "", "").status, 200);
    assert_eq!(second.request("SETUP", "/trackID=0", tcp).status, 200);
}

#[test]
fn a_publisher_may_restart_but_not_become_another() {
    let mut recorder = Recorder::new();
    recorder.noise(1, 5000, 10);
    let mut wire = Wire::connect(recorder.address, PATH);
    wire.set_up("0-1");
    wire.request("PLAY", "", "");
    let first = wire.packet(0);
    recorder.stop_cameras();
    recorder.noise(1, 7000, 10);
    let (mut last, mut time) = (sequence(&first), timestamp(&first));
    // The new publisher's units have other sizes: five full packets instead of three.
    let mut run = 0;
    while run < 5 {
        let packet = wire.packet(0);
        assert_eq!(sequence(&packet), last.wrapping_add(1));
        assert!(timestamp(&packet).wrapping_sub(time) < 90_000 * 20, "time goes on");
        (last, time) = (sequence(&packet), timestamp(&packet));
        run = if packet.len() == 1400 { run + 1 } else { 0 };
    }
    recorder.stop_cameras();
    recorder.channel(1, Clip::noise(VideoCodec::H265, 5000, 10), None);
    let mut goodbye = false;
    loop {
        match wire.next() {
            Came::Packet(1, packet) => {
                goodbye |= matches!(Compound::parse(&packet).unwrap().last(), Some(Ok(Packet::Bye(_))));
            }
            Came::Packet(..) => {}
            Came::Reply(reply) => panic!("{reply:?}"),
            Came::End => break,
        }
    }
    assert!(goodbye);
    let mut again = Wire::connect(recorder.address, PATH);
    assert!(again.request("DESCRIBE", "", "").body.contains("H265/90000"));
}

/// Garbage on one connection is nobody else's business.
#[test]
fn garbage_is_survived() {
    use std::io::{Read, Write};
    let mut recorder = Recorder::new();
    recorder.noise(1, 5000, 10);
    let mut watching = Wire::connect(recorder.address, PATH);
    watching.set_up("0-1");
    watching.request("PLAY", "", "");
    for garbage in
        [vec![0u8; 100_000], vec![b'A'; 100_000], b"\r\n".repeat(50_000), b"$\x00\xff\xff".repeat(30_000)]
    {
        let mut socket = std::net::TcpStream::connect(recorder.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // The server may close at any time.
        let _ = socket.write_all(&garbage);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let _ = socket.read_to_end(&mut Vec::new());
    }
    let mut last = sequence(&watching.packet(0));
    for _ in 0..100 {
        let now = sequence(&watching.packet(0));
        assert_eq!(now, last.wrapping_add(1));
        last = now;
    }
}

/// Whoever may not connect is not read from, and who no longer may is cut off.
#[test]
fn addresses_that_may_not_connect() {
    use std::io::{Read, Write};
    let mut recorder = Recorder::new();
    recorder.noise(1, 5000, 10);
    let mut watching = Wire::connect(recorder.address, PATH);
    watching.set_up("0-1");
    watching.request("PLAY", "", "");
    recorder.gate.shut_out.store(true, Ordering::SeqCst);
    let mut socket = std::net::TcpStream::connect(recorder.address).unwrap();
    let _ = socket.write_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    let mut said = Vec::new();
    let _ = socket.read_to_end(&mut said);
    assert!(said.is_empty());
    assert_eq!(recorder.server.stats().not_admitted, 1);
    while !matches!(watching.next(), Came::End) {}
    recorder.gate.shut_out.store(false, Ordering::SeqCst);
    assert_eq!(Wire::connect(recorder.address, PATH).request("OPTIONS", "", "").status, 200);
}
