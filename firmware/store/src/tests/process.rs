//! A real writer process, killed without warning, and a reader beside it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use hal::StreamKind;

use super::support::{Source, assert_clean, assert_stretch, keys, open, read_all, scratch, stream};
use crate::Reader;

const FOLDER: &str = "CANDOR_STORE_TEST_FOLDER";

/// The writer process: says how many units are durable after each commit, until it is killed.
#[test]
#[ignore = "started by the test below"]
fn writer() {
    let Some(dir) = std::env::var_os(FOLDER) else { return };
    let mut store = open(dir.as_ref(), 6);
    let mut source = Source::new(stream(1, StreamKind::Main), 10, 700);
    if let Some(last) = store.last(source.stream) {
        while source.make().pts < last.pts {}
    }
    // One commit for each line that comes in: the reader's side sets the pace.
    for _ in std::io::stdin().lines() {
        source.feed(&mut store, 10);
        store.commit().unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "durable {}", source.next).unwrap();
        out.flush().unwrap();
    }
}

fn start(dir: &std::path::Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "tests::process::writer"])
        .env(FOLDER, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

fn durable(line: &str) -> Option<usize> {
    line.split_once("durable ")?.1.trim().parse().ok()
}

#[test]
fn a_killed_writer_loses_nothing_durable_and_readers_go_on() {
    let dir = scratch();
    let mut source = Source::new(stream(1, StreamKind::Main), 10, 700);
    let made: Vec<_> = (0..20_000).map(|_| source.make()).collect();
    let mut reader = None;
    for life in 1..=6 {
        let (mut child, mut out) = start(dir.path());
        let mut pace = child.stdin.take().unwrap();
        // Always some commits ahead, so that the kill comes at any place in one.
        pace.write_all(&[b'\n'; 3]).unwrap();
        let mut told = 0;
        let mut line = String::new();
        // Through several segments, and not always the same number of commits.
        for _ in 0..7 + life * 5 {
            while {
                line.clear();
                assert!(out.read_line(&mut line).unwrap() > 0, "the writer ended by itself");
                durable(&line).is_none()
            } {}
            pace.write_all(b"\n").unwrap();
            told = durable(&line).unwrap();
            if told % 50 == 0 {
                let reader = reader.get_or_insert_with(|| Reader::open(dir.path(), &keys()).unwrap());
                let last = made[told - 1].wall;
                let units = reader.units(source.stream, last.offset_micros(-900_000), last.offset_micros(1));
                // The writer may be faster than this reader; what is there must be right.
                if let Ok(units) = units.unwrap().collect::<Result<Vec<_>, _>>() {
                    assert_stretch(&made, &units);
                }
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        drop(pace);
        told = out.lines().map_while(Result::ok).filter_map(|line| durable(&line)).last().unwrap_or(told);
        drop(open(dir.path(), 6));
        let (_, end) =
            assert_stretch(&made, &read_all(&Reader::open(dir.path(), &keys()).unwrap(), source.stream));
        assert!(end >= told, "life {life}: {told} were durable, {end} are there");
        assert!(end <= told + 40, "life {life}: {told} were durable, {end} are there");
        assert_clean(dir.path());
    }
}
