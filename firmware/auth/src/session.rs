//! Sessions: who is signed in, from when, from where.
//!
//! In memory only, never on a disk: a restart of the recorder signs everybody out, while a crash of one process
//! does not, because another keeps what [`Sessions::keep`] gives. A token is stored as its SHA-256, so that a copy of the
//! memory's table signs nobody in, and looking it up does not tell how much of a guess was right.
//!
//! Does not belong here: the cookie (crate `web`), and what a role may do.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hal::{Clock, MonoTime, WallTime};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::error::AuthError;
use crate::name::UserName;
use crate::random;
use crate::role::Role;

/// Unused for so long, a session is over: a shift and the way home.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(12 * 3600);
/// So long after its beginning a session is over in any case.
pub const ABSOLUTE_TIMEOUT: Duration = Duration::from_secs(7 * 86_400);
/// Sessions in all; the longest unused makes room for a new one.
pub const MAX_SESSIONS: usize = 64;
/// Sessions of one user, so that nobody pushes out all others.
pub const MAX_SESSIONS_PER_USER: usize = 16;

/// What stands in the cookie and in the page of a new session; neither is kept in this form.
pub struct NewSession {
    /// The secret for the cookie: 43 characters of base64url.
    pub token: String,
    /// The session.
    pub session: Session,
}

/// A session as its own user sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Names the session in lists; not a secret.
    pub id: u64,
    /// Who.
    pub user: UserName,
    /// What the user could do when the session began.
    pub role: Role,
    /// The secret that the page sends with each change.
    pub csrf: String,
}

/// A session as others may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Names the session, to revoke it.
    pub id: u64,
    /// Who.
    pub user: UserName,
    /// What the user could do when the session began.
    pub role: Role,
    /// Where it was last used from.
    pub from: SocketAddr,
    /// When it began.
    pub began: WallTime,
    /// When it was last used.
    pub last_used: WallTime,
}

struct Entry {
    session: Session,
    from: SocketAddr,
    began: WallTime,
    last_used: WallTime,
    /// Over then, unless it is used before.
    idle_until: MonoTime,
    /// Over then in any case.
    over_at: MonoTime,
}

impl Entry {
    fn is_over(&self, now: MonoTime) -> bool {
        now >= self.idle_until || now >= self.over_at
    }
}

/// A session on its way from a process that ended to its successor. It signs nobody in: the token is hashed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSession {
    token_sha256: Hash,
    id: u64,
    user: String,
    role: Role,
    csrf: String,
    from: SocketAddr,
    began: WallTime,
    last_used: WallTime,
    idle_left: Duration,
    total_left: Duration,
}

impl fmt::Debug for KeptSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptSession").field("id", &self.id).field("user", &self.user).finish_non_exhaustive()
    }
}

type Hash = [u8; 32];

#[derive(Default)]
struct Table {
    entries: HashMap<Hash, Entry>,
    last_id: u64,
}

/// All sessions. Cheap calls, from any thread.
pub struct Sessions {
    clock: Arc<dyn Clock>,
    table: Mutex<Table>,
}

impl Sessions {
    /// None yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, table: Mutex::default() }
    }

    /// Begins a session; where there are too many, the longest unused one ends.
    ///
    /// # Errors
    /// `Internal` without randomness.
    pub fn begin(&self, user: &UserName, role: Role, from: SocketAddr) -> Result<NewSession, AuthError> {
        let (token, csrf) = (random::token()?, random::token()?);
        let (mono, wall) = (self.clock.mono(), self.clock.wall());
        let mut table = self.table();
        table.entries.retain(|_, entry| !entry.is_over(mono));
        table.make_room(MAX_SESSIONS_PER_USER, |entry| entry.session.user == *user);
        table.make_room(MAX_SESSIONS, |_| true);
        table.last_id += 1;
        let session = Session { id: table.last_id, user: user.clone(), role, csrf };
        let entry = Entry {
            session: session.clone(),
            from,
            began: wall,
            last_used: wall,
            idle_until: mono + IDLE_TIMEOUT,
            over_at: mono + ABSOLUTE_TIMEOUT,
        };
        table.entries.insert(hash(&token), entry);
        Ok(NewSession { token, session })
    }

    /// The session of `token`, which is being used from `from`; `None` when it is over or never was.
    #[must_use]
    pub fn use_from(&self, token: &str, from: SocketAddr) -> Option<Session> {
        let (mono, wall) = (self.clock.mono(), self.clock.wall());
        let hash = hash(token);
        let mut table = self.table();
        if table.entries.get(&hash)?.is_over(mono) {
            table.entries.remove(&hash);
            return None;
        }
        let entry = table.entries.get_mut(&hash)?;
        entry.from = from;
        entry.last_used = wall;
        entry.idle_until = mono + IDLE_TIMEOUT;
        Some(entry.session.clone())
    }

    /// Whether the session of `token` goes on; this is not a use of it.
    #[must_use]
    pub fn is_alive(&self, token: &str) -> bool {
        let now = self.clock.mono();
        self.table().entries.get(&hash(token)).is_some_and(|entry| !entry.is_over(now))
    }

    /// Ends the session of `token`.
    pub fn end(&self, token: &str) {
        self.table().entries.remove(&hash(token));
    }

    /// Ends the session `id`; whether there was one.
    pub fn revoke(&self, id: u64) -> bool {
        self.end_where(|entry| entry.session.id == id) > 0
    }

    /// Ends all sessions of `user`, after a change of password or role or when they leave; how many.
    pub fn revoke_user(&self, user: &UserName) -> usize {
        self.end_where(|entry| entry.session.user == *user)
    }

    /// The sessions that go on, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<SessionInfo> {
        let now = self.clock.mono();
        let table = self.table();
        let mut list: Vec<_> = table
            .entries
            .values()
            .filter(|entry| !entry.is_over(now))
            .map(|entry| SessionInfo {
                id: entry.session.id,
                user: entry.session.user.clone(),
                role: entry.session.role,
                from: entry.from,
                began: entry.began,
                last_used: entry.last_used,
            })
            .collect();
        list.sort_by_key(|session| session.id);
        list
    }

    /// All of them, for a successor of this process.
    #[must_use]
    pub fn keep(&self) -> Vec<KeptSession> {
        let now = self.clock.mono();
        let table = self.table();
        let keep = |(hash, entry): (&Hash, &Entry)| KeptSession {
            token_sha256: *hash,
            id: entry.session.id,
            user: entry.session.user.to_string(),
            role: entry.session.role,
            csrf: entry.session.csrf.clone(),
            from: entry.from,
            began: entry.began,
            last_used: entry.last_used,
            idle_left: entry.idle_until.since(now),
            total_left: entry.over_at.since(now),
        };
        table.entries.iter().filter(|(_, entry)| !entry.is_over(now)).map(keep).collect()
    }

    /// Goes on with what a predecessor kept, at most [`MAX_SESSIONS`] of them.
    pub fn restore(&self, kept: Vec<KeptSession>) {
        let now = self.clock.mono();
        let mut table = self.table();
        for kept in kept.into_iter().take(MAX_SESSIONS) {
            let Ok(user) = kept.user.parse() else { continue };
            table.last_id = table.last_id.max(kept.id);
            let entry = Entry {
                session: Session { id: kept.id, user, role: kept.role, csrf: kept.csrf },
                from: kept.from,
                began: kept.began,
                last_used: kept.last_used,
                // Never longer than a fresh one's, whatever was kept.
                idle_until: now + kept.idle_left.min(IDLE_TIMEOUT),
                over_at: now + kept.total_left.min(ABSOLUTE_TIMEOUT),
            };
            table.entries.insert(kept.token_sha256, entry);
        }
    }

    fn end_where(&self, ends: impl Fn(&Entry) -> bool) -> usize {
        let mut table = self.table();
        let before = table.entries.len();
        table.entries.retain(|_, entry| !ends(entry));
        before - table.entries.len()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Leaves less than `max` of those that `count`.
    fn make_room(&mut self, max: usize, counts: impl Fn(&Entry) -> bool) {
        while self.entries.values().filter(|entry| counts(entry)).count() >= max {
            let longest_unused = self
                .entries
                .iter()
                .filter(|(_, entry)| counts(entry))
                .min_by_key(|(_, entry)| (entry.idle_until, entry.session.id))
                .map(|(hash, _)| *hash);
            if let Some(hash) = longest_unused {
                self.entries.remove(&hash);
            }
        }
    }
}

fn hash(token: &str) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use hal_sim::SimClock;

    use super::*;

    fn clock() -> Arc<SimClock> {
        Arc::new(SimClock::new(hal::WallTime::from_unix_micros(1_795_168_800_000_000)))
    }

    const HOUR: Duration = Duration::from_secs(3600);

    fn from() -> SocketAddr {
        "192.0.2.7:50000".parse().unwrap()
    }

    fn user(name: &str) -> UserName {
        name.parse().unwrap()
    }

    #[test]
    fn a_session_is_its_tokens_and_nobody_elses() {
        let sessions = Sessions::new(clock());
        let one = sessions.begin(&user("anna"), Role::Owner, from()).unwrap();
        let other = sessions.begin(&user("bert"), Role::Viewer, from()).unwrap();
        assert_eq!(one.token.len(), 43);
        assert_ne!(one.token, other.token);
        assert_ne!(one.session.csrf, other.session.csrf);
        let used = sessions.use_from(&one.token, from()).unwrap();
        assert_eq!((used.user.as_str(), used.role), ("anna", Role::Owner));
        assert_eq!(used.csrf, one.session.csrf);
        assert!(sessions.use_from(&one.session.csrf, from()).is_none());
        assert!(sessions.use_from("", from()).is_none());
        sessions.end(&one.token);
        assert!(sessions.use_from(&one.token, from()).is_none());
        assert!(sessions.is_alive(&other.token));
    }

    #[test]
    fn use_prolongs_but_looking_does_not_and_nothing_beyond_a_week() {
        let clock = clock();
        let sessions = Sessions::new(clock.clone());
        let idle = sessions.begin(&user("anna"), Role::Owner, from()).unwrap();
        let busy = sessions.begin(&user("anna"), Role::Owner, from()).unwrap();
        for hour in 1..=11 {
            clock.advance(HOUR);
            assert!(sessions.is_alive(&idle.token), "{hour}");
            assert!(sessions.use_from(&busy.token, from()).is_some(), "{hour}");
        }
        clock.advance(HOUR);
        assert!(!sessions.is_alive(&idle.token));
        assert!(sessions.use_from(&idle.token, from()).is_none());
        for hour in 13..=7 * 24 - 1 {
            assert!(sessions.use_from(&busy.token, from()).is_some(), "{hour}");
            clock.advance(HOUR);
        }
        assert!(sessions.use_from(&busy.token, from()).is_some());
        clock.advance(HOUR);
        assert!(sessions.use_from(&busy.token, from()).is_none());
        assert!(sessions.list().is_empty());
    }

    #[test]
    fn the_longest_unused_makes_room_first_among_ones_own() {
        let clock = clock();
        let sessions = Sessions::new(clock.clone());
        let bert = sessions.begin(&user("bert"), Role::Viewer, from()).unwrap();
        let mut annas = Vec::new();
        for _ in 0..MAX_SESSIONS_PER_USER + 1 {
            clock.advance(Duration::from_secs(1));
            annas.push(sessions.begin(&user("anna"), Role::Owner, from()).unwrap());
        }
        assert!(!sessions.is_alive(&annas[0].token));
        assert!(annas[1..].iter().all(|session| sessions.is_alive(&session.token)));
        assert!(sessions.is_alive(&bert.token));
        for n in 0..MAX_SESSIONS {
            clock.advance(Duration::from_secs(1));
            sessions.begin(&user(&format!("user{n}")), Role::Viewer, from()).unwrap();
        }
        assert_eq!(sessions.list().len(), MAX_SESSIONS);
        assert!(!sessions.is_alive(&bert.token));
    }

    #[test]
    fn sessions_are_listed_and_revoked() {
        let clock = clock();
        let sessions = Sessions::new(clock.clone());
        let one = sessions.begin(&user("anna"), Role::Owner, from()).unwrap();
        sessions.begin(&user("bert"), Role::Viewer, from()).unwrap();
        sessions.begin(&user("bert"), Role::Viewer, from()).unwrap();
        clock.advance(HOUR);
        let elsewhere = "[2001:db8::1]:50001".parse().unwrap();
        sessions.use_from(&one.token, elsewhere).unwrap();
        let list = sessions.list();
        assert_eq!(
            list.iter().map(|session| session.user.as_str()).collect::<Vec<_>>(),
            ["anna", "bert", "bert"]
        );
        assert_eq!((list[0].from, list[0].last_used), (elsewhere, clock.wall()));
        assert_eq!(list[0].last_used.micros_since(list[0].began), HOUR.as_micros() as i64);
        assert_eq!(sessions.revoke_user(&user("bert")), 2);
        assert!(sessions.revoke(one.session.id));
        assert!(!sessions.revoke(one.session.id));
        assert!(!sessions.is_alive(&one.token));
    }

    #[test]
    fn a_successor_goes_on_with_what_was_kept_and_for_no_longer() {
        let clock = clock();
        let sessions = Sessions::new(clock.clone());
        let begun = sessions.begin(&user("anna"), Role::Owner, from()).unwrap();
        clock.advance(HOUR);
        let kept = sessions.keep();
        assert!(!format!("{kept:?}").contains(&begun.session.csrf));
        let successor = Sessions::new(clock.clone());
        successor.restore(kept);
        assert!(successor.list() == sessions.list());
        assert!(successor.use_from(&begun.token, from()).is_some_and(|session| session == begun.session));
        assert!(successor.use_from("another", from()).is_none());
        let next = successor.begin(&user("bert"), Role::Viewer, from()).unwrap();
        assert!(next.session.id > begun.session.id);
        clock.advance(ABSOLUTE_TIMEOUT - HOUR);
        assert!(!successor.is_alive(&begun.token));
    }
}
