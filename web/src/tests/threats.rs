//! Published requests that opened other recorders: here each is refused.
//!
//! Asked without a session, as viewer and as owner, before and after claiming.
//!
//! Does not belong here: what is sent to other ports or protocols.

use http::Method;

use super::ask::{Asked, request};
use crate::views::Role;

/// Method, address, and what it was known as.
const REQUESTS: [(&str, &str, &str); 33] = [
    ("GET", "/device.rsp?opt=user&cmd=list", "CVE-2018-9995"),
    ("POST", "/device.rsp?opt=sys&cmd=___S_O_S_T_R_E_A_MAX___&mdb=sos&mdc=id", "CVE-2024-3721"),
    ("GET", "/System/configurationFile?auth=YWRtaW46MTEK", "CVE-2017-7921"),
    ("GET", "/?auth=YWRtaW46MTEK", "CVE-2017-7921"),
    ("GET", "/live?auth=YWRtaW46MTEK", "CVE-2017-7921"),
    ("GET", "/api/v1/state?auth=YWRtaW46MTEK", "CVE-2017-7921"),
    ("GET", "/api/v1/channels?AUTH=YWRtaW46MTEK", "CVE-2017-7921"),
    ("PUT", "/SDK/webLanguage", "CVE-2021-36260"),
    ("GET", "/current_config/passwd", "Dahua 2017"),
    ("GET", "/current_config/Account1", "Dahua 2017"),
    ("POST", "/RPC2_Login", "CVE-2021-33044"),
    ("GET", "/cgi-bin/audio/audio.cgi", "CVE-2019-3948"),
    ("GET", "/shell?cat%20/etc/passwd", "CVE-2016-20016"),
    ("GET", "/shell?id", "CVE-2016-20016"),
    ("POST", "/doLogin", "TVT 2018"),
    ("GET", "/queryDevInfo", "CVE-2024-7339"),
    ("POST", "/cgi-bin/cgi_main.cgi?ntp=%60id%60", "CVE-2023-52163"),
    ("GET", "/cgi-bin/supervisor/Factory.cgi?action=white_led&brightness=$(id)", "CVE-2024-7029"),
    ("GET", "/system.ini?loginuse&loginpas", "CVE-2017-8225"),
    ("GET", "/cgi-bin/main-cgi?json={%22cmd%22:255}", "Uniview 2017"),
    ("GET", "/UserCreat.cgi?admin_username=x", "Geovision 2018"),
    ("PUT", "/PSIA/System/updateFirmware", "Geovision 2018"),
    ("PUT", "/PSIA/System/factoryReset", "Geovision 2018"),
    ("POST", "/onvif/device_service", "CVE-2025-65856"),
    ("GET", "/../../etc/passwd", "CVE-2017-7577"),
    ("GET", "/..%2f..%2fetc%2fpasswd", "CVE-2017-7577"),
    ("GET", "/%2e%2e/%2e%2e/etc/passwd", "CVE-2017-7577"),
    ("GET", "/assets/../../Cargo.toml", "CVE-2017-7577"),
    ("GET", "/assets/..\\..\\Cargo.toml", "CVE-2017-7577"),
    ("GET", "/assets/", "directory listing"),
    ("GET", "/assets", "directory listing"),
    ("GET", "//etc/passwd", "CVE-2017-7577"),
    ("GET", "/index.html%00.png", "CVE-2017-7577"),
];

#[tokio::test]
async fn published_requests_are_refused_whoever_asks() {
    for asked in [Asked::new(), Asked::unclaimed()] {
        for (method, path, known_as) in REQUESTS {
            for who in [None, Some(Role::Viewer), Some(Role::Owner)] {
                let asking = request(method.parse().unwrap(), &path.replace('\\', "%5c"));
                let asking = match who {
                    Some(role) => asking.of(role),
                    None => asking.header("cookie", "uid=admin"),
                };
                let answer = asked.ask(asking.bare()).await;
                let (status, _) = answer.refusal();
                assert!((400..500).contains(&status), "{known_as}: {method} {path} {who:?}: {status}");
            }
        }
        assert!(asked.calls().is_empty());
    }
}

#[tokio::test]
async fn identity_comes_from_the_cookie_only() {
    let asked = Asked::new();
    for (name, value) in [
        ("authorization", "Basic YWRtaW46YWRtaW4="),
        ("authorization", "Bearer ooooooooooooooooooooooooooooooooooooooooooo"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-user", "owner"),
        ("x-real-ip", "127.0.0.1"),
        ("x-original-url", "/api/v1/state"),
        ("x-http-method-override", "GET"),
        ("cookie", "uid=admin"),
        ("cookie", "candor=ooooooooooooooooooooooooooooooooooooooooooo"),
        ("cookie", "session=ooooooooooooooooooooooooooooooooooooooooooo"),
    ] {
        let asking = request(Method::GET, "/api/v1/cameras").header(name, value);
        assert_eq!(asked.ask(asking.bare()).await.refusal(), (401, "not_signed_in".into()), "{name}");
    }
    assert!(asked.calls().is_empty());
}

#[tokio::test]
async fn overlong_cookies_are_refused_everywhere() {
    let asked = Asked::new();
    for path in ["/", "/live", "/api/v1/state", "/api/v1/channels", "/nothing"] {
        for bytes in [4096, 10_000] {
            let asking = request(Method::GET, path).of(Role::Owner);
            let answer = asked.ask(asking.header("cookie", &format!("x={}", "y".repeat(bytes))).bare()).await;
            assert_eq!(answer.refusal(), (400, "cookies_too_long".into()), "{path} {bytes}");
        }
    }
    assert!(asked.calls().is_empty());
}
