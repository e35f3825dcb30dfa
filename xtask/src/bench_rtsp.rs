//! `cargo xtask bench rtsp`: one stream to a crowd, beside what sockets cost.
//!
//! Servers and viewers are processes of crate `rtsp`'s example `crowd`, on this machine's loopback: our server, a floor that
//! hands each access unit to each socket as one contiguous write, and gst-rtsp-server. MediaMTX and go2rtc are measured beside
//! them where they are on PATH. In each turn every case goes to every server, so that what else the machine does hits all alike.
//!
//! Does not belong here: what is played and how it is watched (the example), how other people's servers are set up
//! (`bench_rtsp_peer.rs`).

use std::collections::BTreeMap;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use hal::{Clock, SystemClock};
use serde::{Deserialize, Serialize};

use crate::bench_rtsp_peer::{Peer, Running};
use crate::bench_rtsp_role::Role;
use crate::processes::{cpu_time, resident_bytes};
use crate::steps;
use crate::workspace::Failure;

const SECONDS: u64 = 20;
const QUICK_SECONDS: u64 = 5;
const TURNS: u8 = 3;
/// Joining, warming up and what comes last, beside the measured time: more than the viewers themselves allow.
const SLACK: Duration = Duration::from_secs(60);
const SAMPLE_EVERY: Duration = Duration::from_millis(100);

/// What a figure is to be at most, with the floor's CPU time as 1.
const GOAL_RATIO: f64 = 1.25;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One turn of 5 s a case instead of three of 20 s
    #[arg(long)]
    quick: bool,
    /// Turns, of which the median counts
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=9))]
    turns: Option<u8>,
    /// These servers alone, with commas between
    #[arg(long, value_enum, value_delimiter = ',')]
    servers: Vec<Server>,
    /// Only the cases with so many viewers, with commas between
    #[arg(long, value_delimiter = ',')]
    viewers: Vec<u32>,
}

/// Who watches, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Case {
    clients: u32,
    /// So many more who never read.
    stuck: u32,
    udp: bool,
    /// All join in the same instant.
    at_once: bool,
}

const CASES: [Case; 7] = [
    Case::tcp(10),
    Case::tcp(50),
    Case::tcp(150),
    Case::tcp(500),
    Case { udp: true, ..Case::tcp(50) },
    Case { clients: 45, stuck: 5, ..Case::tcp(0) },
    Case { at_once: true, ..Case::tcp(500) },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Server {
    Floor,
    Candor,
    Gst,
    Mediamtx,
    Go2rtc,
}

/// The figures.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    seconds: u64,
    turns: u8,
    /// Of servers that are not ours; `None` where one is not on PATH.
    versions: BTreeMap<&'static str, Option<String>>,
    lines: Vec<Line>,
}

/// A case at a server: of all turns, the one with the median of CPU time.
#[derive(Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    case: Case,
    server: Server,
    /// The median of the turns' ratios to the floor in the same turn.
    cpu_ratio_to_floor: Option<f64>,
    /// `None` where no turn came to its end.
    outcome: Option<Outcome>,
    /// Why turns did not.
    failures: Vec<String>,
}

/// A case at a server, with what came of it in each turn, or why nothing did.
struct Run {
    case: Case,
    server: Server,
    turns: Vec<Result<Outcome, String>>,
}

#[derive(Clone, Debug, Serialize)]
struct Outcome {
    /// Of the server, in the measured time.
    cpu_seconds: f64,
    /// For each gigabyte of coded pictures that arrived.
    cpu_sec_per_gb: f64,
    /// The most of the server, without shared memory.
    resident_most_bytes: u64,
    #[serde(flatten)]
    report: Report,
}

/// What the viewers say.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Report {
    /// Viewers that had a keyframe.
    served: u32,
    /// Until all had, from the first one's coming.
    joined_ms: f64,
    /// Coded bytes of units that arrived whole in the measured time, over all viewers.
    bytes: u64,
    units_due: u64,
    units: u64,
    /// From PLAY to the whole first keyframe.
    picture_p50_ms: Option<f64>,
    picture_p99_ms: Option<f64>,
    /// From publishing a unit until the last viewer has it whole.
    lag_p50_ms: Option<f64>,
    lag_p99_ms: Option<f64>,
}

impl Case {
    const fn tcp(clients: u32) -> Self {
        Self { clients, stuck: 0, udp: false, at_once: false }
    }

    fn title(&self) -> String {
        let transport = if self.udp { "UDP" } else { "TCP" };
        let stuck = if self.stuck > 0 { format!(", {} more stuck", self.stuck) } else { String::new() };
        let at_once = if self.at_once { ", at once" } else { "" };
        format!("{} {transport}{stuck}{at_once}", self.clients)
    }
}

impl Server {
    const ALL: [Self; 5] = [Self::Floor, Self::Candor, Self::Gst, Self::Mediamtx, Self::Go2rtc];

    fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Candor => "candor",
            Self::Gst => "gst",
            Self::Mediamtx => Peer::Mediamtx.name(),
            Self::Go2rtc => Peer::Go2rtc.name(),
        }
    }

    fn peer(self) -> Option<Peer> {
        match self {
            Self::Floor | Self::Candor | Self::Gst => None,
            Self::Mediamtx => Some(Peer::Mediamtx),
            Self::Go2rtc => Some(Peer::Go2rtc),
        }
    }

    /// The floor has neither datagrams nor joining.
    fn takes(self, case: Case) -> bool {
        match self.peer() {
            Some(peer) => peer.has_udp() || !case.udp,
            None => self != Self::Floor || !(case.udp || case.at_once),
        }
    }
}

/// Runs it all and prints the table.
pub(crate) fn run(args: &Args) -> Result<Figures, Failure> {
    steps::run("cargo", &["build", "--release", "--locked", "-p", "rtsp", "--example", "crowd"], &[])?;
    let seconds = if args.quick { QUICK_SECONDS } else { SECONDS };
    let turns = args.turns.unwrap_or(if args.quick { 1 } else { TURNS });
    let versions: BTreeMap<_, _> =
        Server::ALL.into_iter().filter_map(Server::peer).map(|peer| (peer.name(), peer.version())).collect();
    let servers: Vec<Server> = Server::ALL
        .into_iter()
        .filter(|server| args.servers.is_empty() || args.servers.contains(server))
        .filter(|server| versions.get(server.name()).is_none_or(Option::is_some))
        .collect();
    let mut runs: Vec<Run> = CASES
        .into_iter()
        .filter(|case| args.viewers.is_empty() || args.viewers.contains(&(case.clients + case.stuck)))
        .flat_map(|case| servers.iter().map(move |&server| Run { case, server, turns: Vec::new() }))
        .filter(|run| run.server.takes(run.case))
        .collect();
    for turn in 1..=turns {
        for run in &mut runs {
            println!("==> {}, {}, turn {turn} of {turns}", run.server.name(), run.case.title());
            let outcome = measure(run.server, run.case, seconds)
                .map_err(|error| error.to_string())
                .inspect_err(|error| println!("    not measured: {error}"));
            run.turns.push(outcome);
        }
    }
    let lines: Vec<Line> = runs
        .iter()
        .map(|run| {
            run.line(runs.iter().find(|floor| floor.server == Server::Floor && floor.case == run.case))
        })
        .collect();
    print_table(&lines, &versions);
    Ok(Figures { seconds, turns, versions, lines })
}

impl Run {
    fn line(&self, floor: Option<&Self>) -> Line {
        let ratios = floor.map(|floor| {
            let pairs = floor.turns.iter().zip(&self.turns);
            let both = pairs.filter_map(|(floor, own)| floor.as_ref().ok().zip(own.as_ref().ok()));
            both.map(|(floor, own)| own.cpu_sec_per_gb / floor.cpu_sec_per_gb).collect::<Vec<_>>()
        });
        let done = self.turns.iter().flatten().cloned().collect();
        Line {
            case: self.case,
            server: self.server,
            cpu_ratio_to_floor: ratios.and_then(|ratios| median(ratios, |ratio| *ratio)),
            outcome: median(done, |outcome: &Outcome| outcome.cpu_sec_per_gb),
            failures: self.turns.iter().filter_map(|turn| turn.as_ref().err().cloned()).collect(),
        }
    }
}

fn median<T>(mut all: Vec<T>, key: impl Fn(&T) -> f64) -> Option<T> {
    all.sort_by(|a, b| key(a).total_cmp(&key(b)));
    let middle = all.len().checked_sub(1)? / 2;
    Some(all.swap_remove(middle))
}

/// A server's process.
enum Serving {
    Role(Role, u16),
    Peer(Running),
}

impl Serving {
    fn start(server: Server) -> Result<Self, Failure> {
        if let Some(peer) = server.peer() {
            return Ok(Self::Peer(Running::start(peer)?));
        }
        let role = Role::start(&[server.name()])?;
        let port = role.said("port", SLACK)?.parse()?;
        Ok(Self::Role(role, port))
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Role(role, _) => role.pid(),
            Self::Peer(running) => running.pid(),
        }
    }

    fn port(&self) -> u16 {
        match self {
            Self::Role(_, port) => *port,
            Self::Peer(running) => running.port(),
        }
    }
}

fn measure(server: Server, case: Case, seconds: u64) -> Result<Outcome, Failure> {
    let serving = Serving::start(server)?;
    watch(&serving, server == Server::Floor, case, seconds).map_err(|error| match &serving {
        Serving::Role(..) => error,
        Serving::Peer(running) => format!("{error}; {}", running.last_words()).into(),
    })
}

fn watch(serving: &Serving, is_floor: bool, case: Case, seconds: u64) -> Result<Outcome, Failure> {
    let (pid, port) = (serving.pid(), serving.port().to_string());
    let kind = if is_floor { "floor" } else { "rtsp" };
    let (count, stuck, span) = (case.clients.to_string(), case.stuck.to_string(), seconds.to_string());
    let mut words = vec!["clients", "--kind", kind, "--port", &port, "--count", &count];
    words.extend(["--stuck", &stuck, "--seconds", &span]);
    words.extend(case.udp.then_some("--udp"));
    words.extend(case.at_once.then_some("--at-once"));
    let clients = Role::start(&words)?;

    let clock = SystemClock::new();
    let began = clock.mono();
    let (mut at_first, mut used, mut resident_most_bytes) = (None, None, 0);
    let report: Report = loop {
        match clients.lines.recv_timeout(SAMPLE_EVERY) {
            Ok(line) if line == "begin" => at_first = Some(cpu_time(pid)?),
            Ok(line) if line == "end" => used = at_first.map(|first| cpu_time(pid).map(|now| now - first)),
            Ok(line) => break serde_json::from_str(&line)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err("the viewers broke".into()),
        }
        resident_most_bytes = resident_most_bytes.max(resident_bytes(pid)?);
        if clock.mono().since(began) > SLACK + Duration::from_secs(seconds) {
            return Err("it takes too long".into());
        }
    };
    let cpu_seconds = used.ok_or("nothing was measured")??.as_secs_f64();
    if report.bytes == 0 {
        return Err(format!("nothing arrived; {} viewers had a keyframe before", report.served).into());
    }
    let cpu_sec_per_gb = cpu_seconds / (report.bytes as f64 / 1e9);
    Ok(Outcome { cpu_seconds, cpu_sec_per_gb, resident_most_bytes, report })
}

fn print_table(lines: &[Line], versions: &BTreeMap<&str, Option<String>>) {
    println!(
        "\n{:<20} {:<8} {:>8} {:>6} {:>7} {:>8} {:>9} {:>15} {:>15} {:>7}",
        "clients",
        "server",
        "CPU s/GB",
        "floor",
        "share %",
        "served",
        "joined s",
        "picture ms",
        "lag ms",
        "MB"
    );
    for Line { case, server, cpu_ratio_to_floor, outcome, failures } in lines {
        let (title, server) = (case.title(), server.name());
        for failure in failures {
            println!("{title:<20} {server:<8} a turn was not measured: {failure}");
        }
        let Some(outcome) = outcome else { continue };
        let report = &outcome.report;
        let ratio = cpu_ratio_to_floor.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        let pair = |half: Option<f64>, most: Option<f64>| match (half, most) {
            (Some(half), Some(most)) => format!("{half:.1} / {most:.1}"),
            _ => "-".to_owned(),
        };
        println!(
            "{title:<20} {server:<8} {:>8.2} {ratio:>6} {:>7.2} {:>8} {:>9.2} {:>15} {:>15} {:>7.1}",
            outcome.cpu_sec_per_gb,
            100.0 * report.units as f64 / report.units_due as f64,
            report.served,
            report.joined_ms / 1e3,
            pair(report.picture_p50_ms, report.picture_p99_ms),
            pair(report.lag_p50_ms, report.lag_p99_ms),
            outcome.resident_most_bytes as f64 / 1e6,
        );
    }
    println!("picture: PLAY to a whole keyframe, lag: until the last viewer has a unit; p50 / p99");
    println!("goal: {GOAL_RATIO} of the floor's CPU time at most, from 50 clients on");
    for (name, version) in versions {
        println!("{name}: {}", version.as_deref().unwrap_or("not on PATH, and not measured"));
    }
}
