//! What a plain client reads in an answer's head, and how it proves its key.
//!
//! Does not belong here: sockets (`wire.rs`, and of the benchmark `examples/crowd/viewer.rs`).

use md5::{Digest, Md5};

/// The value of the first header of this name.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// The header line that answers a challenge with MD5 and without `qop` (RFC 2617 section 3.2.2.1).
pub(crate) fn authorization(
    (user, key): (&str, &str),
    (realm, nonce): (&str, &str),
    method: &str,
    url: &str,
) -> String {
    let secret = md5(&format!("{user}:{realm}:{key}"));
    let response = md5(&format!("{secret}:{nonce}:{}", md5(&format!("{method}:{url}"))));
    format!(
        "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{url}\", \
         response=\"{response}\"\r\n"
    )
}

fn md5(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
