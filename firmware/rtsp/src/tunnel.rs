//! RTSP inside HTTP: what a connection begins with, and its requests in base64.
//!
//! Apple's tunnel, which FFmpeg, GStreamer and VLC speak: a GET whose answer never ends carries what the server sends, and a
//! POST with the same `x-sessioncookie` carries what the client sends, in base64. Behind proxies and in networks that let only
//! HTTP pass it is the one way.
//!
//! Does not belong here: sockets (`door.rs`), which tunnels are open (`tunnels.rs`).
//!
//! Invariants: never panics; a head has at most [`MAX_HTTP_HEAD_BYTES`]; nothing of a request but its cookie is used, and
//! nothing of it is repeated.

use data_encoding::BASE64;

/// Request line and headers of a GET or POST; those of players have about 300 bytes.
pub(crate) const MAX_HTTP_HEAD_BYTES: usize = 4 << 10;

/// Players send eight.
const MAX_HTTP_HEADERS: usize = 32;

/// Cookies of players are 16 to 22 characters long.
const MAX_COOKIE_BYTES: usize = 64;

const COOKIE: &str = "x-sessioncookie";

/// Answers a GET; what follows is RTSP until the connection ends.
pub(crate) const TUNNEL_OPEN: &str = "HTTP/1.0 200 OK\r\nServer: Candor\r\nConnection: close\r\n\
     Cache-Control: no-store\r\nPragma: no-cache\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n";

/// What a connection begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// Not HTTP.
    Rtsp,
    /// What the server sends shall go here.
    Get { cookie: String },
    /// What the client says comes here, in base64, from byte `body` on.
    Post { cookie: String, body: usize },
    /// HTTP, but no tunnel.
    Refused(HttpRefusal),
}

/// Why there is no tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpRefusal {
    /// Not HTTP, without a cookie, or with one that is none.
    BadRequest,
    /// No GET with this cookie came from this address over this kind of connection.
    NoSuchTunnel,
    /// The cookie is in use.
    InUse,
    /// A head that is too long, or has too many headers.
    TooLarge,
    /// There are too many clients, or half-open tunnels.
    Full,
}

impl HttpRefusal {
    /// The whole answer, after which the connection is closed.
    pub(crate) fn answer(self) -> &'static str {
        match self {
            Self::BadRequest => "HTTP/1.0 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            Self::NoSuchTunnel => "HTTP/1.0 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            Self::InUse => "HTTP/1.0 409 Conflict\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            Self::TooLarge => {
                "HTTP/1.0 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            }
            Self::Full => {
                "HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            }
        }
    }
}

/// Reads the first bytes of a connection; `None` while they may become one thing or another.
pub(crate) fn greeting(bytes: &[u8]) -> Option<Greeting> {
    let methods: [&[u8]; 2] = [b"GET ", b"POST "];
    if !methods.iter().any(|method| bytes.starts_with(method)) {
        let may_become = methods.iter().any(|method| method.starts_with(bytes));
        return (!may_become).then_some(Greeting::Rtsp);
    }
    let window = &bytes[..bytes.len().min(MAX_HTTP_HEAD_BYTES)];
    let mut headers = [httparse::EMPTY_HEADER; MAX_HTTP_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let body = match request.parse(window) {
        Ok(httparse::Status::Complete(body)) => body,
        Ok(httparse::Status::Partial) if window.len() < MAX_HTTP_HEAD_BYTES => return None,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Some(Greeting::Refused(HttpRefusal::TooLarge));
        }
        Err(_) => return Some(Greeting::Refused(HttpRefusal::BadRequest)),
    };
    let greeting = match (request.method, cookie(request.headers)) {
        (Some("GET"), Some(cookie)) => Greeting::Get { cookie },
        (Some("POST"), Some(cookie)) => Greeting::Post { cookie, body },
        _ => Greeting::Refused(HttpRefusal::BadRequest),
    };
    Some(greeting)
}

/// The one cookie. A body in chunks would have their sizes among the base64.
fn cookie(headers: &[httparse::Header<'_>]) -> Option<String> {
    if headers.iter().any(|header| header.name.eq_ignore_ascii_case("transfer-encoding")) {
        return None;
    }
    let mut cookies = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(COOKIE));
    let (Some(only), None) = (cookies.next(), cookies.next()) else { return None };
    let text = std::str::from_utf8(only.value).ok()?;
    let sound =
        (1..=MAX_COOKIE_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    sound.then(|| text.to_owned())
}

/// Base64 in pieces. Players encode each request by itself, so there is padding between them.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// Characters of a group of four that is not complete; at most three.
    pending: Vec<u8>,
}

/// What came is no base64; nothing after it can be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotBase64;

impl Decoder {
    /// Appends what `text` completes to `bytes`. White space means nothing.
    pub(crate) fn push(&mut self, text: &[u8], bytes: &mut Vec<u8>) -> Result<(), NotBase64> {
        self.pending.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
        let whole = self.pending.len() - self.pending.len() % 4;
        let decoded = BASE64.decode(&self.pending[..whole]).map_err(|_| NotBase64)?;
        self.pending.drain(..whole);
        bytes.extend_from_slice(&decoded);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: &str = "GET /ch1/main HTTP/1.1\r\nUser-Agent: Lavf\r\nAccept: application/x-rtsp-tunnelled\r\n\
        X-SessionCookie: 68Yhe3x0pQ\r\n\r\n";
    const POST: &str =
        "POST /ch1/main HTTP/1.0\r\nx-sessioncookie: 68Yhe3x0pQ\r\nContent-Length: 32767\r\n\r\n";

    fn refused(text: &str) -> HttpRefusal {
        match greeting(text.as_bytes()) {
            Some(Greeting::Refused(why)) => why,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn what_players_begin_with() {
        let cookie = "68Yhe3x0pQ".to_owned();
        assert_eq!(greeting(GET.as_bytes()), Some(Greeting::Get { cookie: cookie.clone() }));
        let post = [POST, "T1BUSU9OUyAq"].concat();
        assert_eq!(greeting(post.as_bytes()), Some(Greeting::Post { cookie, body: POST.len() }));
        for rtsp in ["OPTIONS *", "GET_", "GETPARAMETER", "PO_", "$", "\r\n", "\x16\x03", "get /"] {
            assert_eq!(greeting(rtsp.as_bytes()), Some(Greeting::Rtsp), "{rtsp:?}");
        }
    }

    #[test]
    fn nothing_is_decided_before_the_head_is_complete() {
        for text in [GET, POST] {
            for at in 0..text.len() {
                assert_eq!(greeting(&text.as_bytes()[..at]), None, "cut at {at}");
            }
        }
    }

    #[test]
    fn heads_that_open_no_tunnel() {
        let with = |headers: &str| format!("GET /ch1/main HTTP/1.0\r\n{headers}\r\n");
        assert_eq!(refused(&with("")), HttpRefusal::BadRequest);
        assert_eq!(refused(&with("x-sessioncookie:\r\n")), HttpRefusal::BadRequest);
        assert_eq!(refused(&with("x-sessioncookie: a b\r\n")), HttpRefusal::BadRequest);
        assert_eq!(refused(&with("x-sessioncookie: a\r\nx-sessioncookie: a\r\n")), HttpRefusal::BadRequest);
        let long = "a".repeat(MAX_COOKIE_BYTES + 1);
        assert_eq!(refused(&with(&format!("x-sessioncookie: {long}\r\n"))), HttpRefusal::BadRequest);
        let chunked = with("x-sessioncookie: a\r\nTransfer-Encoding: chunked\r\n").replace("GET", "POST");
        assert_eq!(refused(&chunked), HttpRefusal::BadRequest);
        assert_eq!(refused("GET ../../etc/passwd\r\n\r\n"), HttpRefusal::BadRequest);
        assert_eq!(refused(&with(&"a: b\r\n".repeat(MAX_HTTP_HEADERS + 1))), HttpRefusal::TooLarge);
        let huge = with(&format!("x-sessioncookie: {}\r\n", "a".repeat(100_000)));
        assert_eq!(refused(&huge), HttpRefusal::TooLarge);
        assert_eq!(refused(&format!("POST {}", "/".repeat(100_000))), HttpRefusal::TooLarge);
    }

    #[test]
    fn requests_are_decoded_one_by_one() {
        let mut decoder = Decoder::default();
        let mut bytes = Vec::new();
        for text in [&b"T1BUSU9OUw=="[..], b"T1BU\r\nSU9OUw==\r\n", b"T1BUSU9OUw==T1BU", b"SU9", b"OUw=="] {
            decoder.push(text, &mut bytes).unwrap();
        }
        assert_eq!(bytes, b"OPTIONS".repeat(4));
        for wrong in [&b"$\x00\x00\x04"[..], b"OPTIONS *", b"====", b"AB=C", b"A\0AA"] {
            assert_eq!(Decoder::default().push(wrong, &mut Vec::new()), Err(NotBase64), "{wrong:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn base64_in_any_pieces(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..6), size in 1usize..40) {
            let text: String = messages.iter().map(|message| BASE64.encode(message)).collect();
            let mut decoder = Decoder::default();
            let mut bytes = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                decoder.push(piece, &mut bytes).unwrap();
            }
            prop_assert_eq!(bytes, messages.concat());
        }

        #[test]
        fn any_head(text in "(GET|POST) [ -~\r\n]{0,200}\r\n\r\n", at in any::<prop::sample::Index>()) {
            let at = at.index(text.len());
            let cut = greeting(&text.as_bytes()[..at]);
            prop_assert!(cut.is_none() || cut == greeting(text.as_bytes()) || matches!(cut, Some(Greeting::Refused(_))));
        }
    }
}
