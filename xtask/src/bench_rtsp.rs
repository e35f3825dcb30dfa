//! `cargo xtask bench rtsp`: one stream to a crowd, beside what sockets cost.
//!
//! Servers and viewers are processes of crate `rtsp`'s example `crowd`, on this machine's loopback: our server, a floor that
//! hands each access unit to each socket as one contiguous write, and gst-rtsp-server. In each turn every case goes to every
//! server, so that what else the machine does hits all alike.
//!
//! Does not belong here: what is played and how it is watched (the example).

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use hal::{Clock, SystemClock};
use serde::{Deserialize, Serialize};

use crate::processes::{cpu_time, resident_bytes};
use crate::steps;
use crate::workspace::{Failure, target};

const SECONDS: u64 = 20;
const QUICK_SECONDS: u64 = 5;
const TURNS: u8 = 3;
/// Joining, warming up and what comes last, beside the measured time: more than the viewers themselves allow.
const SLACK: Duration = Duration::from_secs(60);
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// A server that was told ends in milliseconds; one that hangs is not waited for.
const END_TIMEOUT: Duration = Duration::from_secs(2);

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Server {
    Floor,
    Candor,
    Gst,
}

/// The figures.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    seconds: u64,
    turns: u8,
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
    const ALL: [Self; 3] = [Self::Floor, Self::Candor, Self::Gst];

    fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Candor => "candor",
            Self::Gst => "gst",
        }
    }

    /// The floor has neither datagrams nor joining.
    fn takes(self, case: Case) -> bool {
        self != Self::Floor || !(case.udp || case.at_once)
    }
}

/// Runs it all and prints the table.
pub(crate) fn run(args: &Args) -> Result<Figures, Failure> {
    steps::run("cargo", &["build", "--release", "--locked", "-p", "rtsp", "--example", "crowd"], &[])?;
    let seconds = if args.quick { QUICK_SECONDS } else { SECONDS };
    let turns = args.turns.unwrap_or(if args.quick { 1 } else { TURNS });
    let mut runs: Vec<(Case, Server, Vec<Option<Outcome>>)> = CASES
        .into_iter()
        .flat_map(|case| Server::ALL.map(|server| (case, server, Vec::new())))
        .filter(|(case, server, _)| server.takes(*case))
        .collect();
    for turn in 1..=turns {
        for (case, server, outcomes) in &mut runs {
            println!("==> {}, {}, turn {turn} of {turns}", server.name(), case.title());
            let outcome = measure(*server, *case, seconds)
                .inspect_err(|error| println!("    not measured: {error}"))
                .ok();
            outcomes.push(outcome);
        }
    }
    let lines: Vec<Line> = runs
        .iter()
        .map(|(case, server, outcomes)| {
            let floor = runs.iter().find(|(c, s, _)| (c, *s) == (case, Server::Floor));
            let ratios = floor.map(|(_, _, floor)| {
                let pairs =
                    floor.iter().zip(outcomes).filter_map(|(floor, own)| floor.as_ref().zip(own.as_ref()));
                pairs.map(|(floor, own)| own.cpu_sec_per_gb / floor.cpu_sec_per_gb).collect::<Vec<_>>()
            });
            let done = outcomes.iter().flatten().cloned().collect();
            Line {
                case: *case,
                server: *server,
                cpu_ratio_to_floor: ratios.and_then(|ratios| median(ratios, |ratio| *ratio)),
                outcome: median(done, |outcome: &Outcome| outcome.cpu_sec_per_gb),
            }
        })
        .collect();
    print_table(&lines);
    Ok(Figures { seconds, turns, lines })
}

fn median<T>(mut all: Vec<T>, key: impl Fn(&T) -> f64) -> Option<T> {
    all.sort_by(|a, b| key(a).total_cmp(&key(b)));
    let middle = all.len().checked_sub(1)? / 2;
    Some(all.swap_remove(middle))
}

fn measure(server: Server, case: Case, seconds: u64) -> Result<Outcome, Failure> {
    let serving = Role::start(&[server.name()])?;
    let first = serving.line(SLACK)?;
    let port = first.strip_prefix("port ").ok_or("a server without a port")?;
    let kind = if server == Server::Floor { "floor" } else { "rtsp" };
    let (count, stuck, span) = (case.clients.to_string(), case.stuck.to_string(), seconds.to_string());
    let mut words = vec!["clients", "--kind", kind, "--port", port, "--count", &count];
    words.extend(["--stuck", &stuck, "--seconds", &span]);
    words.extend(case.udp.then_some("--udp"));
    words.extend(case.at_once.then_some("--at-once"));
    let clients = Role::start(&words)?;

    let pid = serving.child.id();
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

/// A process of the example.
struct Role {
    child: Child,
    lines: Receiver<String>,
}

impl Role {
    fn start(words: &[&str]) -> Result<Self, Failure> {
        let mut child = Command::new(target().join("release/examples/crowd"))
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let console = child.stdout.take().ok_or("no console")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(console).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Ok(Self { child, lines })
    }

    fn line(&self, limit: Duration) -> Result<String, Failure> {
        Ok(self.lines.recv_timeout(limit)?)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // Its standard input ends, which is its sign; its output ends with it.
        drop(self.child.stdin.take());
        while let Ok(_line) = self.lines.recv_timeout(END_TIMEOUT) {}
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn print_table(lines: &[Line]) {
    println!(
        "\n{:<20} {:<7} {:>8} {:>6} {:>7} {:>8} {:>9} {:>15} {:>15} {:>7}",
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
    for Line { case, server, cpu_ratio_to_floor, outcome } in lines {
        let (title, server) = (case.title(), server.name());
        let Some(outcome) = outcome else {
            println!("{title:<20} {server:<7} not measured");
            continue;
        };
        let report = &outcome.report;
        let ratio = cpu_ratio_to_floor.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        let pair = |half: Option<f64>, most: Option<f64>| match (half, most) {
            (Some(half), Some(most)) => format!("{half:.1} / {most:.1}"),
            _ => "-".to_owned(),
        };
        println!(
            "{title:<20} {server:<7} {:>8.2} {ratio:>6} {:>7.2} {:>8} {:>9.2} {:>15} {:>15} {:>7.1}",
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
    for name in ["mediamtx", "go2rtc"] {
        let found = std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).exists()));
        println!("{name}: {}", if found { "on PATH, not driven by this command" } else { "not on PATH" });
    }
}
