//! Reading a description: TOML to model, with the line of whatever is wrong.
//!
//! Does not belong here: the rules (`check.rs`), and reading files.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::address::Address;
use crate::check::check;
use crate::description::Board;
use crate::error::{BoardError, ErrorKind};
use crate::fault::Step;
use crate::flash::Flash;

/// The longest description read: the largest we ship is 4 KiB.
const MAX_BYTES: usize = 256 << 10;

impl Board {
    /// Reads a description, in its default variant where it has variants. `file` is its name in messages.
    ///
    /// # Errors
    /// `Syntax` for what is no description, `Invalid` for values that do not fit together.
    pub fn parse(file: &str, text: &str) -> Result<Self, BoardError> {
        parse(file, text, None)
    }

    /// Reads a description in the variant of that name.
    ///
    /// # Errors
    /// As [`Board::parse`], and `NotFound` where there is no such variant.
    pub fn parse_variant(file: &str, text: &str, variant: &str) -> Result<Self, BoardError> {
        parse(file, text, Some(variant))
    }
}

fn parse(file: &str, text: &str, variant: Option<&str>) -> Result<Board, BoardError> {
    let error = |kind, line, message| BoardError { kind, file: file.to_owned(), line, message };
    if text.len() > MAX_BYTES {
        let message = format!("{} bytes are too long for a description; at most {MAX_BYTES}", text.len());
        return Err(error(ErrorKind::Syntax, None, message));
    }
    let syntax = |e: &toml::de::Error| {
        let line = e.span().map(|span| line_of(text, &span));
        error(ErrorKind::Syntax, line, one_line(e.message()))
    };
    let mut board: Board = toml::from_str(text).map_err(|e| syntax(&e))?;
    let variants_flash = board.variants.iter_mut().flat_map(|v| &mut v.flash);
    board.flash.iter_mut().chain(variants_flash).for_each(place_partitions);
    check(&board).map_err(|fault| {
        let line = locate(text, &fault.place).map(|span| line_of(text, &span));
        error(ErrorKind::Invalid, line, fault.message)
    })?;
    choose_variant(&mut board, variant).map_err(|message| error(ErrorKind::NotFound, None, message))?;
    Ok(board)
}

/// Partitions without an offset follow the one before.
fn place_partitions(flash: &mut Flash) {
    let mut next = 0u64;
    for partition in &mut flash.partitions {
        let start = partition.start.get_or_insert(Address(next)).0;
        next = start.saturating_add(partition.size.bytes());
    }
}

fn choose_variant(board: &mut Board, wanted: Option<&str>) -> Result<(), String> {
    let variants = std::mem::take(&mut board.variants);
    let names: Vec<String> = variants.iter().map(|v| v.name.clone()).collect();
    let chosen = match wanted {
        None => variants.into_iter().next(),
        Some(wanted) => Some(variants.into_iter().find(|v| v.name == wanted).ok_or_else(|| {
            format!("board {} has no variant {wanted}; its variants: {}", board.name, names.join(", "))
        })?),
    };
    if let Some(variant) = chosen {
        board.name = format!("{}-{}", board.name, variant.name);
        board.title = format!("{} ({})", board.title, variant.title);
        board.flash.extend(variant.flash);
    }
    Ok(())
}

/// Where the value at `place` stands; where its nearest parent stands when it is left out.
fn locate(text: &str, place: &[Step]) -> Option<Range<usize>> {
    let document = DeTable::parse(text).ok()?;
    let mut span = None;
    let mut value: Option<&DeValue<'_>> = None;
    for step in place {
        let next = match (step, value) {
            (Step::Key(key), None) => document.get_ref().get(*key),
            (Step::Key(key), Some(DeValue::Table(table))) => table.get(*key),
            (Step::Item(item), Some(DeValue::Array(array))) => array.get(*item),
            _ => None,
        };
        let Some(next) = next else { break };
        span = Some(next.span());
        value = Some(next.get_ref());
    }
    span
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    1 + text.bytes().take(span.start).filter(|&b| b == b'\n').count()
}

/// toml's messages have a line for each thing that was expected.
fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
