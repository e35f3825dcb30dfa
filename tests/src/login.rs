//! A URL with user and key, taken apart for players that want them beside it.
//!
//! Does not belong here: where such URLs come from (`recorder`).

use url::Url;

/// A stream, and how one is let in.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    /// Without user and key.
    pub(crate) url: Url,
    pub(crate) user: String,
    pub(crate) key: String,
}

impl Login {
    /// Both are empty where the URL has none.
    ///
    /// # Panics
    /// When it is no URL with a host.
    pub(crate) fn of(url: &str) -> Self {
        let mut url: Url = url.parse().expect("a URL");
        let user = url.username().to_owned();
        let key = url.password().unwrap_or_default().to_owned();
        url.set_username("").and_then(|()| url.set_password(None)).expect("a URL with a host");
        Self { url, user, key }
    }

    /// The port that the URL names.
    ///
    /// # Panics
    /// When it names none.
    pub(crate) fn port(&self) -> String {
        self.url.port().expect("a URL with a port").to_string()
    }
}
