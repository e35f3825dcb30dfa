//! The boards that are compiled in.
//!
//! The registry at the top of the crate: nothing imports it.

use crate::description::Board;
use crate::error::{BoardError, ErrorKind};

/// Name and text of each file under boards/; variants are in the text.
const BOARDS: [(&str, &str); 11] = [
    ("dhb-ax", include_str!("../boards/dhb-ax.toml")),
    ("hi3520dv200", include_str!("../boards/hi3520dv200.toml")),
    ("hi3521a", include_str!("../boards/hi3521a.toml")),
    ("hi3531d", include_str!("../boards/hi3531d.toml")),
    ("hi3536c", include_str!("../boards/hi3536c.toml")),
    ("hi3536d", include_str!("../boards/hi3536d.toml")),
    ("n6708g5", include_str!("../boards/n6708g5.toml")),
    ("pc", include_str!("../boards/pc.toml")),
    ("phidi-hi3520dv300", include_str!("../boards/phidi-hi3520dv300.toml")),
    ("virt-a7", include_str!("../boards/virt-a7.toml")),
    ("virt-mpp", include_str!("../boards/virt-mpp.toml")),
];

impl Board {
    /// The names that [`Board::builtin`] takes, beside those of variants.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BOARDS.iter().map(|(name, _)| *name)
    }

    /// A board that is compiled in: `virt-a7` in its default variant, `virt-a7-64` in another.
    ///
    /// # Errors
    /// `NotFound` for an unknown name, with the known ones in the message.
    pub fn builtin(name: &str) -> Result<Self, BoardError> {
        let exact = BOARDS.iter().find(|(board, _)| *board == name).map(|found| (found, None));
        let variant = || {
            BOARDS
                .iter()
                .find_map(|found| Some((found, Some(name.strip_prefix(found.0)?.strip_prefix('-')?))))
        };
        match exact.or_else(variant) {
            Some(((board, text), None)) => Self::parse(&file(board), text),
            Some(((board, text), Some(variant))) => Self::parse_variant(&file(board), text, variant),
            None => {
                let known: Vec<&str> = Self::builtin_names().collect();
                let message = format!(
                    "no board {name}; known boards: {}. Another board is described in a file of its own",
                    known.join(", ")
                );
                Err(BoardError { kind: ErrorKind::NotFound, file: String::new(), line: None, message })
            }
        }
    }
}

fn file(board: &str) -> String {
    format!("{board}.toml")
}
