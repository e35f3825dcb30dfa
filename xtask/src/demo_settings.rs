//! The demo's settings: four channels that differ visibly.
//!
//! What the owner changed in the browser is kept from one demo to the next; only ports and the demo camera's
//! address are set anew.

use std::fs;
use std::path::Path;

use toml::{Table, Value, toml};

use crate::workspace::Failure;

/// Where everything listens, on this machine alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) web: u16,
    pub(crate) rtsp: u16,
    pub(crate) rtsps: u16,
    pub(crate) camera: u16,
}

impl Ports {
    /// Four from `base` on, or the usual ones for 0.
    pub(crate) fn from_base(base: u16) -> Result<Self, Failure> {
        match base {
            0 => Ok(Self { web: 8443, rtsp: 8554, rtsps: 8322, camera: 8555 }),
            1024..=65532 => Ok(Self { web: base, rtsp: base + 1, rtsps: base + 2, camera: base + 3 }),
            _ => Err(format!("PORT_BASE={base}: choose one from 1024 to 65532").into()),
        }
    }

    /// Each with its purpose.
    pub(crate) fn all(self) -> [(u16, &'static str); 4] {
        [
            (self.web, "the web page"),
            (self.rtsp, "RTSP"),
            (self.rtsps, "RTSPS"),
            (self.camera, "the demo's camera"),
        ]
    }
}

/// Writes the file, or sets the ports in the one that is there.
pub(crate) fn write(path: &Path, ports: Ports) -> Result<(), Failure> {
    let mut settings = match fs::read_to_string(path) {
        Ok(text) => text.parse::<Table>().map_err(|error| format!("{}: {error}", path.display()))?,
        Err(_) => fresh(),
    };
    set(&mut settings, &["web", "address"], address(ports.web));
    set(&mut settings, &["rtsp", "address"], address(ports.rtsp));
    set(&mut settings, &["rtsp", "tls_address"], address(ports.rtsps));
    for channel in settings.get_mut("channel").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(url) = channel.get_mut("camera").and_then(|camera| camera.get_mut("url"))
            && url
                .as_str()
                .is_some_and(|url| url.starts_with("rtsp://127.0.0.1:") && url.ends_with("/stream"))
        {
            *url = Value::String(format!("rtsp://127.0.0.1:{}/stream", ports.camera));
        }
    }
    fs::write(path, toml::to_string_pretty(&settings)?)?;
    Ok(())
}

fn address(port: u16) -> Value {
    Value::String(format!("127.0.0.1:{port}"))
}

fn set(table: &mut Table, keys: &[&str], value: Value) {
    match keys {
        [] => {}
        [key] => {
            table.insert((*key).to_owned(), value);
        }
        [key, rest @ ..] => {
            let inner = table.entry(*key).or_insert_with(|| Value::Table(Table::new()));
            if let Some(inner) = inner.as_table_mut() {
                set(inner, rest, value);
            }
        }
    }
}

fn fresh() -> Table {
    toml! {
        version = 1
        name = "Candor demo"
        time_zone = "Etc/UTC"

        [rtsp]
        enabled = true

        // 4 GiB: some hours of four small channels.
        [storage]
        max_bytes = 4294967296_i64
        segment_bytes = 67108864

        [[channel]]
        number = 1
        title = "Front door"
        [channel.input]
        source = "gst:test0"
        main = { codec = "h264", width = 1280, height = 720, frame_rate = 15, bit_rate_bps = 2000000, gop_frames = 30 }
        sub = { codec = "h264", width = 320, height = 180, frame_rate = 15, bit_rate_bps = 250000, gop_frames = 30 }

        [[channel]]
        number = 2
        title = "Yard"
        [channel.input]
        source = "gst:test1"
        main = { codec = "h264", width = 1280, height = 720, frame_rate = 15, bit_rate_bps = 2000000, gop_frames = 30 }
        sub = { codec = "h264", width = 320, height = 180, frame_rate = 15, bit_rate_bps = 250000, gop_frames = 30 }

        [[channel]]
        number = 3
        title = "Road"
        [channel.camera]
        url = "rtsp://127.0.0.1:8555/stream"

        [[channel]]
        number = 4
        title = "Loose cable"
        [channel.input]
        source = "sim:sim0:lost=5/60"
        main = { codec = "h264", width = 640, height = 360, frame_rate = 15, bit_rate_bps = 1500000, gop_frames = 30 }
        sub = { codec = "h264", width = 320, height = 180, frame_rate = 15, bit_rate_bps = 500000, gop_frames = 30 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_follow_the_base_and_a_bad_base_is_refused() {
        let ports = Ports::from_base(9000).unwrap();
        assert_eq!([ports.web, ports.rtsp, ports.rtsps, ports.camera], [9000, 9001, 9002, 9003]);
        for base in [1, 1023, 65533, 65535] {
            assert!(Ports::from_base(base).is_err(), "{base}");
        }
    }

    #[test]
    fn the_owners_changes_survive_another_start_on_other_ports() {
        let dir = std::env::temp_dir().join(format!("candor-demo-settings-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("settings.toml");
        write(&path, Ports::from_base(0).unwrap()).unwrap();
        let changed = fs::read_to_string(&path).unwrap().replace("Front door", "Gate");
        fs::write(&path, changed).unwrap();
        write(&path, Ports::from_base(9000).unwrap()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        for words in
            ["Gate", "127.0.0.1:9000", "127.0.0.1:9001", "127.0.0.1:9002", "rtsp://127.0.0.1:9003/stream"]
        {
            assert!(text.contains(words), "{words} in {text}");
        }
    }
}
