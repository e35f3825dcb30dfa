//! Each kind of bad description: the line it names and what it says.
//!
//! Every file under testdata/bad differs from testdata/good.toml in the one thing that its name says.

use std::collections::BTreeMap;
use std::path::Path;

use board::{Board, ErrorKind};
use proptest::prelude::*;

fn testdata(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_good_one_is_good() {
    let board = Board::parse("good.toml", &testdata("good.toml")).unwrap();
    assert_eq!(board.flash[0].partitions[1].offset(), 512 << 10);
}

/// File by file its message; `cargo insta review` shows what changed.
#[test]
fn bad_files_are_refused_with_line_and_advice() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/bad");
    let mut messages = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let error = Board::parse(&name, &testdata(&format!("bad/{name}"))).expect_err(&name);
        assert!(error.line().is_some(), "{name} names no line: {error}");
        assert_ne!(error.kind(), ErrorKind::NotFound, "{name}");
        messages.insert(name.clone(), error.to_string());
    }
    assert!(messages.len() > 40, "the bad files are there");
    let lines: Vec<&str> = messages.values().map(String::as_str).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn unknown_boards_and_variants_are_refused_with_the_known_ones() {
    let error = Board::builtin("pc2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "no board pc2; known boards: dhb-ax, hi3520dv200, hi3521a, hi3531d, hi3536c, hi3536d, n6708g5, pc, \
         phidi-hi3520dv300, virt-a7, virt-mpp. \
         Another board is described in a file of its own"
    );
    let error = Board::builtin("virt-a7-32").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), "virt-a7.toml: board virt-a7 has no variant 32; its variants: 16, 64");
}

#[test]
fn a_text_without_end_is_refused() {
    let error = Board::parse("long.toml", &"#".repeat(300 << 10)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Syntax);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_line_says_nothing_panics(
        at in 0usize..92,
        value in prop_oneof![
            Just("\"17179869183G\""), Just("9223372036854775807"), Just("-1"), Just("\"\""), Just("[]"), Just("0"),
            Just("\"1\""), Just("{}"), Just("true"), Just("1979-05-27"), Just("[{}]"),
        ],
    ) {
        let good = testdata("good.toml");
        let changed: Vec<String> = good
            .lines()
            .enumerate()
            .map(|(number, line)| match line.split_once(" = ") {
                Some((key, _)) if number == at => format!("{key} = {value}"),
                _ => line.to_owned(),
            })
            .collect();
        if let Err(error) = Board::parse("changed.toml", &changed.join("\n")) {
            prop_assert!(error.line().is_some_and(|line| line <= 93), "{}", error);
        }
        let deleted: Vec<&str> =
            good.lines().enumerate().filter(|(number, _)| *number != at).map(|(_, line)| line).collect();
        let _ = Board::parse("deleted.toml", &deleted.join("\n"));
    }
}
