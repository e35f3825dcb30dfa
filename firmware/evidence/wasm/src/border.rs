//! The module's one export, `verify`, and its four imports.
//!
//! | Import | |
//! |---|---|
//! | `key(into, room) -> size` | writes the text that names the trusted key; 0 when there is none |
//! | `read(offset, into, size) -> ok` | writes `size` bytes of the file from `offset`; 0 when it cannot |
//! | `progress(done, of)` | so many of so many bytes were looked at |
//! | `answer(text, size)` | JSON: `{"report":…,"text":…}` or `{"error":…}`; called once |
//!
//! Offsets are doubles, which are exact up to 2^53.

#![expect(unsafe_code, reason = "the names of imports and exports; no unsafe function is called")]

use std::io::{self, Read, Seek, SeekFrom};

use evidence::Trusted;
use serde_json::json;

// SAFETY: the page implements these four with these types (web/verify/worker.js); each writes no more than the room that it is
// told, which is that of a slice.
#[link(wasm_import_module = "page")]
unsafe extern "C" {
    safe fn key(into: *mut u8, room: usize) -> usize;
    safe fn read(offset: f64, into: *mut u8, size: usize) -> u32;
    safe fn progress(done: f64, of: f64);
    safe fn answer(text: *const u8, size: usize);
}

/// Longer than any key's text.
const MAX_KEY_BYTES: usize = 1024;

/// Verifies a file of `size` bytes.
// SAFETY: no other export has this name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn verify(size: f64) {
    let text = answer_text(size as u64);
    answer(text.as_ptr(), text.len());
}

fn answer_text(size: u64) -> String {
    let mut name = [0; MAX_KEY_BYTES];
    let length = key(name.as_mut_ptr(), name.len()).min(name.len());
    let trusted = match std::str::from_utf8(&name[..length]).map(str::trim) {
        Ok("") => None,
        Ok(name) => match name.parse::<Trusted>() {
            Ok(trusted) => Some(trusted),
            Err(error) => return json!({ "error": error.to_string() }).to_string(),
        },
        Err(_) => return json!({ "error": "the key is not text" }).to_string(),
    };
    let file = PageFile { at: 0, size };
    match evidence::verify(file, trusted.as_ref(), |done, of| progress(done as f64, of as f64)) {
        Ok(report) => json!({ "report": report, "text": report.to_string() }).to_string(),
        Err(error) => json!({ "error": error.to_string() }).to_string(),
    }
}

/// The file that the page holds.
struct PageFile {
    at: u64,
    size: u64,
}

impl Read for PageFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = usize::try_from(self.size.saturating_sub(self.at)).unwrap_or(usize::MAX).min(into.len());
        if count > 0 && read(self.at as f64, into.as_mut_ptr(), count) == 0 {
            return Err(io::Error::other("the browser cannot read it"));
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for PageFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(distance) => self.size.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.at.checked_add_signed(distance),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
