//! The recorder's owner, signed in: asks, changes, waits for what must come.

use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::client::{Client, Response};
use crate::wait::until;

/// The owner's name.
pub const USER: &str = "ann";
/// The owner's password.
pub const PASSWORD: &str = "a ladder, a barn, a dog";

/// A session.
#[derive(Clone)]
pub struct Owner {
    /// Who asks.
    pub client: Client,
    pub(crate) cookie: String,
    csrf: String,
}

impl Owner {
    /// Becomes the owner by the set-up code.
    ///
    /// # Panics
    /// When the recorder refuses.
    #[must_use]
    pub fn claim(client: &Client, code: &str) -> Self {
        Self::of(client, &claimed(client, code))
    }

    /// As [`Owner::claim`], and the recovery key that is shown then.
    ///
    /// # Panics
    /// When the recorder refuses, or shows none.
    #[must_use]
    pub fn claim_with_key(client: &Client, code: &str) -> (Self, String) {
        let answer = claimed(client, code);
        let json = answer.json();
        let Some(key) = json["recovery_key"].as_str() else { panic!("no recovery key: {answer:?}") };
        (Self::of(client, &answer), key.to_owned())
    }

    /// Signs in.
    ///
    /// # Panics
    /// When the recorder refuses.
    #[must_use]
    pub fn sign_in(client: &Client) -> Self {
        match Self::try_sign_in(client) {
            Ok(owner) => owner,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`Owner::sign_in`], at a recorder that may not be there.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub fn try_sign_in(client: &Client) -> Result<Self, String> {
        let body = json!({ "user": USER, "password": PASSWORD }).to_string();
        let headers = [("content-type", "application/json"), ("origin", &client.origin())];
        let answer = client.try_ask(&Method::POST, "/api/v1/session", &headers, body)?;
        if (200..300).contains(&answer.status) {
            Ok(Self::of(client, &answer))
        } else {
            Err(format!("signing in: {} {}", answer.status, answer.code()))
        }
    }

    fn of(client: &Client, answer: &Response) -> Self {
        let cookie = answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        let csrf = answer.json()["csrf"].as_str().unwrap_or_default().to_owned();
        assert!(cookie.starts_with("__Host-candor=") && !csrf.is_empty(), "{answer:?}");
        Self { client: client.clone(), cookie, csrf }
    }

    /// Asks with the session; a path below `/api/v1`.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn try_ask(&self, method: &Method, path: &str, body: impl Into<Bytes>) -> Result<Response, String> {
        self.try_ask_with(method, path, &[], body)
    }

    /// As [`Owner::try_ask`], with more header fields, or other ones in place of its own.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn try_ask_with(
        &self,
        method: &Method,
        path: &str,
        more: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Response, String> {
        let origin = self.client.origin();
        let mut headers = vec![
            ("cookie", self.cookie.as_str()),
            ("origin", origin.as_str()),
            ("x-csrf-token", self.csrf.as_str()),
            ("content-type", "application/json"),
        ];
        headers.retain(|(own, _)| more.iter().all(|(name, _)| name != own));
        headers.extend_from_slice(more);
        self.client.try_ask(method, &format!("/api/v1{path}"), &headers, body)
    }

    /// Asks a recorder that must answer.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn ask(&self, method: &Method, path: &str, body: impl Into<Bytes>) -> Response {
        match self.try_ask(method, path, body) {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }

    /// GET that must succeed, as JSON.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let answer = self.ask(&Method::GET, path, "");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// GET that may fail while roles are being started.
    #[must_use]
    pub fn try_get(&self, path: &str) -> Option<Value> {
        self.try_ask(&Method::GET, path, "")
            .ok()
            .filter(|answer| answer.status == 200)
            .map(|answer| answer.json())
    }

    /// A part of a channel's recording as a file.
    ///
    /// # Panics
    /// When it cannot be had.
    #[must_use]
    #[track_caller]
    pub fn recording(&self, channel: u16, start: Timestamp, end: Timestamp) -> Bytes {
        let answer = self.ask(&Method::GET, &recording_path(channel, ".mp4", start, end), "");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// The plan of the same.
    ///
    /// # Panics
    /// When it cannot be had.
    #[must_use]
    #[track_caller]
    pub fn recording_plan(&self, channel: u16, start: Timestamp, end: Timestamp) -> Value {
        self.get(&recording_path(channel, "", start, end))
    }

    /// Bytes `first` to `last` of the file, both included.
    ///
    /// # Panics
    /// When they cannot be had.
    #[must_use]
    #[track_caller]
    pub fn recording_range(
        &self,
        channel: u16,
        (start, end): (Timestamp, Timestamp),
        (first, last): (u64, u64),
    ) -> Response {
        let path = recording_path(channel, ".mp4", start, end);
        let range = format!("bytes={first}-{last}");
        match self.try_ask_with(&Method::GET, &path, &[("range", &range)], "") {
            Ok(answer) => answer,
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// The end of a channel's newest footage; `None` where there is none, or nobody to ask.
    #[must_use]
    pub fn newest(&self, channel: u16) -> Option<Timestamp> {
        let now = crate::wait::now();
        let start = now - Duration::from_secs(3600);
        let timeline = self.try_get(&format!(
            "/timeline?start={start:.3}&end={:.3}&channel={channel}",
            now + Duration::from_secs(60)
        ))?;
        time(&timeline["channels"][0]["newest"])
    }

    /// Waits until a channel's footage reaches `time`.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_recorded_until(&self, channel: u16, time: Timestamp) {
        until(&format!("footage of channel {channel} up to {time}"), || {
            self.newest(channel).filter(|newest| *newest >= time)
        });
    }

    /// Waits until a channel has footage of the next `length`, and returns its start.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_recorded_for(&self, channel: u16, length: Duration) -> Timestamp {
        let start = until(&format!("footage of channel {channel}"), || self.newest(channel));
        thread::sleep(length);
        self.wait_recorded_until(channel, start + length);
        start
    }

    /// Waits until recording goes on: footage newer than now, on every one of these channels.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_recording_goes_on(&self, channels: &[u16]) {
        let now = crate::wait::now();
        for channel in channels {
            self.wait_recorded_until(*channel, now);
        }
    }

    /// A channel as `GET /channels` has it.
    #[must_use]
    pub fn channel(&self, number: u16) -> Option<Value> {
        let channels = self.try_get("/channels")?;
        channels.as_array()?.iter().find(|channel| channel["channel"] == number).cloned()
    }

    /// Waits until a channel is in this state, and returns it.
    ///
    /// # Panics
    /// When it does not get there.
    #[track_caller]
    pub fn wait_channel(&self, number: u16, code: &str) -> Value {
        until(&format!("channel {number} to be {code}"), || {
            self.channel(number).filter(|channel| channel["state"]["code"] == code)
        })
    }

    /// A role as `GET /system` has it.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<Value> {
        let system = self.try_get("/system")?;
        system["roles"].as_array()?.iter().find(|role| role["role"] == name).cloned()
    }

    /// The process id of a role that runs.
    #[must_use]
    pub fn role_pid(&self, name: &str) -> Option<i32> {
        let role = self.role(name).filter(|role| role["state"] == "running")?;
        i32::try_from(role["pid"].as_i64()?).ok()
    }
}

/// A time in an answer.
fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn recording_path(channel: u16, ending: &str, start: Timestamp, end: Timestamp) -> String {
    format!("/channels/{channel}/recording{ending}?start={start:.3}&end={end:.3}")
}

fn claimed(client: &Client, code: &str) -> Response {
    let body = json!({ "setup_code": code, "user": USER, "password": PASSWORD }).to_string();
    let answer = client.post("/claim", body);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer
}
