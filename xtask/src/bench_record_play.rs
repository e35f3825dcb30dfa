//! How long a browser waits for footage, for `cargo xtask bench record`.
//!
//! Somebody becomes the recorder's owner as they would, by its set-up code, and asks its web server for the beginning of a
//! recording's MP4 over HTTPS, all on one connection, while the recorder records. curl asks and takes the times.
//!
//! Does not belong here: the first byte out of the store alone (`bench_store_case.rs`).

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use hal::{Clock, SystemClock, WallTime};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::bench_record_recorder::Running;
use crate::spread::Spread;
use crate::workspace::Failure;

/// Each is asked once before, so that its answer is warm.
const PLAYBACKS: u16 = 20;
/// What a player asks for first.
const RANGE: &str = "0-65535";
/// How much footage each is of, and how long before now it ends.
const LENGTH: Duration = Duration::from_secs(30);
const AGE: Duration = Duration::from_secs(10);
const CREATED: &str = "201";
const PARTIAL: &str = "206";

/// Milliseconds from the request.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Playback {
    /// To the answer's first byte.
    pub(crate) first_byte_ms: Spread,
    /// To the last of 64 KiB of the file: its header, and the first picture or a part of it.
    pub(crate) first_64_kib_ms: Spread,
}

/// Plays from up to `channels` channels of `recorder`; `None` where curl is not on PATH.
pub(crate) fn measure(
    recorder: &mut Running,
    dir: &Path,
    channels: u16,
) -> Result<Option<Playback>, Failure> {
    match Command::new("curl").arg("--version").stdin(Stdio::null()).output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            println!("curl is not on PATH: the first byte of playback is left out");
            return Ok(None);
        }
        other => other?,
    };
    let origin = format!("https://127.0.0.1:{}", recorder.ports[0]);
    let cookies = dir.join("cookies");
    let claim =
        json!({ "setup_code": recorder.set_up_code()?, "user": "ann", "password": "a ladder, a barn" });
    let certificate = recorder.data.join("identity/certificate.pem");
    let asked = curl(&certificate)
        .arg("--cookie-jar")
        .arg(&cookies)
        .args(["--header", "content-type: application/json", "--header", &format!("origin: {origin}")])
        .args(["--data", &claim.to_string(), "--output", "/dev/null", "--write-out", "%{http_code}"])
        .arg(format!("{origin}/api/v1/claim"))
        .output()?;
    let code = String::from_utf8_lossy(&asked.stdout);
    if code != CREATED {
        let said = String::from_utf8_lossy(&asked.stderr);
        return Err(format!("the recorder takes no owner: {code} {said}").into());
    }

    let end = SystemClock::new().wall().offset_micros(-(AGE.as_micros() as i64));
    let start = end.offset_micros(-(LENGTH.as_micros() as i64));
    let (start, end) = (timestamp(start)?, timestamp(end)?);
    let one_of_each: String = (0..PLAYBACKS)
        .map(|number| {
            let channel = number % channels + 1;
            format!(
                "url = \"{origin}/api/v1/channels/{channel}/recording.mp4?start={start:.3}&end={end:.3}\"\n\
                 output = \"/dev/null\"\n"
            )
        })
        .collect();
    let questions = dir.join("questions");
    fs::write(&questions, one_of_each.repeat(2))?;
    let played = curl(&certificate)
        .arg("--cookie")
        .arg(&cookies)
        .args([
            "--range",
            RANGE,
            "--write-out",
            "%{http_code} %{time_pretransfer} %{time_starttransfer} %{time_total}\\n",
        ])
        .arg("--config")
        .arg(&questions)
        .output()?;
    let text = String::from_utf8(played.stdout)?;
    let answers: Vec<(f64, f64)> = text.lines().map(answer).collect::<Result<_, _>>()?;
    if answers.len() != 2 * usize::from(PLAYBACKS) {
        let said = String::from_utf8_lossy(&played.stderr);
        return Err(format!("{} answers: {said}", answers.len()).into());
    }
    let warm = &answers[usize::from(PLAYBACKS)..];
    let of = |figure: fn(&(f64, f64)) -> f64| Spread::of(warm.iter().map(figure)).ok_or("nothing was played");
    Ok(Some(Playback { first_byte_ms: of(|answer| answer.0)?, first_64_kib_ms: of(|answer| answer.1)? }))
}

fn curl(certificate: &Path) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--cacert"]).arg(certificate).stdin(Stdio::null());
    curl
}

/// Milliseconds to the first byte and to the last.
fn answer(line: &str) -> Result<(f64, f64), Failure> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [PARTIAL, asked, first, last] = words[..] else {
        return Err(format!("the recording is not played: {line}").into());
    };
    let (asked, first, last): (f64, f64, f64) = (asked.parse()?, first.parse()?, last.parse()?);
    Ok(((first - asked) * 1e3, (last - asked) * 1e3))
}

fn timestamp(time: WallTime) -> Result<Timestamp, Failure> {
    Ok(Timestamp::from_microsecond(time.as_unix_micros())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_no_playback() {
        let (first, last) = answer("206 0.001000 0.002500 0.004000").unwrap();
        assert!((first - 1.5).abs() < 1e-9 && (last - 3.0).abs() < 1e-9, "{first} {last}");
        assert!(answer("401 0.001000 0.002500 0.004000").is_err());
        assert!(answer("").is_err());
    }
}
