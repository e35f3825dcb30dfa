//! The kernel's command line: Linux's RAM, console, flash partitions.
//!
//! `mtdparts=` is read as Linux's `drivers/mtd/cmdlinepart.c` describes it. Does not belong here: whether partitions fit.

use serde::Serialize;

/// Arguments whose values say who the device is, or a secret: a report is shown to others.
const PRIVATE: [&str; 6] = ["mac", "ethaddr", "passw", "serial", "key", "sn"];

/// What the boot loader told the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CommandLine {
    /// The text, without the values that name the device.
    pub text: String,
    /// Linux's part of RAM: `mem=`, in bytes. The first one counts.
    pub mem_bytes: Option<u64>,
    /// The console's device and its bits a second, where given: `console=`. The last one is /dev/console.
    pub console: Option<(String, Option<u32>)>,
    /// The flash chips of `mtdparts=`.
    pub flash: Vec<FlashParts>,
}

/// A flash chip of `mtdparts=`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlashParts {
    /// The driver's name for it: `hi_sfc`.
    pub mtd: String,
    /// Its partitions in their order.
    pub partitions: Vec<PartSpec>,
}

/// A partition of `mtdparts=`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartSpec {
    /// Its name; empty where none is given.
    pub name: String,
    /// Its size.
    pub size: PartSize,
    /// Where it begins, when it does not follow the one before.
    pub offset: Option<u64>,
}

/// How long a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartSize {
    /// So many bytes.
    Bytes(u64),
    /// What is left of the chip: `-`.
    Rest,
}

impl CommandLine {
    /// Reads `/proc/cmdline`, or the boot loader's `bootargs`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let arguments: Vec<(&str, Option<&str>)> = text
            .split_whitespace()
            .map(|argument| match argument.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (argument, None),
            })
            .collect();
        let values = |wanted: &'static str| {
            arguments.iter().filter(move |(name, _)| *name == wanted).filter_map(|(_, value)| *value)
        };
        let shown: Vec<String> = arguments.iter().map(|(name, value)| show(name, *value)).collect();
        Self {
            text: shown.join(" "),
            mem_bytes: values("mem").next().and_then(|mem| mem_parse(mem.split('@').next()?)),
            console: values("console").next_back().map(|console| {
                let mut parts = console.split(',');
                let device = parts.next().unwrap_or_default().to_owned();
                // `115200n8`: parity and bits follow the rate.
                let digits = |rate: &str| {
                    let end = rate.find(|c: char| !c.is_ascii_digit()).unwrap_or(rate.len());
                    rate[..end].parse().ok()
                };
                (device, parts.next().and_then(digits))
            }),
            flash: values("mtdparts").next().map(mtdparts).unwrap_or_default(),
        }
    }
}

fn show(name: &str, value: Option<&str>) -> String {
    let lower = name.to_ascii_lowercase();
    match value {
        Some(_) if PRIVATE.iter().any(|private| lower.contains(private)) => format!("{name}=(left out)"),
        Some(value) => format!("{name}={value}"),
        None => name.to_owned(),
    }
}

/// As Linux's `memparse`: decimal or `0x`, with K, M or G behind it.
fn mem_parse(text: &str) -> Option<u64> {
    let (digits, unit) = match text.char_indices().next_back()? {
        (at, 'K' | 'k') => (&text[..at], 1 << 10),
        (at, 'M' | 'm') => (&text[..at], 1 << 20),
        (at, 'G' | 'g') => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let number = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    number.checked_mul(unit).filter(|bytes| *bytes > 0)
}

fn mtdparts(text: &str) -> Vec<FlashParts> {
    text.split(';')
        .filter_map(|chip| {
            let (mtd, list) = chip.split_once(':')?;
            let partitions = split_outside_names(list).into_iter().filter_map(part).collect();
            Some(FlashParts { mtd: mtd.to_owned(), partitions })
        })
        .collect()
}

/// At the commas that are in no name.
fn split_outside_names(list: &str) -> Vec<&str> {
    let (mut parts, mut start, mut in_name) = (Vec::new(), 0, false);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'(' => in_name = true,
            b')' => in_name = false,
            b',' if !in_name => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

/// `SIZE[@OFFSET][(NAME)][ro][lk]`
fn part(text: &str) -> Option<PartSpec> {
    let (place, name) = match text.split_once('(') {
        Some((place, rest)) => (place, rest.split_once(')')?.0),
        None => (text.trim_end_matches("lk").trim_end_matches("ro"), ""),
    };
    let (size, offset) = match place.split_once('@') {
        Some((size, offset)) => (size, Some(mem_parse_or_zero(offset)?)),
        None => (place, None),
    };
    let size = if size == "-" { PartSize::Rest } else { PartSize::Bytes(mem_parse(size)?) };
    Some(PartSpec { name: name.to_owned(), size, offset })
}

/// An offset may be 0.
fn mem_parse_or_zero(text: &str) -> Option<u64> {
    if text == "0" || text == "0x0" { Some(0) } else { mem_parse(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_chips_are_read() {
        let line = CommandLine::parse(
            "mem=224M console=ttyAMA0,115200n8 root=/dev/mtdblock2 \
             mtdparts=hi_sfc:2M(boot)ro;hinand:8M(kernel),0x1000000@0x800000(root,fs),-(user) quiet\n",
        );
        assert_eq!(line.mem_bytes, Some(224 << 20));
        assert_eq!(line.console, Some(("ttyAMA0".to_owned(), Some(115_200))));
        let part = |name: &str, size, offset| PartSpec { name: name.to_owned(), size, offset };
        assert_eq!(line.flash[0].partitions, [part("boot", PartSize::Bytes(2 << 20), None)]);
        assert_eq!(
            line.flash[1].partitions,
            [
                part("kernel", PartSize::Bytes(8 << 20), None),
                part("root,fs", PartSize::Bytes(16 << 20), Some(8 << 20)),
                part("user", PartSize::Rest, None),
            ]
        );
    }

    #[test]
    fn what_names_the_device_is_left_out() {
        let line = CommandLine::parse("ethaddr=00:11:22:33:44:55 HWSN=12 mem=0x4000000 quiet console=tty0");
        assert_eq!(line.text, "ethaddr=(left out) HWSN=(left out) mem=0x4000000 quiet console=tty0");
        assert_eq!(line.mem_bytes, Some(64 << 20));
        assert_eq!(line.console, Some(("tty0".to_owned(), None)));
    }

    #[test]
    fn what_is_no_partition_is_passed_over() {
        for text in
            ["mtdparts=", "mtdparts=x", "mtdparts=x:y(z)", "mtdparts=x:1M(z", "mtdparts=x:1M@(z)", "mem=0"]
        {
            let line = CommandLine::parse(text);
            assert!(line.flash.iter().all(|chip| chip.partitions.is_empty()), "{text}");
            assert_eq!(line.mem_bytes, None);
        }
    }
}
