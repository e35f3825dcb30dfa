//! Who may call what: every route, against a second table made by hand.
//!
//! Does not belong here: what a call answers when it may be made.

use http::header::SET_COOKIE;

use super::ask::{Asked, asking, request};
use super::memory::{PASSWORD, RECOVERY_KEY, SETUP_CODE, csrf, token};
use crate::openapi::{document, operation};
use crate::routes::{Access, Op, ROUTES, Route};
use crate::views::Role;

const ROLES: [Role; 4] = [Role::Viewer, Role::Operator, Role::Integrator, Role::Owner];

/// What the API promises; not made from the table, so that a slip there is seen.
const PROMISED: [(&str, &str, &str); 47] = [
    ("GET", "/state", "anyone"),
    ("GET", "/openapi.json", "anyone"),
    ("POST", "/claim", "unclaimed"),
    ("POST", "/session", "anyone"),
    ("GET", "/session", "viewer"),
    ("DELETE", "/session", "viewer"),
    ("GET", "/channels", "viewer"),
    ("PUT", "/channels/{n}", "owner"),
    ("POST", "/channels/{n}/event", "owner"),
    ("GET", "/cameras", "owner"),
    ("POST", "/cameras", "owner"),
    ("PUT", "/cameras/{n}", "owner"),
    ("DELETE", "/cameras/{n}", "owner"),
    ("GET", "/channels/{n}/{stream}/live", "viewer"),
    ("GET", "/timeline", "viewer"),
    ("GET", "/channels/{n}/recording", "viewer"),
    ("GET", "/channels/{n}/recording.mp4", "viewer"),
    ("GET", "/channels/{n}/playback.mp4", "viewer"),
    ("GET", "/export.mp4", "viewer"),
    ("GET", "/export.zip", "viewer"),
    ("GET", "/system", "viewer"),
    ("GET", "/trust", "viewer"),
    ("GET", "/ledger", "owner"),
    ("GET", "/updates", "viewer"),
    ("GET", "/stream-keys", "owner"),
    ("POST", "/stream-keys", "owner"),
    ("DELETE", "/stream-keys/{name}", "owner"),
    ("GET", "/settings", "viewer"),
    ("PUT", "/settings", "owner"),
    ("GET", "/update", "viewer"),
    ("POST", "/update", "owner"),
    ("DELETE", "/update", "owner"),
    ("POST", "/update/usb", "owner"),
    ("POST", "/update/presence", "owner"),
    ("PUT", "/update/owner-key", "owner"),
    ("DELETE", "/update/owner-key", "owner"),
    ("POST", "/restart", "owner"),
    ("POST", "/disks/{device}/format", "owner"),
    ("POST", "/storage/recovery-key", "owner"),
    ("POST", "/storage/unlock", "owner"),
    ("POST", "/storage/erase", "owner"),
    ("GET", "/locks", "owner"),
    ("POST", "/locks", "owner"),
    ("DELETE", "/locks/{id}", "owner"),
    ("GET", "/deletions", "owner"),
    ("POST", "/deletions/scope", "owner"),
    ("POST", "/deletions", "owner"),
];

/// The routes for which `who` was promised, as the tests below go through them.
fn promised_to(who: &str) -> impl Iterator<Item = &'static Route> {
    PROMISED.iter().filter(move |(_, _, promised)| *promised == who).map(|(method, path, _)| {
        let same = |route: &&Route| route.method.as_str() == *method && route.path == *path;
        ROUTES.iter().find(same).unwrap_or_else(|| panic!("{method} {path} has no route"))
    })
}

fn signed_in() -> impl Iterator<Item = (&'static Route, Role)> {
    let viewers = promised_to("viewer").map(|route| (route, Role::Viewer));
    viewers.chain(promised_to("owner").map(|route| (route, Role::Owner)))
}

fn changes(route: &Route) -> bool {
    route.method != http::Method::GET
}

/// A route in the document that is not in [`PROMISED`] has no authorisation test: then this fails.
#[test]
fn every_documented_call_has_an_authorisation_test() {
    let mut documented = Vec::new();
    for (path, item) in &document().paths.paths {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"] {
            let method: http::Method = method.parse().unwrap();
            if operation(&mut item.clone(), &method).is_some() {
                documented.push((method.to_string(), path.clone()));
            }
        }
        assert!(item.patch.is_none() && item.head.is_none() && item.options.is_none());
    }
    let mut promised: Vec<_> =
        PROMISED.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    documented.sort();
    promised.sort();
    assert_eq!(documented, promised);
    assert_eq!(ROUTES.len(), PROMISED.len());
    assert_eq!(promised_to("anyone").count() + promised_to("unclaimed").count() + signed_in().count(), 47);
}

#[test]
fn the_table_keeps_the_promises() {
    assert!(promised_to("anyone").all(|route| route.access == Access::Anyone));
    assert!(promised_to("unclaimed").all(|route| route.access == Access::Unclaimed));
    assert!(signed_in().all(|(route, role)| route.access == Access::Role(role)));
}

#[tokio::test]
async fn without_a_session_nothing_answers() {
    let asked = Asked::new();
    for (route, _) in signed_in() {
        let nobody = asked.ask(asking(route, |asking| asking)).await;
        assert_eq!(nobody.refusal(), (401, "not_signed_in".into()), "{route:?}");
        for token in ["", "x", &"x".repeat(43), &"v".repeat(42), &"v".repeat(44), &"%".repeat(43)] {
            let forged = asked.ask(asking(route, |asking| asking.cookie(token))).await;
            assert_eq!(forged.refusal(), (401, "not_signed_in".into()), "{route:?} {token}");
        }
    }
    assert!(asked.calls().is_empty());
}

#[tokio::test]
async fn every_role_may_what_it_may_and_no_more() {
    for (route, needed) in signed_in() {
        for role in ROLES {
            let asked = Asked::new();
            let answer = asked.ask(asking(route, |asking| asking.of(role))).await;
            if role < needed {
                assert_eq!(answer.refusal(), (403, "not_allowed".into()), "{route:?} {role:?}");
                assert!(asked.calls().is_empty(), "{route:?}");
            } else if route.op == Op::Live {
                assert_eq!(answer.refusal(), (400, "not_a_websocket".into()));
            } else {
                assert!(answer.status.is_success(), "{route:?} {role:?} {answer:?}");
                let only_the_gate = route.op == Op::GetSession;
                assert_eq!(asked.calls().len(), usize::from(!only_the_gate), "{route:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_changes_something_needs_the_sessions_own_csrf_token() {
    let asked = Asked::new();
    for (route, role) in signed_in().filter(|(route, _)| changes(route)) {
        let other = csrf(if role == Role::Owner { Role::Viewer } else { Role::Owner });
        for csrf in [None, Some(""), Some("wrong"), Some(other.as_str()), Some(&csrf(role)[1..])] {
            let answer = asked.ask(asking(route, |asking| asking.of(role).csrf(csrf))).await;
            assert_eq!(answer.refusal(), (403, "wrong_csrf".into()), "{route:?} {csrf:?}");
        }
    }
    assert!(asked.calls().is_empty());
}

#[tokio::test]
async fn foreign_pages_get_nothing_from_any_call() {
    for asked in [Asked::new(), Asked::unclaimed()] {
        let claimed = asked.api.claimed.load(std::sync::atomic::Ordering::SeqCst);
        for route in ROUTES.iter().filter(|route| !(claimed && route.op == Op::Claim)) {
            for origin in ["https://evil.example", "http://recorder.lan:8443", "https://recorder.lan", "null"]
            {
                let foreign =
                    asked.ask(asking(route, |asking| asking.of(Role::Owner).origin(Some(origin)))).await;
                assert_eq!(foreign.refusal(), (403, "foreign_origin".into()), "{route:?} {origin}");
            }
            let foreign =
                asking(route, |asking| asking.of(Role::Owner).header("sec-fetch-site", "cross-site"));
            assert_eq!(asked.ask(foreign).await.refusal(), (403, "foreign_origin".into()), "{route:?}");
        }
        assert!(asked.calls().is_empty());
    }
}

#[tokio::test]
async fn who_has_no_csrf_token_yet_must_name_their_origin() {
    let asked = Asked::unclaimed();
    let unnamed = ROUTES
        .iter()
        .filter(|route| route.op == Op::Live || (changes(route) && !matches!(route.access, Access::Role(_))));
    let mut count = 0;
    for route in unnamed {
        let answer = asked.ask(asking(route, |asking| asking.of(Role::Owner).origin(None))).await;
        assert_eq!(answer.refusal(), (403, "foreign_origin".into()), "{route:?}");
        count += 1;
    }
    assert_eq!(count, 3, "claim, login and live");
    assert!(asked.calls().is_empty());
    let same_origin_get = request(http::Method::GET, "/api/v1/channels").of(Role::Viewer).origin(None);
    assert!(asked.ask(same_origin_get.bare()).await.status.is_success());
}

#[tokio::test]
async fn two_session_cookies_are_none() {
    let asked = Asked::new();
    let two = request(http::Method::GET, "/api/v1/channels")
        .header("cookie", &format!("{0}={1}; {0}={2}", "__Host-candor", token(Role::Owner), "x".repeat(43)));
    assert_eq!(asked.ask(two.bare()).await.refusal().0, 401);
    let among_others = request(http::Method::GET, "/api/v1/channels")
        .header("cookie", &format!("theme=dark; __Host-candor={}; uid=admin", token(Role::Viewer)));
    assert!(asked.ask(among_others.bare()).await.status.is_success());
    assert_eq!(asked.calls(), ["channels viewer 192.0.2.7"]);
}

#[tokio::test]
async fn a_recorder_is_claimed_once() {
    let asked = Asked::unclaimed();
    let claim = |code: &str| {
        request(http::Method::POST, "/api/v1/claim")
            .json(&format!(r#"{{"setup_code":"{code}","user":"anna","password":"{PASSWORD}"}}"#))
    };
    let state = asked.get("/api/v1/state").await.json();
    assert_eq!(state, serde_json::json!({"claimed": false, "name": "Candor", "version": "0.1.0"}));
    let wrong = asked.ask(claim("0000-0000")).await;
    assert_eq!((wrong.refusal(), wrong.field()), ((401, "wrong_setup_code".into()), "setup_code".into()));
    let claimed = asked.ask(claim(SETUP_CODE)).await;
    assert_eq!(claimed.status, 201);
    let session = claimed.json();
    assert_eq!((&session["user"], &session["role"]), (&"owner".into(), &"owner".into()));
    assert_eq!(
        (&session["csrf"], &session["recovery_key"]),
        (&csrf(Role::Owner).into(), &RECOVERY_KEY.into())
    );
    assert_eq!(
        claimed.headers[SET_COOKIE],
        format!(
            "__Host-candor={}; Path=/; Max-Age=604800; Secure; HttpOnly; SameSite=Strict",
            token(Role::Owner)
        )
    );
    assert!(!String::from_utf8_lossy(&claimed.body).contains(&token(Role::Owner)));
    asked.calls();
    let again = asked.ask(claim(SETUP_CODE)).await;
    let unknown = asked.ask(request(http::Method::POST, "/api/v1/nothing").json("{}")).await;
    assert_eq!(again.refusal(), (404, "no_such_page".into()));
    assert_eq!(again.body, unknown.body, "as if it had never been there");
    assert!(asked.calls().is_empty());
}

#[tokio::test]
async fn signing_in_and_out() {
    let asked = Asked::new();
    let login = |password: &str| {
        request(http::Method::POST, "/api/v1/session")
            .json(&format!(r#"{{"user":"anna","password":"{password}"}}"#))
    };
    assert_eq!(asked.ask(login("wrong")).await.refusal(), (401, "wrong_login".into()));
    let wait = asked.ask(login("again")).await;
    assert_eq!(wait.refusal(), (429, "wait".into()));
    assert_eq!(wait.headers["retry-after"], "2", "rounded up");
    let answer = asked.ask(login(PASSWORD)).await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers.contains_key(SET_COOKIE));
    assert_eq!(asked.calls(), ["login anna 192.0.2.7"; 3]);

    let own = asked.ask(request(http::Method::GET, "/api/v1/session").of(Role::Owner).bare()).await.json();
    assert_eq!(own, serde_json::json!({"user": "owner", "role": "owner", "csrf": csrf(Role::Owner)}));
    let out = asked.ask(request(http::Method::DELETE, "/api/v1/session").of(Role::Owner).bare()).await;
    assert_eq!((out.status.as_u16(), out.body.len()), (204, 0));
    assert!(out.headers[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    let after = asked.ask(request(http::Method::GET, "/api/v1/session").of(Role::Owner).bare()).await;
    assert_eq!(after.refusal().0, 401);
}
