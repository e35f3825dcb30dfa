//! Who holds how much memory, as the kernel counts it.

use std::fs;

use serde_json::{Value, json};

use crate::failure::Failure;

/// Every process with its numbers in KiB; kernel threads have none and are left out.
///
/// `pss` splits shared pages among those who share them; `pss_shmem` is its part of memory files, where rings lie.
pub(crate) fn processes() -> Result<Value, Failure> {
    let mut list = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()) else {
            continue;
        };
        // One that ends meanwhile is none.
        let Ok(command) = fs::read(path.join("cmdline")) else { continue };
        let Ok(sums) = fs::read_to_string(path.join("smaps_rollup")) else { continue };
        let Ok(status) = fs::read_to_string(path.join("status")) else { continue };
        if command.is_empty() {
            continue;
        }
        let words: Vec<_> =
            command.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        list.push(json!({
            "pid": pid,
            "command": words.join(" ").trim_end(),
            "uid": field(&status, "Uid:"),
            "state": text(&status, "State:"),
            "rss": field(&sums, "Rss:"),
            "pss": field(&sums, "Pss:"),
            "pss_anon": field(&sums, "Pss_Anon:"),
            "pss_file": field(&sums, "Pss_File:"),
            "pss_shmem": field(&sums, "Pss_Shmem:"),
        }));
    }
    Ok(Value::from(list))
}

fn text<'a>(table: &'a str, name: &str) -> Option<&'a str> {
    table.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn field(table: &str, name: &str) -> Option<u64> {
    text(table, name)?.split_whitespace().next()?.parse().ok()
}
