//! Back-off: how long somebody who guesses has to wait.
//!
//! Counted per account and per address, in bounded tables; tries at the set-up code per address only, for there is no
//! account to protect (the code has its own few tries) and whoever guesses must not hold up the owner. An attempt is charged before it is verified, so that
//! many at once gain nothing, and given back when it was right. Waits are bounded: there is no lock-out, and an
//! address from which a user has signed in before is not held up by others who guess at that user.
//!
//! Does not belong here: verifying (`password.rs`).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use hal::{Clock, MonoTime};

/// Entries in each table; a flood of names or addresses replaces those with the fewest failures.
const MAX_ENTRIES: usize = 512;
/// The longest name remembered; a longer one is nobody's.
const MAX_KEY_CHARS: usize = 32;
/// So long after its last attempt, somebody begins anew.
const FORGET_AFTER: Duration = Duration::from_secs(3600);
/// The first wait; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// How many attempts are free, and how long a wait gets at most.
struct Policy {
    free: u32,
    longest: Duration,
}

/// People mistype. A minute bounds what a guesser can cost the real user.
const ACCOUNT: Policy = Policy { free: 5, longest: Duration::from_secs(60) };
/// Several people may share an address; one who guesses can wait longer.
const ADDRESS: Policy = Policy { free: 10, longest: Duration::from_secs(900) };

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// Whoever guesses at an account from addresses unknown to it.
    Account(String),
    /// An account's own address.
    Known(String, IpAddr),
    Address(IpAddr),
    /// Whoever tries set-up codes. The whole address: the owner may share the guesser's network.
    Code(IpAddr),
}

struct Entry {
    attempts: u32,
    last: MonoTime,
    until: MonoTime,
}

/// Who has to wait. The caller puts it behind a mutex.
pub struct BackOff {
    clock: Arc<dyn Clock>,
    entries: HashMap<Key, Entry>,
    /// Where users have signed in from, and when last.
    known: HashMap<(String, IpAddr), MonoTime>,
}

impl BackOff {
    /// Nobody has to wait.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, entries: HashMap::new(), known: HashMap::new() }
    }

    /// Charges an attempt at `user` from `from`.
    ///
    /// # Errors
    /// How long to wait before the next attempt will be looked at; this one is not, and does not count.
    pub fn attempt(&mut self, user: &str, from: IpAddr) -> Result<(), Duration> {
        let keys = self.keys(user, from);
        self.attempt_all(keys)
    }

    /// Charges a try at the set-up code from `from`. Neither names nor other addresses weigh on it, nor it on them.
    ///
    /// # Errors
    /// As [`Self::attempt`].
    pub fn attempt_code(&mut self, from: IpAddr) -> Result<(), Duration> {
        self.attempt_all([(Key::Code(from.to_canonical()), ADDRESS)])
    }

    fn attempt_all<const N: usize>(&mut self, keys: [(Key, Policy); N]) -> Result<(), Duration> {
        let now = self.clock.mono();
        let wait = keys
            .iter()
            .filter_map(|(key, _)| self.entries.get(key))
            .map(|entry| entry.until.since(now))
            .max()
            .unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        for (key, policy) in keys {
            self.charge(key, &policy, now);
        }
        Ok(())
    }

    /// The attempt was right: forgets the failures of this user here, and of this address.
    pub fn succeeded(&mut self, user: &str, from: IpAddr) {
        let now = self.clock.mono();
        for (key, _) in self.keys(user, from) {
            self.entries.remove(&key);
        }
        make_room(&mut self.known, |last| *last);
        self.known.insert((key_name(user), key_address(from)), now);
    }

    fn keys(&self, user: &str, from: IpAddr) -> [(Key, Policy); 2] {
        let (user, from) = (key_name(user), key_address(from));
        let account = if self.known.contains_key(&(user.clone(), from)) {
            Key::Known(user, from)
        } else {
            Key::Account(user)
        };
        [(account, ACCOUNT), (Key::Address(from), ADDRESS)]
    }

    fn charge(&mut self, key: Key, policy: &Policy, now: MonoTime) {
        if !self.entries.contains_key(&key) {
            self.entries.retain(|_, entry| now.since(entry.last) < FORGET_AFTER);
            make_room(&mut self.entries, |entry| (entry.attempts, entry.last));
        }
        let entry = self.entries.entry(key).or_insert(Entry { attempts: 0, last: now, until: now });
        if now.since(entry.last) >= FORGET_AFTER {
            entry.attempts = 0;
        }
        entry.attempts = entry.attempts.saturating_add(1);
        entry.last = now;
        // The wait before the attempt after this one.
        if let Some(doublings) = entry.attempts.checked_sub(policy.free) {
            let wait = FIRST_WAIT.saturating_mul(2u32.saturating_pow(doublings));
            entry.until = now + wait.min(policy.longest);
        }
    }
}

/// Removes the least entry of a full table.
fn make_room<K: Clone + Eq + std::hash::Hash, V, O: Ord>(table: &mut HashMap<K, V>, order: impl Fn(&V) -> O) {
    while table.len() >= MAX_ENTRIES {
        let Some(least) = table.iter().min_by_key(|(_, value)| order(value)).map(|(key, _)| key.clone())
        else {
            return;
        };
        table.remove(&least);
    }
}

fn key_name(user: &str) -> String {
    user.chars().take(MAX_KEY_CHARS).collect::<String>().to_ascii_lowercase()
}

/// One host has a /64 of IPv6 (RFC 7421).
fn key_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use hal_sim::SimClock;

    use super::*;

    fn clock() -> Arc<SimClock> {
        Arc::new(SimClock::new(hal::WallTime::from_unix_micros(1_795_168_800_000_000)))
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn waits_double_up_to_a_bound_and_end() {
        let clock = clock();
        let mut back_off = BackOff::new(clock.clone());
        for _ in 0..ACCOUNT.free {
            assert_eq!(back_off.attempt("anna", address(1)), Ok(()));
        }
        let mut waits = Vec::new();
        for _ in 0..12 {
            let wait = back_off.attempt("anna", address(1)).unwrap_err();
            waits.push(wait.as_secs());
            clock.advance(wait);
            assert_eq!(back_off.attempt("anna", address(1)), Ok(()), "after the wait it is looked at");
        }
        // From the tenth attempt the address waits too, and longer.
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 64], "{waits:?}");
        clock.advance(FORGET_AFTER);
        for _ in 0..ACCOUNT.free {
            assert_eq!(back_off.attempt("anna", address(1)), Ok(()), "forgotten after an hour");
        }
    }

    #[test]
    fn many_addresses_share_an_accounts_waits_but_not_with_its_own_address() {
        let clock = clock();
        let mut back_off = BackOff::new(clock.clone());
        back_off.attempt("anna", address(1)).unwrap();
        back_off.succeeded("anna", address(1));
        for last in 100..105 {
            assert_eq!(back_off.attempt("anna", address(last)), Ok(()));
        }
        assert!(back_off.attempt("anna", address(200)).is_err(), "strangers wait together");
        assert_eq!(back_off.attempt("ANNA", address(1)), Ok(()), "anna at home does not");
        assert_eq!(back_off.attempt("berta", address(200)), Ok(()), "nor do others");
    }

    #[test]
    fn one_address_waits_for_all_the_names_it_tries() {
        let mut back_off = BackOff::new(clock());
        let tried =
            (0..100).take_while(|n| back_off.attempt(&format!("user{n}"), address(1)).is_ok()).count();
        assert_eq!(tried, ADDRESS.free as usize);
        assert_eq!(back_off.attempt("anna", address(2)), Ok(()));
    }

    #[test]
    fn tries_at_the_code_weigh_on_their_own_address_only() {
        let mut back_off = BackOff::new(clock());
        let neighbour = |last: u16| IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, last]);
        for address in [address(1), neighbour(1)] {
            let tried = (0..100).take_while(|_| back_off.attempt_code(address).is_ok()).count();
            assert_eq!(tried, ADDRESS.free as usize);
        }
        for address in [address(2), neighbour(2)] {
            assert_eq!(back_off.attempt_code(address), Ok(()), "the owner is not held up");
        }
        assert_eq!(back_off.attempt("anna", address(1)), Ok(()), "nor a login");
        let logins =
            (0..100).take_while(|n| back_off.attempt(&format!("user{n}"), address(3)).is_ok()).count();
        assert_eq!(logins, ADDRESS.free as usize);
        assert_eq!(back_off.attempt_code(address(3)), Ok(()), "and logins do not hold up the code");
    }

    #[test]
    fn success_forgets_and_a_refused_attempt_does_not_count() {
        let clock = clock();
        let mut back_off = BackOff::new(clock.clone());
        for _ in 0..ACCOUNT.free {
            back_off.attempt("anna", address(1)).unwrap();
        }
        for _ in 0..50 {
            assert_eq!(back_off.attempt("anna", address(1)), Err(FIRST_WAIT));
        }
        clock.advance(FIRST_WAIT);
        back_off.attempt("anna", address(1)).unwrap();
        back_off.succeeded("anna", address(1));
        for _ in 0..ACCOUNT.free {
            assert_eq!(back_off.attempt("anna", address(1)), Ok(()));
        }
    }

    #[test]
    fn a_flood_of_names_neither_grows_the_table_nor_frees_a_target() {
        let clock = clock();
        let mut back_off = BackOff::new(clock.clone());
        for last in 0..ACCOUNT.free as u8 {
            back_off.attempt("anna", address(last)).unwrap();
        }
        for n in 0..3 * MAX_ENTRIES as u32 {
            back_off.attempt(&format!("name{n}"), IpAddr::from((0x0a00_0000 + n).to_be_bytes())).unwrap();
        }
        assert!(back_off.entries.len() <= MAX_ENTRIES + 1, "{}", back_off.entries.len());
        assert!(back_off.attempt("anna", address(99)).is_err());
    }
}
