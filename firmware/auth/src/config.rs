//! The accounts as they are kept on disk.
//!
//! Reading checks everything again that holds in memory, so that a file that was edited by hand or damaged is
//! refused with words and not half taken. The file is as secret as what is in it: hashes of passwords, and
//! verifiers of stream keys.
//!
//! Does not belong here: files (the daemon's), and the rules themselves.

use std::fmt;

use data_encoding::HEXLOWER;
use hal::WallTime;
use serde::{Deserialize, Serialize};

use crate::accounts::{Accounts, StreamKey, User};
use crate::error::AuthError;
use crate::name::UserName;
use crate::password::StoredPassword;
use crate::role::Role;
use crate::stream_key::StreamKeyVerifier;

/// The form of this file; another one is refused.
pub const CONFIG_VERSION: u32 = 1;

/// All accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountsConfig {
    /// [`CONFIG_VERSION`].
    pub version: u32,
    /// The users.
    #[serde(default)]
    pub users: Vec<UserConfig>,
    /// The stream keys.
    #[serde(default)]
    pub stream_keys: Vec<StreamKeyConfig>,
}

/// One user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserConfig {
    /// The name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// A PHC string.
    pub password: String,
    /// When they were added.
    pub created_unix_micros: i64,
}

/// One stream key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamKeyConfig {
    /// The name.
    pub name: String,
    /// H(name:realm:key) with MD5, in hexadecimal.
    pub ha1_md5: String,
    /// H(name:realm:key) with SHA-256, in hexadecimal.
    pub ha1_sha256: String,
    /// When it was made.
    pub created_unix_micros: i64,
    /// Whether it is good for recordings too. Not written where it is: older programs know no such field, and their keys are.
    #[serde(default = "yes", skip_serializing_if = "is_so")]
    pub replay: bool,
}

impl fmt::Debug for UserConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserConfig")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for StreamKeyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamKeyConfig").field("name", &self.name).finish_non_exhaustive()
    }
}

impl From<&Accounts> for AccountsConfig {
    fn from(accounts: &Accounts) -> Self {
        let users = accounts.users().map(|(name, user)| UserConfig {
            name: name.to_string(),
            role: user.role,
            password: user.password.as_phc().to_owned(),
            created_unix_micros: user.created.as_unix_micros(),
        });
        let stream_keys = accounts.stream_keys().map(|(name, key)| StreamKeyConfig {
            name: name.to_string(),
            ha1_md5: HEXLOWER.encode(&key.verifier.ha1_md5),
            ha1_sha256: HEXLOWER.encode(&key.verifier.ha1_sha256),
            created_unix_micros: key.created.as_unix_micros(),
            replay: key.replay,
        });
        Self { version: CONFIG_VERSION, users: users.collect(), stream_keys: stream_keys.collect() }
    }
}

impl TryFrom<&AccountsConfig> for Accounts {
    type Error = AuthError;

    fn try_from(config: &AccountsConfig) -> Result<Self, AuthError> {
        if config.version != CONFIG_VERSION {
            return Err(AuthError::Config(format!(
                "version {} is not known, only {CONFIG_VERSION}",
                config.version
            )));
        }
        let mut accounts = Self::default();
        // Owners first: the rule that there is one holds at every step.
        let (owners, others): (Vec<_>, Vec<_>) =
            config.users.iter().partition(|user| user.role == Role::Owner);
        for user in owners.into_iter().chain(others) {
            let about = |error| AuthError::Config(format!("user {:?}: {error}", user.name));
            let password = StoredPassword::from_phc(&user.password).map_err(about)?;
            let created = WallTime::from_unix_micros(user.created_unix_micros);
            let name = written_as_kept(&user.name).map_err(about)?;
            accounts.add_user(name, User { role: user.role, password, created }).map_err(about)?;
        }
        for key in &config.stream_keys {
            let about = |error| AuthError::Config(format!("stream key {:?}: {error}", key.name));
            let verifier = StreamKeyVerifier {
                ha1_md5: hex(&key.ha1_md5).map_err(about)?,
                ha1_sha256: hex(&key.ha1_sha256).map_err(about)?,
            };
            let created = WallTime::from_unix_micros(key.created_unix_micros);
            let name = written_as_kept(&key.name).map_err(about)?;
            accounts
                .add_stream_key(name, StreamKey { verifier, created, replay: key.replay })
                .map_err(about)?;
        }
        Ok(accounts)
    }
}

/// A verifier is of the name as it is written, so another way of writing it is not taken here.
fn written_as_kept(text: &str) -> Result<UserName, AuthError> {
    let name: UserName = text.parse()?;
    if name.as_str() == text { Ok(name) } else { Err(AuthError::Name) }
}

fn yes() -> bool {
    true
}

fn is_so(given: &bool) -> bool {
    *given
}

fn hex<const N: usize>(text: &str) -> Result<[u8; N], AuthError> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| AuthError::Config(format!("its verifier is not {N} bytes in hexadecimal")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHC: &str = "$argon2id$v=19$m=7168,t=5,p=1$c2FsdHNhbHRzYWx0c2FsdA\
                       $aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";

    fn config() -> AccountsConfig {
        let user = |name: &str, role| UserConfig {
            name: name.into(),
            role,
            password: PHC.into(),
            created_unix_micros: 7,
        };
        let key = StreamKeyConfig {
            name: "wall".into(),
            ha1_md5: "00".repeat(16),
            ha1_sha256: "ff".repeat(32),
            created_unix_micros: 9,
            replay: true,
        };
        AccountsConfig {
            version: CONFIG_VERSION,
            users: vec![user("anna", Role::Viewer), user("zoe", Role::Owner)],
            stream_keys: vec![key],
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let accounts = Accounts::try_from(&config()).unwrap();
        assert_eq!(AccountsConfig::from(&accounts), config());
        let text = serde_json::to_string(&config()).unwrap();
        assert_eq!(serde_json::from_str::<AccountsConfig>(&text).unwrap(), config());
        assert!(!text.contains("replay"), "as older programs wrote it");
        let mut live = config();
        live.stream_keys[0].replay = false;
        let text = serde_json::to_string(&live).unwrap();
        let live = Accounts::try_from(&serde_json::from_str::<AccountsConfig>(&text).unwrap()).unwrap();
        assert!(accounts.may_replay("wall") && !live.may_replay("wall"));
        let empty: AccountsConfig = serde_json::from_str("{\"version\":1}").unwrap();
        assert_eq!(Accounts::try_from(&empty).unwrap(), Accounts::default());
        assert!(serde_json::from_str::<AccountsConfig>("{\"version\":1,\"user\":[]}").is_err());
        assert!(!format!("{:?}", config()).contains("argon2"));
    }

    #[test]
    fn damage_is_refused_and_named() {
        type Damage = fn(&mut AccountsConfig);
        let damages: [(Damage, &str); 8] = [
            (|config| config.version = 2, "version 2"),
            (|config| config.users[1].role = Role::Viewer, "owner"),
            (|config| config.users[0].name = "zoe".into(), "taken"),
            (|config| config.users[0].name = "Anna".into(), "\"Anna\""),
            (|config| config.users[0].password = "secret".into(), "\"anna\""),
            (|config| config.stream_keys[0].ha1_md5.push('0'), "16 bytes"),
            (|config| config.stream_keys[0].ha1_sha256 = "xy".repeat(32), "32 bytes"),
            (|config| config.stream_keys.push(config.stream_keys[0].clone()), "taken"),
        ];
        for (damage, words) in damages {
            let mut config = config();
            damage(&mut config);
            let error = Accounts::try_from(&config).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(error.kind(), crate::error::ErrorKind::Invalid);
        }
    }
}
