//! An update of the emulated board through its API, and what became of it.
//!
//! Does not belong here: how a bundle is made (`board_bundle.rs`), cutting the power (`board_sweep.rs`).

use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::board::{BOOT_PATIENCE, Board};
use crate::client::Response;
use crate::owner::Owner;
use crate::wait::{Stopwatch, now};

/// Sending, verifying and writing a bundle on a busy emulated board.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(240);
/// Between two looks at a board that restarts.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// One look at a board that may be about to restart.
const LOOK_LIMIT: Duration = Duration::from_secs(20);
/// What a board does for itself when all goes wrong: three tries of a new version, each of three minutes at most.
pub const SETTLE_PATIENCE: Duration = Duration::from_secs(900);
/// `stage.code` of a board that has something to do still.
const UNDER_WAY: [&str; 5] = ["receiving", "verifying", "installing", "restarting", "checking"];

/// A board that has nothing left to do.
pub struct Settled {
    /// Its owner, signed in.
    pub owner: Owner,
    /// `GET /update`.
    pub update: Value,
    version: String,
    /// Since it was first looked at.
    pub after: Duration,
}

impl Settled {
    /// The version that runs, as the loader verified it.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How the last update went.
    #[must_use]
    pub fn outcome(&self) -> &str {
        self.update["last"]["outcome"].as_str().unwrap_or_default()
    }
}

/// Sends a bundle.
///
/// # Errors
/// When there is no answer.
pub(crate) fn try_send_bundle(owner: &Owner, bundle: &[u8]) -> Result<Response, String> {
    let mut patient = owner.clone();
    patient.client = owner.client.within(UPLOAD_PATIENCE);
    let headers = [("content-type", "application/octet-stream")];
    patient.try_ask_with(&Method::POST, "/update", &headers, Bytes::copy_from_slice(bundle))
}

/// Sends a bundle to a board that must answer.
///
/// # Panics
/// When there is no answer.
#[must_use]
#[track_caller]
pub fn send_bundle(owner: &Owner, bundle: &[u8]) -> Response {
    match try_send_bundle(owner, bundle) {
        Ok(answer) => answer,
        Err(error) => panic!("POST /update: {error}"),
    }
}

/// Waits until the board runs, takes its owner's password, and no update is under way.
///
/// # Errors
/// When that does not come within `limit`: what it last said.
pub fn settle(board: &Board, limit: Duration) -> Result<Settled, String> {
    let watch = Stopwatch::start();
    let (mut last, mut signed_in) = (String::new(), None);
    while watch.elapsed() < limit {
        match look(board, &mut signed_in, limit.saturating_sub(watch.elapsed())) {
            Ok((owner, update)) => {
                let version = booted_version(board)?;
                return Ok(Settled { owner, update, version, after: watch.elapsed() });
            }
            Err(error) => last = error,
        }
        // From there it needs somebody's hand.
        if let Some(why) = board.said("Recovery: ") {
            return Err(format!("the board is in recovery: {why}"));
        }
        if board.has_ended() {
            return Err(format!("the emulator ended; {last}"));
        }
        thread::sleep(LOOK_EVERY);
    }
    Err(format!("not settled after {} s: {last}", limit.as_secs()))
}

/// What the loader left word of (docs/recovery.md): the version in the header that it verified.
fn booted_version(board: &Board) -> Result<String, String> {
    let facts = board.try_agent(&json!({ "op": "read", "path": "/run/candor-boot.json" }))?;
    let facts: Value =
        serde_json::from_str(facts.as_str().unwrap_or_default()).map_err(|error| error.to_string())?;
    Ok(facts["version"].as_str().unwrap_or_default().to_owned())
}

/// A session is used for as long as it is taken: signing in is work for a small board.
fn look(board: &Board, signed_in: &mut Option<Owner>, limit: Duration) -> Result<(Owner, Value), String> {
    let owner = match signed_in.take() {
        Some(owner) => owner,
        None => Owner::try_sign_in(&board.try_client(limit)?.within(LOOK_LIMIT))?,
    };
    let answer = owner.try_ask(&Method::GET, "/update", "")?;
    let update = answer.json();
    if answer.status != 200 {
        return Err(format!("GET /update: {} {update}", answer.status));
    }
    let code = update["stage"]["code"].as_str().unwrap_or("no stage");
    if UNDER_WAY.contains(&code) || update["installed"]["trying"] != false {
        *signed_in = Some(owner);
        return Err(format!("GET /update: {update}"));
    }
    Ok((owner, update))
}

/// Changes the recorder's name: a setting like any other.
///
/// # Errors
/// When there is no answer, or a refusal.
pub(crate) fn try_rename(owner: &Owner, name: &str) -> Result<(), String> {
    let mut settings = owner.try_get("/settings").ok_or("no answer to GET /settings")?;
    settings["name"] = json!(name);
    let answer = owner.try_ask(&Method::PUT, "/settings", settings.to_string())?;
    if (200..300).contains(&answer.status) { Ok(()) } else { Err(format!("{answer:?}")) }
}

/// As `try_rename`, of a board that must do it.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn rename(owner: &Owner, name: &str) {
    if let Err(error) = try_rename(owner, name) {
        panic!("{error}");
    }
}

/// Waits until a channel records something that was not there when this was called.
///
/// # Errors
/// When it does not.
pub fn records_again(owner: &Owner, channel: u16, limit: Duration) -> Result<(), String> {
    let (watch, start) = (Stopwatch::start(), now());
    while watch.elapsed() < limit {
        if owner.newest(channel).is_some_and(|newest| newest > start) {
            return Ok(());
        }
        thread::sleep(LOOK_EVERY);
    }
    Err(format!("channel {channel} has no new footage after {} s", limit.as_secs()))
}

/// Brings a board in recovery back with a bundle through its page, as whoever stands before it: with the console's code.
///
/// # Panics
/// When it is not in recovery, or refuses.
pub fn recover(board: &Board, bundle: &[u8]) {
    let (_, line) = board.wait_console("type the code ", BOOT_PATIENCE);
    let code = line.split_whitespace().next().unwrap_or_default().to_owned();
    let (_, fingerprint) = board.wait_console("Certificate SHA-256 ", BOOT_PATIENCE);
    let client = board.client_of(&fingerprint).within(UPLOAD_PATIENCE);
    let ask = |path: &str, more: &[(&str, &str)], body: Bytes| {
        let mut headers = vec![("x-candor-recovery", "1")];
        headers.extend_from_slice(more);
        client.ask(&Method::POST, path, &headers, body)
    };
    let json = [("content-type", "application/json")];
    let refused = ask("/api/bundle", &[], Bytes::copy_from_slice(bundle));
    assert_eq!(refused.status, 401, "without the code: {refused:?}");
    let answer = ask("/api/presence", &json, json!({ "code": code }).to_string().into());
    assert_eq!(answer.status, 204, "{answer:?}");
    let cookie = answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    let answer = ask("/api/bundle", &[("cookie", &cookie)], Bytes::copy_from_slice(bundle));
    assert_eq!(answer.status, 202, "{answer:?}");
    board.wait_console("the new system is installed", UPLOAD_PATIENCE);
}
