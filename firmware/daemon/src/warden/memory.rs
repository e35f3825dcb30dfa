//! A process's own memory, without the rings that all processes share.

use std::fs;

/// Resident bytes of `pid` that are its own or a file's; shared memory is the rings', counted once elsewhere.
/// 0 when the process is gone.
pub(super) fn resident_bytes(pid: u32) -> u64 {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return 0 };
    // proc(5): RssAnon and RssFile in kB (Linux 4.5); older kernels have VmRSS alone, rings included.
    let split: u64 = ["RssAnon:", "RssFile:"].iter().filter_map(|key| kilobytes(&status, key)).sum();
    1024 * if split > 0 { split } else { kilobytes(&status, "VmRSS:").unwrap_or(0) }
}

fn kilobytes(status: &str, key: &str) -> Option<u64> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_process_and_not_a_missing_one() {
        assert!(resident_bytes(std::process::id()) > 100_000);
        assert_eq!(resident_bytes(u32::MAX), 0);
    }
}
