//! Accounts: the users and the stream keys, in memory.
//!
//! Invariants: names are unique among users and among keys; once there is a user there is an owner; neither
//! list grows beyond its limit. No password and no key can be read back out.
//!
//! Does not belong here: the form on disk (`config.rs`), hashing (`password.rs`), sessions (`session.rs`).

use std::collections::BTreeMap;

use hal::WallTime;

use crate::error::AuthError;
use crate::name::UserName;
use crate::password::StoredPassword;
use crate::random;
use crate::role::Role;
use crate::stream_key::StreamKeyVerifier;

/// Users; a large site has a few dozen people.
pub const MAX_USERS: usize = 64;
/// Stream keys: one for each viewer or wall.
pub const MAX_STREAM_KEYS: usize = 64;
/// The realm of RTSP Digest (RFC 7616 section 3.3). Changing it makes all stream keys useless.
pub const REALM: &str = "Candor";

/// 128 bits.
const STREAM_KEY_BYTES: usize = 16;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// What they may do.
    pub role: Role,
    /// What is kept of their password.
    pub password: StoredPassword,
    /// When they were added.
    pub created: WallTime,
}

/// A stream key, without the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamKey {
    /// What RTSP Digest needs of it.
    pub verifier: StreamKeyVerifier,
    /// When it was made.
    pub created: WallTime,
    /// Whether it is good for what was recorded too, and not for what happens now alone.
    pub replay: bool,
}

/// All users and stream keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    users: BTreeMap<UserName, User>,
    stream_keys: BTreeMap<UserName, StreamKey>,
}

impl Accounts {
    /// Whether the recorder has an owner.
    #[must_use]
    pub fn claimed(&self) -> bool {
        self.owners() > 0
    }

    /// All users, by name.
    pub fn users(&self) -> impl Iterator<Item = (&UserName, &User)> {
        self.users.iter()
    }

    /// The user that `name` names, however it is written; `None` too for what is no name.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<(&UserName, &User)> {
        self.users.get_key_value(&name.parse().ok()?)
    }

    /// Adds a user. The first one must be an owner.
    ///
    /// # Errors
    /// `Conflict` when the name is taken or nobody would be owner, `Full`.
    pub fn add_user(&mut self, name: UserName, user: User) -> Result<(), AuthError> {
        if self.users.contains_key(&name) {
            return Err(AuthError::Taken(name.to_string()));
        }
        if self.users.len() >= MAX_USERS {
            return Err(AuthError::Full { what: "users", max: MAX_USERS });
        }
        if user.role != Role::Owner && !self.claimed() {
            return Err(AuthError::LastOwner);
        }
        self.users.insert(name, user);
        Ok(())
    }

    /// Gives `name` another password; end their sessions then.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn set_password(&mut self, name: &UserName, password: StoredPassword) -> Result<(), AuthError> {
        self.user_mut(name)?.password = password;
        Ok(())
    }

    /// Gives `name` another role; end their sessions then.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` when nobody would be owner.
    pub fn set_role(&mut self, name: &UserName, role: Role) -> Result<(), AuthError> {
        let owners = self.owners();
        let user = self.user_mut(name)?;
        if user.role == Role::Owner && role != Role::Owner && owners == 1 {
            return Err(AuthError::LastOwner);
        }
        user.role = role;
        Ok(())
    }

    /// Removes `name`; end their sessions then.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` when nobody would be owner.
    pub fn remove_user(&mut self, name: &UserName) -> Result<(), AuthError> {
        if self.user_mut(name)?.role == Role::Owner && self.owners() == 1 {
            return Err(AuthError::LastOwner);
        }
        self.users.remove(name);
        Ok(())
    }

    /// All stream keys, by name.
    pub fn stream_keys(&self) -> impl Iterator<Item = (&UserName, &StreamKey)> {
        self.stream_keys.iter()
    }

    /// What RTSP Digest needs of the key `name`.
    #[must_use]
    pub fn stream_key(&self, name: &str) -> Option<&StreamKeyVerifier> {
        self.key(name).map(|key| &key.verifier)
    }

    /// Whether the key `name` is good for what was recorded too.
    #[must_use]
    pub fn may_replay(&self, name: &str) -> bool {
        self.key(name).is_some_and(|key| key.replay)
    }

    /// Makes a stream key, for live streams and recordings, and gives the only copy of it: 26 signs.
    ///
    /// # Errors
    /// `Conflict` when the name is taken, `Full`, `Internal` without randomness.
    pub fn make_stream_key(&mut self, name: UserName, now: WallTime) -> Result<String, AuthError> {
        // Lower case, because it is typed on phones and read aloud.
        let key = random::word::<STREAM_KEY_BYTES>()?.to_ascii_lowercase();
        let verifier = StreamKeyVerifier::derive(name.as_str(), REALM, &key);
        self.add_stream_key(name, StreamKey { verifier, created: now, replay: true })?;
        Ok(key)
    }

    /// Adds a stream key that was made before.
    ///
    /// # Errors
    /// `Conflict` when the name is taken, `Full`.
    pub fn add_stream_key(&mut self, name: UserName, key: StreamKey) -> Result<(), AuthError> {
        if self.stream_keys.contains_key(&name) {
            return Err(AuthError::Taken(name.to_string()));
        }
        if self.stream_keys.len() >= MAX_STREAM_KEYS {
            return Err(AuthError::Full { what: "stream keys", max: MAX_STREAM_KEYS });
        }
        self.stream_keys.insert(name, key);
        Ok(())
    }

    /// Says whether a stream key is good for recordings too; end what is watched with it otherwise.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn set_replay(&mut self, name: &UserName, replay: bool) -> Result<(), AuthError> {
        let key = self.stream_keys.get_mut(name);
        key.ok_or_else(|| AuthError::NotFound(format!("stream key {name}")))?.replay = replay;
        Ok(())
    }

    /// Removes a stream key; end what is watched with it then.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn remove_stream_key(&mut self, name: &UserName) -> Result<(), AuthError> {
        match self.stream_keys.remove(name) {
            Some(_) => Ok(()),
            None => Err(AuthError::NotFound(format!("stream key {name}"))),
        }
    }

    /// Digest hashes the name as the client wrote it, so it must be written exactly.
    fn key(&self, name: &str) -> Option<&StreamKey> {
        self.stream_keys.iter().find(|(known, _)| known.as_str() == name).map(|(_, key)| key)
    }

    fn owners(&self) -> usize {
        self.users.values().filter(|user| user.role == Role::Owner).count()
    }

    fn user_mut(&mut self, name: &UserName) -> Result<&mut User, AuthError> {
        self.users.get_mut(name).ok_or_else(|| AuthError::NotFound(format!("user {name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime::from_unix_micros(1_795_168_800_000_000);
    const PHC: &str = "$argon2id$v=19$m=7168,t=5,p=1$c2FsdHNhbHRzYWx0c2FsdA\
                       $aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";

    fn name(text: &str) -> UserName {
        text.parse().unwrap()
    }

    fn user(role: Role) -> User {
        User { role, password: StoredPassword::from_phc(PHC).unwrap(), created: NOW }
    }

    #[test]
    fn there_is_always_an_owner() {
        let mut accounts = Accounts::default();
        assert!(!accounts.claimed());
        assert_eq!(accounts.add_user(name("bert"), user(Role::Viewer)), Err(AuthError::LastOwner));
        accounts.add_user(name("anna"), user(Role::Owner)).unwrap();
        accounts.add_user(name("bert"), user(Role::Viewer)).unwrap();
        assert!(accounts.claimed());
        assert_eq!(accounts.remove_user(&name("anna")), Err(AuthError::LastOwner));
        assert_eq!(accounts.set_role(&name("anna"), Role::Viewer), Err(AuthError::LastOwner));
        accounts.set_role(&name("bert"), Role::Owner).unwrap();
        accounts.remove_user(&name("anna")).unwrap();
        assert!(accounts.claimed());
    }

    #[test]
    fn names_are_unique_however_they_are_written_and_lists_are_bounded() {
        let mut accounts = Accounts::default();
        accounts.add_user(name("anna"), user(Role::Owner)).unwrap();
        assert_eq!(accounts.add_user(name("ANNA"), user(Role::Owner)), Err(AuthError::Taken("anna".into())));
        assert!(accounts.user("Anna").is_some());
        assert!(accounts.user("an na").is_none());
        for n in 1..MAX_USERS {
            accounts.add_user(name(&format!("user{n}")), user(Role::Viewer)).unwrap();
        }
        assert!(matches!(accounts.add_user(name("more"), user(Role::Viewer)), Err(AuthError::Full { .. })));
        assert!(matches!(
            accounts.set_password(&name("nobody"), user(Role::Owner).password),
            Err(AuthError::NotFound(_))
        ));
    }

    #[test]
    fn a_stream_key_is_shown_once_and_its_verifier_kept() {
        let mut accounts = Accounts::default();
        let key = accounts.make_stream_key(name("wall"), NOW).unwrap();
        assert_eq!(key.len(), 26);
        assert_eq!(accounts.stream_key("wall"), Some(&StreamKeyVerifier::derive("wall", REALM, &key)));
        assert_eq!(accounts.stream_key("WALL"), None);
        assert!(accounts.may_replay("wall") && !accounts.may_replay("WALL"));
        accounts.set_replay(&name("wall"), false).unwrap();
        assert!(!accounts.may_replay("wall"));
        assert!(matches!(accounts.set_replay(&name("other"), true), Err(AuthError::NotFound(_))));
        assert_eq!(accounts.make_stream_key(name("wall"), NOW), Err(AuthError::Taken("wall".into())));
        assert!(!format!("{accounts:?}").contains(&key));
        accounts.remove_stream_key(&name("wall")).unwrap();
        assert_eq!(accounts.stream_key("wall"), None);
        assert!(matches!(accounts.remove_stream_key(&name("wall")), Err(AuthError::NotFound(_))));
        let other = accounts.make_stream_key(name("wall"), NOW).unwrap();
        assert_ne!(key, other);
    }
}
