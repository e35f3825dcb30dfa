//! The session cookie: read from a request, set and taken back by an answer.
//!
//! Does not belong here: what a token means (the daemon's).

use headers::{Cookie, HeaderMapExt};
use http::{HeaderMap, HeaderValue};

use crate::api::SessionToken;

/// The `__Host-` prefix makes browsers insist on Secure, Path=/ and no Domain (RFC 6265bis section 4.1.3.2).
pub(crate) const NAME: &str = "__Host-candor";

/// As long as a session can live at most; the recorder itself ends it earlier when it is not used.
const MAX_AGE_SEC: u32 = 7 * 86_400;

/// The session's secret, when the request carries exactly one of the right form.
pub(crate) fn token(headers: &HeaderMap) -> Option<SessionToken> {
    let cookies = headers.typed_get::<Cookie>()?;
    let mut tokens = cookies.iter().filter(|(name, _)| *name == NAME);
    let (_, token) = tokens.next()?;
    // Two of them means that somebody else planted one: better to sign in again than to guess.
    if tokens.next().is_some() { None } else { SessionToken::new(token) }
}

/// Sets the cookie.
pub(crate) fn set(token: &SessionToken) -> HeaderValue {
    let text = format!(
        "{NAME}={}; Path=/; Max-Age={MAX_AGE_SEC}; Secure; HttpOnly; SameSite=Strict",
        token.as_str()
    );
    let mut value = HeaderValue::try_from(text).expect("a token has no byte that a header refuses");
    value.set_sensitive(true);
    value
}

/// Takes the cookie back.
pub(crate) fn clear() -> HeaderValue {
    HeaderValue::from_static("__Host-candor=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict")
}
