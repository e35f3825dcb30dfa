//! A replay client that shows what players hide: ONVIF's marks on every unit.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};

use crate::recorder::{Recorder, STREAM_USER};

/// A server that has not answered by now never will.
const LIMIT: Duration = Duration::from_secs(30);

/// From 1900 to 1970, seconds.
const NTP_OFFSET: i64 = 2_208_988_800;

/// A connection with the video of a recording set up.
pub struct ReplayClient {
    socket: TcpStream,
    buffer: Vec<u8>,
    url: String,
    key: String,
    realm_and_nonce: Option<(String, String)>,
    session: Option<String>,
    cseq: u32,
}

/// An access unit as its first packet tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayedUnit {
    /// When it was recorded, to the microsecond.
    pub wall: Timestamp,
    /// RTP time.
    pub timestamp: u32,
    flags: u8,
}

impl PlayedUnit {
    /// C.
    #[must_use]
    pub fn is_keyframe(&self) -> bool {
        self.flags & 0x80 != 0
    }

    /// E.
    #[must_use]
    pub fn ends_section(&self) -> bool {
        self.flags & 0x40 != 0
    }

    /// D.
    #[must_use]
    pub fn is_discontinuity(&self) -> bool {
        self.flags & 0x20 != 0
    }

    /// T.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.flags & 0x10 != 0
    }
}

enum Came {
    Head(String),
    Packet(u8, Vec<u8>),
}

impl ReplayClient {
    /// The status of DESCRIBE.
    ///
    /// # Panics
    /// When nobody answers.
    #[must_use]
    pub fn describe(recorder: &Recorder, path: &str) -> u16 {
        status(&Self::open(recorder, path).request("DESCRIBE", "", ""))
    }

    /// Sets up the video.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn connect(recorder: &Recorder, path: &str) -> Self {
        let mut client = Self::open(recorder, path);
        let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
        for (method, below, headers) in [("DESCRIBE", "", ""), ("SETUP", "/trackID=0", transport)] {
            let head = client.request(method, below, headers);
            assert_eq!(status(&head), 200, "{head}");
        }
        client
    }

    /// Plays until the server says that this was all.
    ///
    /// # Panics
    /// When it is refused, or the server sends what it should not.
    pub fn play(&mut self, headers: &str) -> Vec<PlayedUnit> {
        let head = self.request("PLAY", "", headers);
        assert_eq!(status(&head), 200, "{headers}: {head}");
        let mut units = Vec::new();
        loop {
            match self.next() {
                Came::Packet(0, packet) => units.extend(unit(&packet)),
                Came::Packet(_, report) if says_goodbye(&report) => return units,
                Came::Packet(..) => {}
                Came::Head(head) => panic!("nothing was asked: {head}"),
            }
        }
    }

    fn open(recorder: &Recorder, path: &str) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, recorder.rtsp_port()));
        let socket = TcpStream::connect_timeout(&address, LIMIT).expect("somebody listens");
        socket.set_read_timeout(Some(LIMIT)).expect("a limit");
        Self {
            socket,
            buffer: Vec::new(),
            url: format!("rtsp://{address}/{path}"),
            key: recorder.stream_key().to_owned(),
            realm_and_nonce: None,
            session: None,
            cseq: 0,
        }
    }

    /// The head of the answer; what is sent before it is dropped.
    fn request(&mut self, method: &str, below: &str, headers: &str) -> String {
        loop {
            let head = self.ask(method, below, headers);
            if let Some(session) = value(&head, "Session: ") {
                self.session = Some(session.split(';').next().unwrap_or(session).to_owned());
            }
            if status(&head) != 401 || self.realm_and_nonce.is_some() {
                return head;
            }
            let quoted = |name: &str| head.split(name).nth(1).and_then(|rest| rest.split('"').nth(1));
            let both = quoted("realm=").zip(quoted("nonce=")).expect("a challenge");
            self.realm_and_nonce = Some((both.0.to_owned(), both.1.to_owned()));
        }
    }

    fn ask(&mut self, method: &str, below: &str, headers: &str) -> String {
        self.cseq += 1;
        let url = format!("{}{below}", self.url);
        let mut text = format!("{method} {url} RTSP/1.0\r\nCSeq: {}\r\n{headers}", self.cseq);
        if let Some(session) = &self.session {
            text += &format!("Session: {session}\r\n");
        }
        if let Some((realm, nonce)) = &self.realm_and_nonce {
            let secret = hash(&format!("{STREAM_USER}:{realm}:{}", self.key));
            let response = hash(&format!("{secret}:{nonce}:{}", hash(&format!("{method}:{url}"))));
            text += &format!(
                "Authorization: Digest username=\"{STREAM_USER}\", realm=\"{realm}\", nonce=\"{nonce}\", \
                 uri=\"{url}\", response=\"{response}\", algorithm=SHA-256\r\n"
            );
        }
        self.socket.write_all(format!("{text}\r\n").as_bytes()).expect("the server reads");
        loop {
            if let Came::Head(head) = self.next() {
                return head;
            }
        }
    }

    fn next(&mut self) -> Came {
        loop {
            if let Some(came) = self.cut() {
                return came;
            }
            let mut chunk = [0; 65_536];
            let length = self.socket.read(&mut chunk).expect("the server goes on");
            assert!(length > 0, "the server closed the connection");
            self.buffer.extend_from_slice(&chunk[..length]);
        }
    }

    fn cut(&mut self) -> Option<Came> {
        if self.buffer.first() == Some(&b'$') {
            let [_, channel, high, low] = *self.buffer.first_chunk()?;
            let end = 4 + usize::from(u16::from_be_bytes([high, low]));
            let packet = self.buffer.get(4..end)?.to_vec();
            self.buffer.drain(..end);
            return Some(Came::Packet(channel, packet));
        }
        let end = self.buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let body = value(&head, "Content-Length: ").map_or(0, |length| length.parse().expect("a length"));
        self.buffer.get(..end + body)?;
        self.buffer.drain(..end + body);
        Some(Came::Head(head))
    }
}

fn status(head: &str) -> u16 {
    head.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name))
}

fn hash(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a packet with the extension (RFC 3550 section 5.3.1) says; the first of every access unit has it.
fn unit(packet: &[u8]) -> Option<PlayedUnit> {
    if packet[0] & 0x10 == 0 {
        return None;
    }
    assert_eq!(packet[12..16], [0xab, 0xac, 0, 3], "profile and length");
    let ntp = u64::from_be_bytes(packet[16..24].try_into().expect("eight bytes"));
    let micros = ((ntp & 0xffff_ffff) * 1_000_000 + (1 << 31)) >> 32;
    let wall = Timestamp::from_second((ntp >> 32) as i64 - NTP_OFFSET).expect("a moment of these days");
    Some(PlayedUnit {
        wall: wall + SignedDuration::from_micros(micros as i64),
        timestamp: u32::from_be_bytes(packet[4..8].try_into().expect("four bytes")),
        flags: packet[24],
    })
}

/// Whether a compound RTCP packet has a BYE (RFC 3550 section 6.6).
fn says_goodbye(mut report: &[u8]) -> bool {
    while let [_, kind, high, low, ..] = *report {
        if kind == 203 {
            return true;
        }
        let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        report = report.get(length..).unwrap_or(&[]);
    }
    false
}
