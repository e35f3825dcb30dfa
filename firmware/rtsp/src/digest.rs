//! HTTP Digest for one connection: challenges out, a verdict in.
//!
//! RFC 7616 with MD5 and SHA-256, and RFC 2617's form without `qop`, which GStreamer and VLC still send.
//! FFmpeg, GStreamer and VLC take the last challenge they understand, so MD5 stands last; a client that follows
//! RFC 7616 section 3.7 takes the first, SHA-256.
//!
//! Does not belong here: where verifiers come from, and what a verdict leads to.
//!
//! Invariants: a nonce is random, belongs to one connection and ends after [`NONCE_LIFETIME`]; an unknown user
//! costs as much time as a wrong key; neither name nor key is ever logged or echoed.

use std::time::Duration;

use auth::StreamKeyVerifier;
use hal::MonoTime;
use md5::{Digest, Md5};
use ring::digest::SHA256;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

/// The protection space of every stream; part of what verifiers are derived from.
pub const REALM: &str = "Candor";

/// How long a nonce is taken. Longer than two keep-alives, so that a client that ignores answers to its
/// keep-alives (FFmpeg) meets `stale` rarely; short enough that a recorded request is soon worthless.
pub(crate) const NONCE_LIFETIME: Duration = Duration::from_secs(600);

/// The longest user name looked up; the web interface gives out shorter ones.
const MAX_USER_BYTES: usize = 64;

/// Parameters in one header; RFC 7616 defines eleven.
const MAX_PARAMETERS: usize = 16;

/// What the credentials of a request amount to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They prove that this user's key is known.
    Granted(String),
    /// There are none, or none that we know how to check.
    Missing,
    /// They prove the key, but for a nonce that is not good any more.
    Stale,
    /// They prove nothing.
    Wrong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
}

/// One connection's nonce.
pub(crate) struct Challenger {
    random: SystemRandom,
    nonce: Option<Nonce>,
    /// Checked in place of an unknown user's verifier, so that both cases take the same time.
    decoy: StreamKeyVerifier,
}

struct Nonce {
    value: String,
    issued: MonoTime,
    /// The highest `nc` seen (RFC 7616 section 3.4): a request can not be sent twice.
    count: u32,
}

impl Challenger {
    pub(crate) fn new() -> Self {
        let decoy = StreamKeyVerifier { ha1_md5: [0; 16], ha1_sha256: [0; 32] };
        Self { random: SystemRandom::new(), nonce: None, decoy }
    }

    /// Values for two `WWW-Authenticate` headers, to be sent in this order. `None` when the machine has no
    /// randomness: then nobody can be let in.
    ///
    /// VLC reads realm, nonce and stale only in this order.
    pub(crate) fn challenge(&mut self, now: MonoTime, stale: bool) -> Option<[String; 2]> {
        let young = self.nonce.as_ref().is_some_and(|nonce| now.since(nonce.issued) < NONCE_LIFETIME / 2);
        if stale || !young {
            self.nonce = Some(Nonce { value: random_hex(&self.random)?, issued: now, count: 0 });
        }
        let nonce = &self.nonce.as_ref()?.value;
        let stale = if stale { "TRUE" } else { "FALSE" };
        Some(["SHA-256", "MD5"].map(|algorithm| {
            format!(
                "Digest realm=\"{REALM}\", nonce=\"{nonce}\", stale={stale}, \
                 algorithm={algorithm}, qop=\"auth\""
            )
        }))
    }

    /// Judges an `Authorization` header. `uri` is the request's, `lookup` finds a user's verifier.
    pub(crate) fn check(
        &mut self,
        header: Option<&str>,
        method: &str,
        uri: &str,
        now: MonoTime,
        lookup: &dyn Fn(&str) -> Option<StreamKeyVerifier>,
    ) -> Verdict {
        let Some(credentials) = header.and_then(Credentials::parse) else { return Verdict::Missing };
        let known = if credentials.user.len() <= MAX_USER_BYTES { lookup(&credentials.user) } else { None };
        let verifier = known.as_ref().unwrap_or(&self.decoy);
        let expected = credentials.expected(verifier, method);
        let given = credentials.response.to_ascii_lowercase();
        let proven: bool = expected.as_bytes().ct_eq(given.as_bytes()).into();
        if !proven || known.is_none() || !covers(&credentials.uri, uri) {
            return Verdict::Wrong;
        }
        let Some(nonce) = &mut self.nonce else { return Verdict::Stale };
        if nonce.value != credentials.nonce || now.since(nonce.issued) >= NONCE_LIFETIME {
            return Verdict::Stale;
        }
        if let Some(protection) = &credentials.protection {
            if protection.count <= nonce.count {
                return Verdict::Stale;
            }
            nonce.count = protection.count;
        }
        Verdict::Granted(credentials.user)
    }
}

/// 128 random bits in hexadecimal.
pub(crate) fn random_hex(random: &SystemRandom) -> Option<String> {
    let mut bytes = [0; 16];
    random.fill(&mut bytes).ok()?;
    Some(hex(&bytes))
}

struct Credentials {
    user: String,
    nonce: String,
    uri: String,
    response: String,
    algorithm: Algorithm,
    /// Absent in RFC 2069's form.
    protection: Option<Protection>,
}

struct Protection {
    count_text: String,
    count: u32,
    client_nonce: String,
}

impl Credentials {
    fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let parameters = parameters(rest)?;
        let get = |name: &str| {
            parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        let algorithm = match get("algorithm") {
            None => Algorithm::Md5,
            Some(name) if name.eq_ignore_ascii_case("MD5") => Algorithm::Md5,
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        let protection = match get("qop") {
            None => None,
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                let count_text = get("nc")?;
                let count = u32::from_str_radix(&count_text, 16).ok()?;
                Some(Protection { count_text, count, client_nonce: get("cnonce")? })
            }
            Some(_) => return None,
        };
        if get("realm")? != REALM {
            return None;
        }
        Some(Self {
            user: get("username")?,
            nonce: get("nonce")?,
            uri: get("uri")?,
            response: get("response")?,
            algorithm,
            protection,
        })
    }

    /// RFC 7616 section 3.4.1; RFC 2617 section 3.2.2.1 without `qop`.
    fn expected(&self, verifier: &StreamKeyVerifier, method: &str) -> String {
        let ha1 = match self.algorithm {
            Algorithm::Md5 => hex(&verifier.ha1_md5),
            Algorithm::Sha256 => hex(&verifier.ha1_sha256),
        };
        let ha2 = hash(self.algorithm, &[method, self.uri.as_str()]);
        match &self.protection {
            None => hash(self.algorithm, &[&ha1, &self.nonce, &ha2]),
            Some(protection) => hash(
                self.algorithm,
                &[&ha1, &self.nonce, &protection.count_text, &protection.client_nonce, "auth", &ha2],
            ),
        }
    }
}

/// The hash, in hexadecimal, of the parts joined by colons.
fn hash(algorithm: Algorithm, parts: &[&str]) -> String {
    let text = parts.join(":");
    match algorithm {
        Algorithm::Md5 => hex(&Md5::digest(text.as_bytes())),
        Algorithm::Sha256 => hex(ring::digest::digest(&SHA256, text.as_bytes()).as_ref()),
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 0xf)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Whether credentials made for `digest_uri` are good for `request_uri`: the same resource, or one below it.
/// Several clients compute every response of a session with the presentation's URL.
fn covers(digest_uri: &str, request_uri: &str) -> bool {
    let (own, asked) = (path_of(digest_uri), path_of(request_uri));
    let (own, asked) = (own.trim_end_matches('/'), asked.trim_end_matches('/'));
    own == asked || (!own.is_empty() && asked.strip_prefix(own).is_some_and(|below| below.starts_with('/')))
}

/// The path of an absolute URL, normalised as that of the request was, or the text itself.
fn path_of(uri: &str) -> String {
    rtsp_types::Url::parse(uri).map_or_else(|_| uri.to_owned(), |url| url.path().to_owned())
}

/// `name=token` and `name="quoted"`, separated by commas (RFC 9110 section 11.2).
fn parameters(text: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if found.len() == MAX_PARAMETERS {
            return None;
        }
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        found.push((name.trim().to_owned(), value));
        rest = after.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start();
        }
    }
    Some(found)
}

/// The value up to the closing quote, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "rtsp://10.0.0.1:8554/ch1/main";

    fn lookup(user: &str) -> Option<StreamKeyVerifier> {
        (user == "anna").then(|| StreamKeyVerifier::derive("anna", REALM, "the key"))
    }

    fn at(seconds: u64) -> MonoTime {
        MonoTime::from_start(Duration::from_secs(seconds))
    }

    fn nonce_of(challenger: &Challenger) -> String {
        challenger.nonce.as_ref().unwrap().value.clone()
    }

    fn answer(algorithm: &str, user: &str, key: &str, nonce: &str, count: Option<u32>) -> String {
        let algorithm_id = if algorithm == "MD5" { Algorithm::Md5 } else { Algorithm::Sha256 };
        let protection = count.map(|count| Protection {
            count_text: format!("{count:08x}"),
            count,
            client_nonce: "c0ffee".to_owned(),
        });
        let credentials = Credentials {
            user: user.to_owned(),
            nonce: nonce.to_owned(),
            uri: URI.to_owned(),
            response: String::new(),
            algorithm: algorithm_id,
            protection,
        };
        let response = credentials.expected(&StreamKeyVerifier::derive(user, REALM, key), "DESCRIBE");
        let qop =
            count.map_or(String::new(), |count| format!(", qop=auth, nc={count:08x}, cnonce=\"c0ffee\""));
        format!(
            "Digest username=\"{user}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{URI}\", \
             response=\"{response}\", algorithm={algorithm}{qop}"
        )
    }

    fn check(challenger: &mut Challenger, header: &str, now: MonoTime) -> Verdict {
        challenger.check(Some(header), "DESCRIBE", URI, now, &lookup)
    }

    #[test]
    fn both_algorithms_with_and_without_qop() {
        for algorithm in ["MD5", "SHA-256"] {
            for count in [None, Some(1)] {
                let mut challenger = Challenger::new();
                challenger.challenge(at(0), false).unwrap();
                let header = answer(algorithm, "anna", "the key", &nonce_of(&challenger), count);
                assert_eq!(check(&mut challenger, &header, at(1)), Verdict::Granted("anna".to_owned()));
            }
        }
    }

    #[test]
    fn wrong_key_unknown_user_and_no_header() {
        let mut challenger = Challenger::new();
        challenger.challenge(at(0), false).unwrap();
        let nonce = nonce_of(&challenger);
        let wrong = answer("MD5", "anna", "another key", &nonce, None);
        assert_eq!(check(&mut challenger, &wrong, at(1)), Verdict::Wrong);
        let unknown = answer("SHA-256", "bert", "the key", &nonce, Some(1));
        assert_eq!(check(&mut challenger, &unknown, at(1)), Verdict::Wrong);
        assert_eq!(challenger.check(None, "DESCRIBE", URI, at(1), &lookup), Verdict::Missing);
        for junk in ["Basic YW5uYTp0aGUga2V5", "Digest", "Digest a", "Digest username=\"", "Digest =,=,=", ""]
        {
            assert_eq!(check(&mut challenger, junk, at(1)), Verdict::Missing, "{junk}");
        }
    }

    /// The decoy is all zeros: nobody may log in with credentials computed from it.
    #[test]
    fn the_decoy_lets_nobody_in() {
        let mut challenger = Challenger::new();
        challenger.challenge(at(0), false).unwrap();
        let nonce = nonce_of(&challenger);
        let ha2 = hash(Algorithm::Md5, &["DESCRIBE", URI]);
        let response = hash(Algorithm::Md5, &[&hex(&[0; 16]), &nonce, &ha2]);
        let header = format!(
            "Digest username=\"nobody\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{URI}\", \
             response=\"{response}\""
        );
        assert_eq!(check(&mut challenger, &header, at(1)), Verdict::Wrong);
    }

    #[test]
    fn old_and_foreign_nonces_are_stale() {
        let mut challenger = Challenger::new();
        challenger.challenge(at(0), false).unwrap();
        let header = answer("MD5", "anna", "the key", &nonce_of(&challenger), Some(1));
        assert_eq!(check(&mut challenger, &header, at(NONCE_LIFETIME.as_secs())), Verdict::Stale);
        let mut other_connection = Challenger::new();
        other_connection.challenge(at(0), false).unwrap();
        assert_eq!(check(&mut other_connection, &header, at(1)), Verdict::Stale);
        let [first, last] = other_connection.challenge(at(1), true).unwrap();
        assert!(first.contains("stale=TRUE") && first.contains("SHA-256") && last.contains("algorithm=MD5"));
    }

    #[test]
    fn a_request_can_not_be_sent_twice() {
        let mut challenger = Challenger::new();
        challenger.challenge(at(0), false).unwrap();
        let header = answer("SHA-256", "anna", "the key", &nonce_of(&challenger), Some(7));
        assert_eq!(check(&mut challenger, &header, at(1)), Verdict::Granted("anna".to_owned()));
        assert_eq!(check(&mut challenger, &header, at(1)), Verdict::Stale);
    }

    #[test]
    fn credentials_for_another_resource_are_refused() {
        assert!(covers("rtsp://a/ch1/main", "rtsp://b/ch1/main/trackID=0"));
        assert!(covers("/ch1/main/", "rtsp://b/ch1/main"));
        assert!(covers("*", "*"));
        assert!(!covers("rtsp://a/ch1/main", "rtsp://a/ch1/mainly"));
        assert!(!covers("rtsp://a/ch1/main", "rtsp://a/ch2/main"));
        assert!(!covers("/", "/ch1/main"));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        #[test]
        fn never_panics(header in "(Digest )?[ -~é]{0,200}") {
            let mut challenger = Challenger::new();
            challenger.challenge(at(0), false);
            let verdict = check(&mut challenger, &header, at(1));
            proptest::prop_assert!(!matches!(verdict, Verdict::Granted(_)));
        }
    }
}
