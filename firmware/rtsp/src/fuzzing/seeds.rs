//! The corpus from which fuzzing begins, through the targets that it is for.
//!
//! Does not belong here: finding new inputs (`cargo xtask fuzz`).

use std::fs;
use std::path::Path;

/// A target's corpus.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name);
    let seeds: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    assert!(seeds.len() >= 10, "{} in {}", seeds.len(), folder.display());
    seeds
}

/// Runs `target` over its corpus, and over each input of it cut short.
fn sow(name: &str, target: fn(&[u8])) {
    for seed in seeds(name) {
        target(&seed);
        for length in (0..seed.len()).step_by(seed.len() / 16 + 1) {
            target(&seed[..length]);
        }
    }
}

#[test]
fn requests() {
    sow("request", super::request);
}

#[test]
fn streams_of_frames() {
    sow("framing", super::framing);
}

#[test]
fn conversations() {
    sow("session", super::session);
}

#[test]
fn tunnels() {
    sow("tunnel", super::tunnel);
}

/// A corpus whose every conversation ended at its beginning would find nothing behind it.
#[test]
fn conversations_get_everywhere() {
    let all: Vec<String> = seeds("session").iter().flat_map(|seed| super::conversation::hold(seed)).collect();
    let words = [
        "Describe",
        "Setup",
        "Play",
        "Replay",
        "Pause",
        "End",
        "Close",
        "PlayNotify",
        "V2_0 Ok",
        "NotFound",
        "track: Metadata, delivery: Interleaved",
        "delivery: Multicast",
        "key: Some(MasterKey)",
        "Sent Video, sealed: true",
        "Sent Audio, sealed: true",
        "Sent Metadata, sealed: true",
        "Ended Video, sealed: true",
        "Sent Metadata, sealed: false",
    ];
    for word in words {
        assert!(all.iter().any(|seen| seen.contains(word)), "no {word}");
    }
}
