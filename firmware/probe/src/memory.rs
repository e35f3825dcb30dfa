//! Memory: what Linux has, and the media zones (MMZ) beside it.
//!
//! `/proc/media-mem` is the vendor's: a line `+---ZONE: PHYS(first, last), GFP=0, nBYTES=..KB, NAME=".."` for each zone,
//! seen in logs of Hi3531, Hi3536 and camera chips. Does not belong here: which banks the RAM has (`draft_parts.rs` infers them).

use crate::facts::{Region, Zone};

/// `MemTotal` in KiB.
pub(crate) fn total_kib(meminfo: &str) -> Option<u64> {
    let rest = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    rest.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The lines `System RAM`. Who may not see addresses is shown zeros.
pub(crate) fn system_ram(iomem: &str) -> Vec<Region> {
    iomem
        .lines()
        .filter_map(|line| {
            let (range, name) = line.split_once(" : ")?;
            let (first, last) = range.trim().split_once('-')?;
            let first = u64::from_str_radix(first, 16).ok()?;
            let last = u64::from_str_radix(last, 16).ok()?;
            let size_bytes = last.checked_sub(first)?.checked_add(1)?;
            (name.trim() == "System RAM" && last > 0).then_some(Region { base: first, size_bytes })
        })
        .collect()
}

/// The zones.
pub(crate) fn zones(media_mem: &str) -> Vec<Zone> {
    media_mem
        .lines()
        .filter_map(|line| {
            let (_, zone) = line.split_once("ZONE:")?;
            let (_, range) = zone.split_once("PHYS(")?;
            let (first, last) = range.split_once(')')?.0.split_once(',')?;
            let (base, last) = (hex(first)?, hex(last)?);
            let name = zone.split_once("NAME=\"")?.1.split_once('"')?.0.to_owned();
            Some(Zone { name, base, size_bytes: last.checked_sub(base)?.checked_add(1)? })
        })
        .collect()
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read_between_their_blocks() {
        let text = "+---ZONE: PHYS(0x8E000000, 0x9F9FFFFF), GFP=0, nBYTES=288768KB,    NAME=\"anonymous\"\n   \
                    |-MMB: phys(0x8E000000, 0x8E000FFF), kvirt=0x00000000, flags=0x00000000, length=4KB, name=\"x\"\n\n\
                    +---ZONE: PHYS(0xC0000000, 0xDF7FFFFF), GFP=0, nBYTES=516096KB,    NAME=\"ddr1\"\n\
                    ---MMZ_USE_INFO:\n total size=809984KB(791MB),used=0KB(0MB + 0KB)\n";
        let zones = zones(text);
        assert_eq!(zones.len(), 2);
        assert_eq!(zones[0], Zone { name: "anonymous".into(), base: 0x8E00_0000, size_bytes: 282 << 20 });
        assert_eq!(zones[1].size_bytes, 504 << 20);
    }

    #[test]
    fn hidden_addresses_are_no_memory() {
        assert_eq!(system_ram("00000000-00000000 : System RAM\n"), []);
        let ram = system_ram("80000000-852fffff : System RAM\n  80008000-80573fff : Kernel code\n");
        assert_eq!(ram, [Region { base: 0x8000_0000, size_bytes: 83 << 20 }]);
        assert_eq!(total_kib("MemTotal:          76828 kB\nMemFree: 1 kB\n"), Some(76_828));
    }
}
