//! The rules that settings keep, beyond their shape.
//!
//! Each fault names the key it is about, so that `load` can find its line and the UI its field.

use std::collections::HashSet;
use std::net::IpAddr;

use hal::MAX_CHANNELS;
use jiff::tz::TimeZone;

use super::allow::network_of;
use super::keep_days::{MAX_DAYS, rivals};
use super::migrate::OLDEST_VERSION;
use super::model::{Camera, Channel, Input, Multicast, Network, Settings, Stream, VERSION};

/// Networks that may connect to RTSP; the API takes as many.
const MAX_ALLOW: usize = web::limits::MAX_RTSP_ALLOW;
/// The longest name or title: what fits on a picture and in a tile's corner.
const MAX_TITLE_CHARS: usize = 64;
/// The longest camera URL; RTSP servers in the field stop at 1 KiB or less.
const MAX_URL_BYTES: usize = 1024;
/// The longest camera user name or password.
const MAX_CREDENTIAL_BYTES: usize = 128;
/// Smaller segments cost a seal and a footer too often.
const MIN_SEGMENT_BYTES: u64 = 4 << 20;
/// Larger segments take too long to scan after a power cut.
const MAX_SEGMENT_BYTES: u64 = 1 << 30;
/// Fewer segments than this could not hold the oldest while the next is recycled.
const MIN_SEGMENTS: u64 = 4;
/// Name servers that a resolver asks: resolv.conf(5) takes three.
const MAX_DNS: usize = 3;
/// Time servers: one is enough, a few help when one is away.
const MAX_NTP: usize = 4;
/// A DNS name's length (RFC 1035 section 2.3.4) without the dots at the ends.
const MAX_HOST_BYTES: usize = 253;
/// A host name is one label of at most this (RFC 1035 section 2.3.4).
const MAX_LABEL_BYTES: usize = 63;
/// More rules than inputs times relays of any board.
const MAX_ALARMS: usize = 64;
/// A relay that is on for longer is a light switch.
const MAX_RELAY_SEC: u32 = 3600;

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The key, as a path into the file.
    pub(super) path: Vec<Key>,
    /// What is wrong and what would be right.
    pub(super) message: String,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Name(&'static str),
    Index(usize),
}

/// The first broken rule, if any.
pub(super) fn validate(settings: &Settings) -> Result<(), Fault> {
    let top = Path(Vec::new());
    top.name("version").check(settings.version == VERSION, || {
        format!("this program reads versions {OLDEST_VERSION} to {VERSION}, not {}", settings.version)
    })?;
    title(&top.name("name"), &settings.name)?;
    top.name("time_zone").check(TimeZone::get(&settings.time_zone).is_ok(), || {
        format!("`{}` is no IANA time zone; write one such as Europe/Berlin", settings.time_zone)
    })?;
    ports(&top, settings)?;
    allow(&top.name("rtsp").name("allow"), &settings.rtsp.allow)?;
    multicast(&top.name("rtsp").name("multicast"), &settings.rtsp.multicast)?;
    storage(&top.name("storage"), settings)?;
    network(&top.name("network"), &settings.network)?;
    time(&top.name("time"), settings)?;
    alarms(&top.name("alarm"), settings)?;
    let mut numbers = HashSet::new();
    let mut sources = HashSet::new();
    for (index, entry) in settings.channels.iter().enumerate() {
        let at = top.name("channel").index(index);
        at.name("number").check(numbers.insert(entry.number), || {
            format!("channel {} stands here twice; give each its own number", entry.number)
        })?;
        channel(&at, entry)?;
        keep_days(&at, entry, &settings.channels[..index])?;
        if let Some(input) = &entry.input {
            at.name("input").name("source").check(sources.insert(&input.source), || {
                format!("`{}` is used by another channel already", input.source)
            })?;
        }
    }
    Ok(())
}

fn keep_days(at: &Path, entry: &Channel, before: &[Channel]) -> Result<(), Fault> {
    let of_others: Vec<u32> =
        before.iter().flat_map(|other| other.keep_days.into_iter().chain(other.keep_event_days)).collect();
    if let Some(days) = entry.keep_days {
        let at = at.name("keep_days");
        days_can_be_had(&at, days)?;
        no_rival(&at, days, "another channel keeps", &of_others)?;
    }
    let Some(days) = entry.keep_event_days else { return Ok(()) };
    let at = at.name("keep_event_days");
    days_can_be_had(&at, days)?;
    let rest = entry.keep_days.unwrap_or(0);
    at.check(days >= rest, || {
        format!("{days} days; what happens is kept at least as long as the rest, {rest} days")
    })?;
    no_rival(&at, days, "the rest is kept for", entry.keep_days.as_slice())?;
    no_rival(&at, days, "another channel keeps", &of_others)
}

fn days_can_be_had(at: &Path, days: u32) -> Result<(), Fault> {
    at.check((1..=MAX_DAYS).contains(&days), || format!("{days} days; 1 to {MAX_DAYS} are possible"))
}

fn no_rival(at: &Path, days: u32, who: &str, in_use: &[u32]) -> Result<(), Fault> {
    let (least, most) = rivals(days);
    let rival = in_use.iter().find(|of| **of != days && (least..=most).contains(*of));
    rival.map_or(Ok(()), |other| {
        at.fail(&format!(
            "{who} {other} days, and of {least} to {most} only one number can be in use: \
             take {other} here too, or change both"
        ))
    })
}

fn ports(top: &Path, settings: &Settings) -> Result<(), Fault> {
    let (web, plain, tls) = (settings.web.address, settings.rtsp.address, settings.rtsp.tls_address);
    let rtsp = top.name("rtsp");
    rtsp.name("address").check(plain.port() != web.port(), || same_port(plain.port(), "web.address"))?;
    rtsp.name("tls_address").check(tls.port() != web.port(), || same_port(tls.port(), "web.address"))?;
    rtsp.name("tls_address").check(tls.port() != plain.port(), || same_port(tls.port(), "rtsp.address"))
}

fn allow(at: &Path, networks: &[String]) -> Result<(), Fault> {
    at.check(networks.len() <= MAX_ALLOW, || format!("at most {MAX_ALLOW} networks"))?;
    for (index, text) in networks.iter().enumerate() {
        at.index(index).check(network_of(text).is_some(), || {
            format!("`{text}` is no network; write one such as 192.168.1.0/24, or an address")
        })?;
    }
    Ok(())
}

fn multicast(at: &Path, multicast: &Multicast) -> Result<(), Fault> {
    // Also while it is off: what is turned on later has to be right.
    let key = if multicast.ttl == 0 { "ttl" } else { "group" };
    match rtsp::Multicast::new(multicast.group, multicast.ttl) {
        Ok(_) => Ok(()),
        Err(message) => at.name(key).fail(message),
    }
}

fn same_port(port: u16, other: &str) -> String {
    format!("port {port} is {other}'s already; choose another")
}

fn storage(at: &Path, settings: &Settings) -> Result<(), Fault> {
    let storage = &settings.storage;
    let segment_bytes = storage.segment_bytes_of(storage.max_bytes);
    at.name("segment_bytes")
        .check((MIN_SEGMENT_BYTES..=MAX_SEGMENT_BYTES).contains(&segment_bytes), || {
            format!("a segment has {MIN_SEGMENT_BYTES} to {MAX_SEGMENT_BYTES} bytes")
        })?;
    at.name("max_bytes").check(storage.max_bytes >= MIN_SEGMENTS * segment_bytes, || {
        format!("at least {MIN_SEGMENTS} segments must fit: {} bytes", MIN_SEGMENTS * segment_bytes)
    })
}

fn network(at: &Path, network: &Network) -> Result<(), Fault> {
    let label = &network.host_name;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    at.name("host_name").check(
        !label.is_empty()
            && label.len() <= MAX_LABEL_BYTES
            && label.bytes().all(legal)
            && !label.starts_with('-')
            && !label.ends_with('-'),
        || format!("`{label}` is no host name; letters, digits and - inside, at most {MAX_LABEL_BYTES}"),
    )?;
    at.name("prefix").check((1..=30).contains(&network.prefix), || {
        format!("/{} is no network with room for hosts; 1 to 30 are, mostly 24", network.prefix)
    })?;
    at.name("dns").check(network.dns.len() <= MAX_DNS, || format!("at most {MAX_DNS} name servers"))?;
    let Some(address) = network.address else {
        return at.name("address").check(network.dhcp, || {
            "without DHCP the recorder needs an address; write one such as 192.168.1.50".to_owned()
        });
    };
    let usable = !(address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_broadcast());
    at.name("address").check(usable, || format!("{address} cannot be a host's address"))?;
    let Some(gateway) = network.gateway else { return Ok(()) };
    let net = |ip: std::net::Ipv4Addr| u32::from(ip) >> (32 - u32::from(network.prefix).clamp(1, 31));
    at.name("gateway").check(net(gateway) == net(address) && gateway != address, || {
        format!("{gateway} is not in the network of {address}/{}", network.prefix)
    })
}

fn time(at: &Path, settings: &Settings) -> Result<(), Fault> {
    let servers = &settings.time.ntp_servers;
    let at = at.name("ntp_servers");
    at.check(servers.len() <= MAX_NTP, || format!("at most {MAX_NTP} time servers"))?;
    for (index, server) in servers.iter().enumerate() {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
        let name = !server.is_empty() && server.len() <= MAX_HOST_BYTES && server.bytes().all(legal);
        at.index(index).check(name || server.parse::<IpAddr>().is_ok(), || {
            format!("`{server}` is no server; write a name or an address, without a port")
        })?;
    }
    Ok(())
}

fn alarms(at: &Path, settings: &Settings) -> Result<(), Fault> {
    at.check(settings.alarms.len() <= MAX_ALARMS, || format!("at most {MAX_ALARMS} rules"))?;
    for (index, rule) in settings.alarms.iter().enumerate() {
        let at = at.index(index);
        title(&at.name("input"), &rule.input)?;
        if let Some(relay) = &rule.relay {
            title(&at.name("relay"), relay)?;
        }
        at.check(rule.relay.is_some() || !rule.channels.is_empty(), || {
            "a rule that does nothing; name a relay, channels, or both".to_owned()
        })?;
        at.name("channels").check(rule.channels.len() <= usize::from(MAX_CHANNELS), || {
            format!("at most {MAX_CHANNELS} channels")
        })?;
        at.name("relay_sec").check((1..=MAX_RELAY_SEC).contains(&rule.relay_sec), || {
            format!("{} s; 1 to {MAX_RELAY_SEC} can be had", rule.relay_sec)
        })?;
    }
    Ok(())
}

fn channel(at: &Path, channel: &Channel) -> Result<(), Fault> {
    title(&at.name("title"), &channel.title)?;
    match (&channel.input, &channel.camera) {
        (Some(input), None) => self::input(&at.name("input"), input),
        (None, Some(camera)) => self::camera(&at.name("camera"), camera),
        (Some(_), Some(_)) => at.fail("a channel has an input or a camera, not both"),
        (None, None) => at.fail("a channel needs an input or a camera"),
    }
}

fn input(at: &Path, input: &Input) -> Result<(), Fault> {
    at.name("source")
        .check(input.source.split_once(':').is_some_and(|(b, i)| !b.is_empty() && !i.is_empty()), || {
            format!("`{}` is no source; write backend:input, such as sim:sim0", input.source)
        })?;
    stream(&at.name("main"), &input.main)?;
    input.sub.as_ref().map_or(Ok(()), |sub| stream(&at.name("sub"), sub))
}

fn stream(at: &Path, stream: &Stream) -> Result<(), Fault> {
    for (key, value) in [("width", stream.width), ("height", stream.height)] {
        at.name(key).check((64..=4096).contains(&value) && value.is_multiple_of(2), || {
            format!("{value} is no picture {key}; even numbers from 64 to 4096 are")
        })?;
    }
    at.name("frame_rate").check((1..=60).contains(&stream.frame_rate), || {
        format!("{} frames a second; 1 to 60 can be had", stream.frame_rate)
    })?;
    at.name("bit_rate_bps").check((16_000..=50_000_000).contains(&stream.bit_rate_bps), || {
        format!("{} bit/s; 16000 to 50000000 can be had", stream.bit_rate_bps)
    })?;
    at.name("gop_frames").check((1..=600).contains(&stream.gop_frames), || {
        format!("a keyframe every {} frames; 1 to 600 can be had", stream.gop_frames)
    })
}

fn camera(at: &Path, camera: &Camera) -> Result<(), Fault> {
    let url_at = at.name("url");
    url_at.check(camera.url.len() <= MAX_URL_BYTES, || format!("a URL has at most {MAX_URL_BYTES} bytes"))?;
    let parsed = url::Url::parse(&camera.url);
    let Ok(url) = parsed else {
        return url_at.fail("this is no URL; write one such as rtsp://192.168.1.20/stream1");
    };
    url_at.check(url.scheme() == "rtsp", || {
        format!("`{}:` is not understood; a camera's URL begins with rtsp://", url.scheme())
    })?;
    url_at.check(url.host_str().is_some_and(|host| !host.is_empty()), || {
        "the URL names no host; write one such as rtsp://192.168.1.20/stream1".to_owned()
    })?;
    url_at.check(url.username().is_empty() && url.password().is_none(), || {
        "leave user and password out of the URL; they have their own fields".to_owned()
    })?;
    for (key, value) in [("user", &camera.user), ("password", &camera.password)] {
        at.name(key).check(value.as_ref().is_none_or(|v| v.len() <= MAX_CREDENTIAL_BYTES), || {
            format!("at most {MAX_CREDENTIAL_BYTES} bytes")
        })?;
    }
    Ok(())
}

fn title(at: &Path, text: &str) -> Result<(), Fault> {
    at.check(!text.trim().is_empty(), || "a name is needed".to_owned())?;
    at.check(text.chars().count() <= MAX_TITLE_CHARS, || format!("at most {MAX_TITLE_CHARS} characters"))?;
    at.check(!text.chars().any(char::is_control), || {
        "line breaks and control characters can't be shown".to_owned()
    })
}

/// Where in the file a rule looks.
#[derive(Clone)]
struct Path(Vec<Key>);

impl Path {
    fn name(&self, key: &'static str) -> Self {
        self.with(Key::Name(key))
    }

    fn index(&self, index: usize) -> Self {
        self.with(Key::Index(index))
    }

    fn with(&self, key: Key) -> Self {
        let mut path = self.0.clone();
        path.push(key);
        Self(path)
    }

    fn check(&self, holds: bool, message: impl FnOnce() -> String) -> Result<(), Fault> {
        if holds { Ok(()) } else { Err(Fault { path: self.0.clone(), message: message() }) }
    }

    fn fail<T>(&self, message: &str) -> Result<T, Fault> {
        Err(Fault { path: self.0.clone(), message: message.to_owned() })
    }
}
