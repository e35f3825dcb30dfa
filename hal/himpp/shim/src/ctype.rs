//! uClibc's tables of what a character is, which `isalpha()` looks into.
//!
//! uClibc exports the tables' addresses as variables. glibc's and musl's `__ctype_b_loc` is no replacement: the bits
//! are others (uClibc 0.9.32 `ctype.h`), and letters' other cases have 16 bits here and 32 there. The tables are
//! those of the locale "C", the one that these libraries run in.

/// Numbers go from -128, a negative `char`, to 255; -1 is also the end of a file.
const LOWEST: i32 = -128;
const ENTRIES: usize = 384;

const UPPER: u16 = 1 << 0;
const LOWER: u16 = 1 << 1;
const ALPHA: u16 = 1 << 2;
const DIGIT: u16 = 1 << 3;
const HEX_DIGIT: u16 = 1 << 4;
const SPACE: u16 = 1 << 5;
const PRINT: u16 = 1 << 6;
const GRAPH: u16 = 1 << 7;
const BLANK: u16 = 1 << 8;
const CONTROL: u16 = 1 << 9;
const PUNCTUATION: u16 = 1 << 10;
const ALPHANUMERIC: u16 = 1 << 11;

static CLASSES: [u16; ENTRIES] = {
    let mut table = [0; ENTRIES];
    let mut at = 0;
    while at < 128 {
        table[at + LOWEST.unsigned_abs() as usize] = class(at as u8);
        at += 1;
    }
    table
};
static TO_LOWER: [i16; ENTRIES] = cases(false);
static TO_UPPER: [i16; ENTRIES] = cases(true);

const fn class(character: u8) -> u16 {
    const fn is(holds: bool, bits: u16) -> u16 {
        if holds { bits } else { 0 }
    }
    is(character.is_ascii_uppercase(), UPPER)
        | is(character.is_ascii_lowercase(), LOWER)
        | is(character.is_ascii_alphabetic(), ALPHA | ALPHANUMERIC)
        | is(character.is_ascii_digit(), DIGIT | ALPHANUMERIC)
        | is(character.is_ascii_hexdigit(), HEX_DIGIT)
        // C's white space has the vertical tab, Rust's has not.
        | is(character.is_ascii_whitespace() || character == 0x0B, SPACE)
        | is(character.is_ascii_graphic() || character == b' ', PRINT)
        | is(character.is_ascii_graphic(), GRAPH)
        | is(character == b' ' || character == b'\t', BLANK)
        | is(character.is_ascii_control(), CONTROL)
        | is(character.is_ascii_punctuation(), PUNCTUATION)
}

const fn cases(upper: bool) -> [i16; ENTRIES] {
    let mut table = [0; ENTRIES];
    let mut at = 0;
    while at < ENTRIES {
        let number = at as i32 + LOWEST;
        table[at] = match number {
            0..=127 if upper => (number as u8).to_ascii_uppercase() as i16,
            0..=127 => (number as u8).to_ascii_lowercase() as i16,
            _ => number as i16,
        };
        at += 1;
    }
    table
}

#[cfg(target_arch = "arm")]
mod exported {
    //! The variables: each is the address of a table's entry for 0.
    #![allow(unsafe_code, reason = "variables of the C library's, by their names")]

    use super::{CLASSES, ENTRIES, LOWEST, TO_LOWER, TO_UPPER};

    /// An address that nobody changes.
    #[repr(transparent)]
    struct Table<T>(*const T);

    // SAFETY: it points into a table that never changes.
    unsafe impl<T> Sync for Table<T> {}

    impl<T> Table<T> {
        const fn of(entries: &'static [T; ENTRIES]) -> Self {
            Self(entries.as_ptr().wrapping_add(LOWEST.unsigned_abs() as usize))
        }
    }

    #[unsafe(export_name = "__ctype_b")]
    static CTYPE_B: Table<u16> = Table::of(&CLASSES);
    #[unsafe(export_name = "__ctype_tolower")]
    static CTYPE_TOLOWER: Table<i16> = Table::of(&TO_LOWER);
    #[unsafe(export_name = "__ctype_toupper")]
    static CTYPE_TOUPPER: Table<i16> = Table::of(&TO_UPPER);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: i32) -> usize {
        (number - LOWEST) as usize
    }

    #[test]
    fn characters_are_what_c_says_they_are() {
        let class = |character: char| CLASSES[at(character as i32)];
        assert_eq!(class('G'), UPPER | ALPHA | ALPHANUMERIC | PRINT | GRAPH);
        assert_eq!(class('f'), LOWER | ALPHA | ALPHANUMERIC | HEX_DIGIT | PRINT | GRAPH);
        assert_eq!(class('7'), DIGIT | ALPHANUMERIC | HEX_DIGIT | PRINT | GRAPH);
        assert_eq!(class('_'), PUNCTUATION | PRINT | GRAPH);
        assert_eq!(class(' '), SPACE | BLANK | PRINT);
        assert_eq!(class('\t'), SPACE | BLANK | CONTROL);
        assert_eq!(class('\u{b}'), SPACE | CONTROL);
        assert_eq!(class('\u{7f}'), CONTROL);
    }

    #[test]
    fn the_end_of_a_file_and_foreign_characters_are_nothing() {
        for number in (-128..0).chain(128..256) {
            assert_eq!(CLASSES[at(number)], 0, "{number}");
            assert_eq!((i32::from(TO_LOWER[at(number)]), i32::from(TO_UPPER[at(number)])), (number, number));
        }
    }

    #[test]
    fn letters_have_two_cases_and_others_one() {
        let cases = |character: char| {
            let at = at(character as i32);
            [TO_LOWER[at], TO_UPPER[at]].map(|number| char::from(number as u8))
        };
        assert_eq!(cases('A'), ['a', 'A']);
        assert_eq!(cases('z'), ['z', 'Z']);
        assert_eq!(cases('@'), ['@', '@']);
        assert_eq!(cases('['), ['[', '[']);
    }
}
