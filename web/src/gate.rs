//! The gate: whether a request may reach its handler.
//!
//! Every route of the table passes through here and nothing else decides. Identity comes only from the session
//! cookie, verified on this request; no address, header or query stands in for it. The order is: does the
//! route exist now, does the request come from our own page, who is it, may they, and do they mean it (CSRF).
//!
//! Does not belong here: the table (`routes.rs`), and checks of bodies (`input.rs`).

use std::net::SocketAddr;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method};
use subtle::ConstantTimeEq;
use url::Url;

use crate::api::{Api, Caller, SessionToken};
use crate::cookie;
use crate::error::ApiError;
use crate::routes::{Access, Op, Route};
use crate::site::Site;
use crate::views::{Role, Session};

/// The header that proves that a page of ours sent the request.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// Where a connection comes from; put into each request by the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Peer {
    fn of(parts: &Parts) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().copied().ok_or_else(|| ApiError::internal("a request without a peer"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of(parts)
    }
}

/// Who called: put into a request by the gate only.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) caller: Caller,
    pub(crate) session: Session,
    pub(crate) token: SessionToken,
}

/// Lets a request through to its handler, or answers it.
pub(crate) async fn gate<A: Api>(
    State((site, route)): State<(Site<A>, &'static Route)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&site, route, &parts).await {
        Ok(signed_in) => {
            if let Some(signed_in) = signed_in {
                parts.extensions.insert(signed_in);
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refusal) => {
            tracing::debug!(method = %parts.method, path = route.path, %refusal, "refused");
            refusal.into_response()
        }
    }
}

async fn admit<A: Api>(site: &Site<A>, route: &Route, parts: &Parts) -> Result<Option<SignedIn>, ApiError> {
    if route.access == Access::Unclaimed && site.api.state().await.claimed {
        return Err(no_such_page());
    }
    let page = page_of(&parts.headers);
    let unsafe_method = !matches!(parts.method, Method::GET | Method::HEAD);
    // Without a session there is no CSRF token to ask for, and a browser always names the origin of a WebSocket
    // and of a POST (Fetch standard, section 3.2).
    let must_name_origin =
        route.op == Op::Live || (unsafe_method && !matches!(route.access, Access::Role(_)));
    if page == Page::Foreign || (must_name_origin && page == Page::Unnamed) {
        return Err(ApiError::forbidden("foreign_origin", "This works only from the recorder's own pages."));
    }
    let signed_in = match route.access {
        Access::Anyone | Access::Unclaimed => None,
        Access::Role(needed) => Some(sign_in(site, needed, unsafe_method, parts).await?),
    };
    if !route.query && parts.uri.query().is_some() {
        return Err(ApiError::malformed("unknown_query", "Nothing may stand behind the ? here."));
    }
    Ok(signed_in)
}

async fn sign_in<A: Api>(
    site: &Site<A>,
    needed: Role,
    unsafe_method: bool,
    parts: &Parts,
) -> Result<SignedIn, ApiError> {
    let Peer(from) = Peer::of(parts)?;
    let token = cookie::token(&parts.headers);
    let session = match &token {
        Some(token) => site.api.authenticate(token, from).await,
        None => None,
    };
    let (Some(session), Some(token)) = (session, token) else {
        return Err(ApiError::unauthorized("not_signed_in", "Sign in first."));
    };
    if session.role < needed {
        return Err(ApiError::forbidden(
            "not_allowed",
            "Your user may not do this. Ask the recorder's owner.",
        ));
    }
    if unsafe_method {
        let sent = parts.headers.get(CSRF_HEADER).map(http::HeaderValue::as_bytes).unwrap_or_default();
        if session.csrf.is_empty() || !bool::from(sent.ct_eq(session.csrf.as_bytes())) {
            return Err(ApiError::forbidden("wrong_csrf", "Reload the page and try again."));
        }
    }
    let caller = Caller { user: session.user.clone(), role: session.role, from };
    Ok(SignedIn { caller, session, token })
}

/// The answer for whatever does not exist, or not for this caller.
pub(crate) fn no_such_page() -> ApiError {
    ApiError::not_found("no_such_page", "There is nothing at this address.")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Own,
    Foreign,
    Unnamed,
}

/// Whose page sent a request, by `Origin` (RFC 6454 section 7) and `Sec-Fetch-Site` (W3C Fetch Metadata).
/// A same-origin GET has no `Origin`, so that its absence alone says nothing.
fn page_of(headers: &HeaderMap) -> Page {
    if let Some(site) = headers.get("sec-fetch-site")
        && !matches!(site.as_bytes(), b"same-origin" | b"none")
    {
        return Page::Foreign;
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return Page::Unnamed;
    };
    let mut hosts = headers.get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next().is_some() || origins.next().is_some());
    let own =
        host.and_then(|host| host.to_str().ok()).and_then(|host| own_origin(&format!("https://{host}")));
    let named = origin.to_str().ok().and_then(own_origin);
    if !more && own.is_some() && own == named { Page::Own } else { Page::Foreign }
}

/// Scheme, host and port only: whatever has more to it is not an origin.
fn own_origin(text: &str) -> Option<url::Origin> {
    let url = Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    (bare && nobody && url.scheme() == "https" && !text.ends_with('/')).then(|| url.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(pairs: &[(&'static str, &str)]) -> Page {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        page_of(&headers)
    }

    #[test]
    fn only_the_same_scheme_host_and_port_is_our_own_page() {
        let host = ("host", "recorder.lan:8443");
        assert_eq!(page(&[host, ("origin", "https://recorder.lan:8443")]), Page::Own);
        assert_eq!(page(&[("host", "Recorder.lan"), ("origin", "https://recorder.lan:443")]), Page::Own);
        assert_eq!(
            page(&[("host", "[2001:db8::1]:8443"), ("origin", "https://[2001:db8::1]:8443")]),
            Page::Own
        );
        assert_eq!(page(&[host]), Page::Unnamed);
        for origin in [
            "http://recorder.lan:8443",
            "https://recorder.lan",
            "https://recorder.lan:9443",
            "https://recorder.lan.evil.example:8443",
            "https://user@recorder.lan:8443",
            "https://recorder.lan:8443/",
            "null",
            "",
        ] {
            assert_eq!(page(&[host, ("origin", origin)]), Page::Foreign, "{origin}");
        }
    }

    #[test]
    fn a_doubled_or_missing_host_or_a_foreign_fetch_is_foreign() {
        let origin = ("origin", "https://a.example");
        assert_eq!(page(&[origin]), Page::Foreign);
        assert_eq!(page(&[("host", "a.example"), ("host", "b.example"), origin]), Page::Foreign);
        assert_eq!(page(&[("host", "a.example"), origin, origin]), Page::Foreign);
        assert_eq!(page(&[("host", "a.example"), origin, ("sec-fetch-site", "cross-site")]), Page::Foreign);
        assert_eq!(page(&[("host", "a.example"), ("sec-fetch-site", "same-site")]), Page::Foreign);
        assert_eq!(page(&[("host", "a.example"), ("sec-fetch-site", "same-origin")]), Page::Unnamed);
    }
}
