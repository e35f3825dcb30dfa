//! Settings of one camera: what people enter, and what that becomes.
//!
//! Invariant: a [`CameraConfig`]'s address holds no login; whoever shows or logs it shows no password.

use hal::ChannelId;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::{ErrorKind, IngestError};
use crate::secret::Secret;

/// The longest address: cameras' own are under 200 bytes, and a request line repeats it.
pub const MAX_URL_BYTES: usize = 1024;

/// The longest user name and password: what Hikvision, Dahua and Axis accept is 32 to 64.
pub const MAX_CREDENTIAL_BYTES: usize = 128;

/// RTSP's port (RFC 2326 section 3.2).
const DEFAULT_PORT: u16 = 554;

/// How RTP comes from the camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Interleaved in the RTSP connection (RFC 2326 section 10.12): nothing is lost on a good network.
    #[default]
    Tcp,
    /// In datagrams of its own: for cameras that cannot do the other. Late datagrams are lost.
    Udp,
}

/// A camera as people enter it; unchecked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraSettings {
    /// The channel that shows it.
    pub channel: ChannelId,
    /// `rtsp://host[:port]/path`; a login in it is taken out of it.
    pub url: Secret,
    /// The camera's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// How RTP comes.
    #[serde(default)]
    pub transport: Transport,
}

/// A camera's settings, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "CameraSettings", into = "CameraSettings")]
pub struct CameraConfig {
    channel: ChannelId,
    url: Url,
    user: Option<String>,
    password: Option<Secret>,
    transport: Transport,
}

impl CameraConfig {
    /// Checks the settings. A login in the address is used unless `user` is given as well.
    ///
    /// # Errors
    /// `Url`, `User` or `Password`: what is wrong with which field, for people, without its content.
    pub fn new(settings: CameraSettings) -> Result<Self, IngestError> {
        let (url, login) = parse_url(settings.url.reveal())?;
        let (user, password) = match settings.user.filter(|user| !user.is_empty()) {
            Some(user) => (Some(user), settings.password),
            None => match login {
                Some((user, password)) => (Some(user), password.or(settings.password)),
                None => (None, settings.password),
            },
        };
        let password = password.filter(|password| !password.reveal().is_empty());
        check_credential(ErrorKind::User, "the user's name", user.as_deref().unwrap_or_default())?;
        check_credential(
            ErrorKind::Password,
            "the password",
            password.as_ref().map(Secret::reveal).unwrap_or_default(),
        )?;
        if user.is_none() && password.is_some() {
            return Err(IngestError::new(ErrorKind::User, "a password needs a user's name beside it"));
        }
        Ok(Self { channel: settings.channel, url, user, password, transport: settings.transport })
    }

    /// The channel that shows it.
    #[must_use]
    pub fn channel(&self) -> ChannelId {
        self.channel
    }

    /// Its address, without a login.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its user.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The user's password.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// How RTP comes.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Host and port. All that is said of the address in messages and logs: some cameras want their password
    /// in the path.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.url.host_str().unwrap_or_default(), self.port())
    }

    /// The port, RTSP's own where the address has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.port().unwrap_or(DEFAULT_PORT)
    }
}

impl TryFrom<CameraSettings> for CameraConfig {
    type Error = IngestError;

    fn try_from(settings: CameraSettings) -> Result<Self, IngestError> {
        Self::new(settings)
    }
}

impl From<CameraConfig> for CameraSettings {
    fn from(config: CameraConfig) -> Self {
        Self {
            channel: config.channel,
            url: Secret::new(config.url),
            user: config.user,
            password: config.password,
            transport: config.transport,
        }
    }
}

type Login = (String, Option<Secret>);

fn parse_url(text: &str) -> Result<(Url, Option<Login>), IngestError> {
    let refuse = |what: String| Err(IngestError::new(ErrorKind::Url, what));
    let text = text.trim();
    if text.is_empty() {
        return refuse("the camera's address is missing; it looks like rtsp://192.0.2.10/stream".into());
    }
    if text.len() > MAX_URL_BYTES {
        return refuse(format!("the camera's address is longer than {MAX_URL_BYTES} bytes"));
    }
    let mut url = match Url::parse(text) {
        Ok(url) => url,
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            return refuse(
                "the camera's address must begin with rtsp://, as in rtsp://192.0.2.10/stream".into(),
            );
        }
        Err(error) => {
            return refuse(format!(
                "the camera's address cannot be read: {error} (a login has fields of its own)"
            ));
        }
    };
    match url.scheme() {
        "rtsp" => {}
        "rtsps" => {
            return refuse(
                "cameras behind rtsps:// (TLS) are not supported yet; use the camera's rtsp:// address"
                    .into(),
            );
        }
        "http" | "https" => {
            return refuse("this is a web address; the camera's RTSP address begins with rtsp://".into());
        }
        // The scheme is not repeated: in user:password@host it is the user.
        _ => return refuse("the camera's address must begin with rtsp://".into()),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return refuse("the camera's address names no host, as in rtsp://192.0.2.10/stream".into());
    }
    if url.port() == Some(0) {
        return refuse("port 0 is none that a camera can have".into());
    }
    let login = (!url.username().is_empty() || url.password().is_some()).then(|| {
        let password = url.password().map(|password| Secret::new(decode(password)));
        (decode(url.username()), password)
    });
    // Both can be taken out of any address that has a host.
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return refuse("the login cannot be taken out of the camera's address".into());
    }
    url.set_fragment(None);
    Ok((url, login))
}

/// Percent-decodes a part of an address (RFC 3986 section 2.1); what is not UTF-8 afterwards stays as it was.
fn decode(part: &str) -> String {
    let pair = format!("x={}", part.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map_or_else(|| part.to_owned(), |(_, value)| value.into_owned())
}

fn check_credential(kind: ErrorKind, name: &str, text: &str) -> Result<(), IngestError> {
    if text.len() > MAX_CREDENTIAL_BYTES {
        return Err(IngestError::new(kind, format!("{name} is longer than {MAX_CREDENTIAL_BYTES} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(IngestError::new(kind, format!("{name} holds a control character")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings(url: &str) -> CameraSettings {
        CameraSettings {
            channel: ChannelId::new(3).unwrap(),
            url: Secret::new(url),
            user: None,
            password: None,
            transport: Transport::Tcp,
        }
    }

    #[test]
    fn a_login_is_taken_out_of_the_address() {
        let config =
            CameraConfig::new(settings("rtsp://ad%40min:p%2Fa+ss%25@cam.example:8554/a?b=c#d")).unwrap();
        assert_eq!(config.url().as_str(), "rtsp://cam.example:8554/a?b=c");
        assert_eq!(config.user(), Some("ad@min"));
        assert_eq!(config.password().unwrap().reveal(), "p/a+ss%");
        assert_eq!(config.authority(), "cam.example:8554");
        assert!(!format!("{config:?}").contains("p/a"), "{config:?}");

        let both = CameraSettings {
            user: Some("u".into()),
            password: Some(Secret::new("w")),
            ..settings("rtsp://a:b@c/")
        };
        let config = CameraConfig::new(both).unwrap();
        assert_eq!((config.user(), config.password().unwrap().reveal()), (Some("u"), "w"));
        assert_eq!(config.port(), 554);
    }

    #[test]
    fn settings_survive_json_and_are_checked_on_the_way_in() {
        let config = CameraConfig::new(settings("rtsp://u:geheim@[2001:db8::1]/x")).unwrap();
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<CameraConfig>(&json).unwrap(), config);
        let error = serde_json::from_str::<CameraConfig>(r#"{"channel":1,"url":"rtsps://h/"}"#).unwrap_err();
        assert!(error.to_string().contains("TLS"), "{error}");
        assert!(serde_json::from_str::<CameraConfig>(r#"{"channel":65,"url":"rtsp://h/"}"#).is_err());
        assert!(serde_json::from_str::<CameraConfig>(r#"{"channel":1,"url":"rtsp://h/","x":1}"#).is_err());
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        let long = format!("rtsp://h/{}", "x".repeat(MAX_URL_BYTES));
        let cases = [
            ("", "missing"),
            ("192.0.2.1/stream", "begin with rtsp://"),
            ("geheim:geheim@192.0.2.1", "begin with rtsp://"),
            ("http://geheim:geheim@h/", "web address"),
            ("rtsps://h/", "TLS"),
            ("rtsp:///geheim", "host"),
            ("rtsp://h:0/", "port 0"),
            ("rtsp://geheim:geheim@h:99999/", "cannot be read"),
            (&long, "longer"),
        ];
        for (url, expected) in cases {
            let error = CameraConfig::new(settings(url)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Url, "{url}");
            assert!(error.to_string().contains(expected), "{url}: {error}");
            assert!(!error.to_string().contains("geheim"), "{url}: {error}");
        }
        let secret = || Some(Secret::new("geheim"));
        let error =
            CameraConfig::new(CameraSettings { password: secret(), ..settings("rtsp://h/") }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::User);
        let user = Some("u\r\nX: y".to_owned());
        let error = CameraConfig::new(CameraSettings { user, ..settings("rtsp://h/") }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::User);
        let password = Some(Secret::new("p".repeat(129)));
        let error =
            CameraConfig::new(CameraSettings { user: Some("u".into()), password, ..settings("rtsp://h/") })
                .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Password);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_address_makes_it_panic_and_none_keeps_its_login(text in "\\PC{0,40}", user in "[a-z@:%/]{1,9}") {
            let _ = CameraConfig::new(settings(&text));
            if let Ok(config) = CameraConfig::new(settings(&format!("rtsp://{user}:secret@h/{text}"))) {
                prop_assert!(config.url().password().is_none() && config.url().username().is_empty());
            }
        }
    }
}
