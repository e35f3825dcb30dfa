//! HiSilicon's recorder chips: where they say who they are, and what they say.
//!
//! Source: OpenIPC/ipctool (`src/chipid.c`, `src/hal/hisi/hal_hisi.c`), public register manuals; none checked on hardware by
//! us. Does not belong here: reading registers (`gather.rs`).

use board::SocModel;

/// The chip's identity, from the system controller's first register on: 4 words.
pub(crate) const CHIP_ID_OFFSET: u64 = 0xEE0;

/// UART0's registers, as `/proc/iomem` names them, and the system controller's on the same chips. What the first says
/// decides whether the second is safe to look at.
const CONTROLLERS: [(u64, u64); 2] = [(0x2008_0000, 0x2005_0000), (0x1208_0000, 0x1205_0000)];

/// Names, the longer before those that they begin with, and the media platform's family where it has another name than
/// the chip.
const NAMES: [(&str, SocModel); 14] = [
    ("hi3520dv200", SocModel::Hi3520dv200),
    ("hi3520dv300", SocModel::Hi3520dv300),
    ("hi3520dv400", SocModel::Hi3520dv400),
    ("hi3521dv100", SocModel::Hi3521dv100),
    ("hi3521d", SocModel::Hi3521dv100),
    ("hi3521a", SocModel::Hi3521a),
    ("hi3531dv100", SocModel::Hi3531dv100),
    ("hi3531d", SocModel::Hi3531dv100),
    ("hi3531a", SocModel::Hi3531a),
    ("hi3531", SocModel::Hi3531),
    ("hi3536cv100", SocModel::Hi3536cv100),
    ("hi3536c", SocModel::Hi3536cv100),
    ("hi3536dv100", SocModel::Hi3536dv100),
    ("hi3536d", SocModel::Hi3536dv100),
];

/// Later ones, which no description can name: `hi3531dv200` must not be read as a Hi3531D V100.
const NOT_DESCRIBED: [&str; 2] = ["hi3531dv200", "hi3521dv200"];

/// The system controller, when `/proc/iomem` has a UART where chips with such a controller have theirs.
pub(crate) fn system_controller(iomem: &str) -> Option<u64> {
    let uart = |line: &str| {
        let (range, name) = line.split_once(" : ")?;
        let first = u64::from_str_radix(range.trim().split_once('-')?.0, 16).ok()?;
        name.contains("uart").then_some(first)
    };
    // The kernel names a device tree's node inside the driver's line, and the other way round: any of them will do.
    let uarts: Vec<u64> = iomem.lines().filter_map(uart).collect();
    CONTROLLERS.iter().find(|(uart0, _)| uarts.contains(uart0)).map(|(_, controller)| *controller)
}

/// The chip that a text names: `Hisilicon Hi3536DV100 (Flattened Device Tree)`.
pub(crate) fn by_name(text: &str) -> Option<SocModel> {
    let lower = text.to_ascii_lowercase();
    if NOT_DESCRIBED.iter().any(|name| lower.contains(name)) {
        return None;
    }
    NAMES.iter().find(|(name, _)| lower.contains(name)).map(|(_, model)| *model)
}

/// What the identity registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChipId {
    /// The family's number.
    pub(crate) family: u32,
    /// The chip, where the number names one.
    pub(crate) model: Option<SocModel>,
    /// What else it may be.
    pub(crate) ambiguous: bool,
}

impl ChipId {
    /// Old chips hold a byte of the number in each of four words, newer ones all of it in the first.
    pub(crate) fn from_words(words: [u32; 4]) -> Self {
        let family = if (words[0] >> 16) & 0xFF != 0 {
            words[0]
        } else {
            words.iter().enumerate().fold(0, |id, (place, word)| id | (word & 0xFF) << (8 * place))
        };
        let (model, ambiguous) = match family {
            0x3520_D100 => (Some(SocModel::Hi3520dv200), false),
            0x3536_C100 => (Some(SocModel::Hi3536cv100), false),
            0x3536_D100 => (Some(SocModel::Hi3536dv100), false),
            // Hi3521 V100, of the first generation, and Hi3521A both say so.
            0x3521_0100 => (Some(SocModel::Hi3521a), true),
            0xBDA9_D100 => match words[0] >> 24 {
                0 | 1 => (Some(SocModel::Hi3521dv100), false),
                2 => (Some(SocModel::Hi3536cv100), false),
                3 => (Some(SocModel::Hi3520dv400), false),
                _ => (None, false),
            },
            _ => (None, false),
        };
        Self { family, model, ambiguous }
    }
}

/// The name in a description.
pub(crate) fn name(model: SocModel) -> &'static str {
    match model {
        SocModel::Generic => "generic",
        SocModel::QemuVirt => "qemu-virt",
        SocModel::Hi3520dv200 => "hi3520dv200",
        SocModel::Hi3520dv300 => "hi3520dv300",
        SocModel::Hi3520dv400 => "hi3520dv400",
        SocModel::Hi3521a => "hi3521a",
        SocModel::Hi3521dv100 => "hi3521dv100",
        SocModel::Hi3531 => "hi3531",
        SocModel::Hi3531a => "hi3531a",
        SocModel::Hi3531dv100 => "hi3531dv100",
        SocModel::Hi3536cv100 => "hi3536cv100",
        SocModel::Hi3536dv100 => "hi3536dv100",
    }
}

/// Whether it has video inputs and encoders; without them a recorder takes network cameras only.
pub(crate) fn captures(model: SocModel) -> bool {
    !matches!(model, SocModel::Generic | SocModel::QemuVirt | SocModel::Hi3536cv100 | SocModel::Hi3536dv100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_identity_are_read() {
        let model = |words| ChipId::from_words(words).model;
        assert_eq!(model([0x3536_D100, 0, 0, 0]), Some(SocModel::Hi3536dv100));
        assert_eq!(model([0x00, 0xD1, 0x20, 0x35]), Some(SocModel::Hi3520dv200));
        assert_eq!(model([0x0100_0000, 0xD1, 0xA9, 0xBD]), Some(SocModel::Hi3521dv100));
        assert_eq!(model([0x0200_0000, 0xD1, 0xA9, 0xBD]), Some(SocModel::Hi3536cv100));
        assert_eq!(model([0x0300_0000, 0xD1, 0xA9, 0xBD]), Some(SocModel::Hi3520dv400));
        assert_eq!(model([0x0400_0000, 0xD1, 0xA9, 0xBD]), None);
        assert_eq!(model([0; 4]), None);
        assert!(ChipId::from_words([0x3521_0100, 0, 0, 0]).ambiguous);
    }

    #[test]
    fn names_are_found_where_they_are_whole() {
        assert_eq!(by_name("Hisilicon Hi3536DV100 (Flattened Device Tree)"), Some(SocModel::Hi3536dv100));
        assert_eq!(by_name("hi3531_base"), Some(SocModel::Hi3531));
        assert_eq!(by_name("Hi3531D_MPP_V1.0.5.0"), Some(SocModel::Hi3531dv100));
        assert_eq!(by_name("hisilicon,hi3531dv200"), None);
        assert_eq!(by_name("godnet"), None);
    }

    #[test]
    fn only_a_uart_at_its_place_leads_to_registers() {
        assert_eq!(system_controller("20080000-20080fff : uart:0\n"), Some(0x2005_0000));
        let tree = "12080000-12080fff : /soc/amba/uart@12080000\n  12080000-12080fff : uart-pl011\n";
        assert_eq!(system_controller(tree), Some(0x1205_0000));
        assert_eq!(system_controller("12080000-12080fff : dma\n09000000-09000fff : uart\n"), None);
    }

    #[test]
    fn each_name_is_one_that_a_description_may_have() {
        for (_, model) in NAMES {
            let text = format!(
                "name = \"x\"\ntitle = \"x\"\ncapture = \"none\"\n[soc]\nmodel = \"{}\"\n",
                name(model)
            );
            assert_eq!(board::Board::parse("x", &text).unwrap().soc.model, model);
        }
    }
}
