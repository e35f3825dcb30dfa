//! The desk: the warden's shared state, and what roles may ask of it.
//!
//! Settings and accounts change here and nowhere else: applied, kept on disk, then told to everyone.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use hal::{Clock, MonoTime};
use tokio::sync::watch;

use super::identity::Identity;
use super::overview::Overview;
use crate::files;
use crate::messages::{Answer, Ask, RoleConfig, ServeSecrets, Snapshot};
use crate::role::Role;
use crate::settings::{self, ChangeError, Settings};

/// Where the warden keeps things.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) settings_file: PathBuf,
    pub(super) accounts_file: PathBuf,
    pub(super) volume_dir: PathBuf,
    pub(super) run_dir: PathBuf,
}

/// Shared by the supervisors.
pub(super) struct Desk {
    places: Places,
    identity: Identity,
    pub(super) clock: Arc<dyn Clock>,
    started: MonoTime,
    accounts: Mutex<String>,
    overview: Mutex<Overview>,
    settings: watch::Sender<Settings>,
    snapshot: watch::Sender<Snapshot>,
}

impl Desk {
    pub(super) fn new(
        places: Places,
        identity: Identity,
        settings: Settings,
        accounts: String,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let overview = Overview::new(clock.wall());
        let snapshot = overview.snapshot(&settings, 0);
        Self {
            places,
            identity,
            started: clock.mono(),
            accounts: Mutex::new(accounts),
            overview: Mutex::new(overview),
            settings: watch::Sender::new(settings),
            snapshot: watch::Sender::new(snapshot),
            clock,
        }
    }

    /// Woken when settings change.
    pub(super) fn watch_settings(&self) -> watch::Receiver<Settings> {
        self.settings.subscribe()
    }

    /// Woken when anything that people see changes.
    pub(super) fn watch_snapshot(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.subscribe()
    }

    /// What `role` is told.
    pub(super) fn config_for(&self, role: Role) -> RoleConfig {
        RoleConfig {
            run_dir: self.places.run_dir.clone(),
            volume_dir: (role == Role::Record).then(|| self.places.volume_dir.clone()),
            settings: self.settings.borrow().for_role(role),
            serve: (role == Role::Serve).then(|| ServeSecrets {
                accounts: lock(&self.accounts).clone(),
                sessions: lock(&self.overview).sessions(),
                certificate_pem: self.identity.certificate_pem.clone(),
                key_pem: self.identity.key_pem.clone(),
            }),
        }
    }

    /// Does what `role` asks. Only `serve`, where owners sign in, may ask for anything.
    pub(super) fn ask(&self, role: Role, ask: Ask) -> Answer {
        if role != Role::Serve {
            tracing::error!(%role, "asked for a change, which only serve may");
            return refused("this role changes nothing");
        }
        match ask {
            Ask::Change(change) => {
                // A `match` on the call would hold the read lock until its end, and keeping wants the write lock.
                let changed = settings::apply(&self.settings.borrow(), change);
                match changed {
                    Ok((next, channel)) => self.keep_settings(next, channel),
                    Err(error) => Answer::Refused(error),
                }
            }
            Ask::KeepAccounts(text) => match files::replace(&self.places.accounts_file, text.0.as_bytes()) {
                Ok(()) => {
                    *lock(&self.accounts) = text.0;
                    Answer::Kept
                }
                Err(error) => {
                    tracing::error!(%error, "the accounts could not be kept");
                    refused(&error.to_string())
                }
            },
        }
    }

    fn keep_settings(&self, next: Settings, channel: Option<hal::ChannelId>) -> Answer {
        if let Err(error) = settings::save(&self.places.settings_file, &next) {
            tracing::error!(%error, "the settings could not be kept");
            return refused(&error.to_string());
        }
        self.settings.send_replace(next);
        self.update_overview(|_| ());
        Answer::Changed(channel)
    }

    /// Changes the picture and tells everyone who watches it.
    pub(super) fn update_overview<T>(&self, change: impl FnOnce(&mut Overview) -> T) -> T {
        let mut overview = lock(&self.overview);
        let result = change(&mut overview);
        let uptime_sec = self.clock.mono().since(self.started).as_secs();
        let next = overview.snapshot(&self.settings.borrow(), uptime_sec);
        self.snapshot.send_if_modified(|old| {
            let changed = *old != next;
            *old = next;
            changed
        });
        result
    }
}

fn refused(reason: &str) -> Answer {
    Answer::Refused(ChangeError::NotKept(reason.to_owned()))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use hal::SystemClock;

    use super::*;
    use crate::messages::AccountsText;
    use crate::settings::Change;

    fn desk(dir: &std::path::Path) -> Desk {
        let places = Places {
            settings_file: dir.join("settings.toml"),
            accounts_file: dir.join("accounts.toml"),
            volume_dir: dir.join("volume"),
            run_dir: dir.join("run"),
        };
        let identity = Identity { certificate_pem: "c".to_owned(), key_pem: "k".to_owned() };
        Desk::new(places, identity, Settings::new(), String::new(), Arc::new(SystemClock::new()))
    }

    fn rename(name: &str) -> Ask {
        Ask::Change(Change::General {
            name: name.to_owned(),
            time_zone: "Etc/UTC".to_owned(),
            rtsp_enabled: true,
        })
    }

    #[test]
    fn a_change_is_on_disk_before_anybody_hears_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let desk = desk(dir.path());
        let mut watch = desk.watch_settings();
        assert!(matches!(desk.ask(Role::Serve, rename("Barn")), Answer::Changed(None)));
        assert!(watch.has_changed().unwrap());
        let told = watch.borrow_and_update().clone();
        assert_eq!(told, settings::load(&dir.path().join("settings.toml")).unwrap().unwrap());
    }

    #[test]
    fn what_cannot_be_kept_is_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let desk = desk(&dir.path().join("missing"));
        assert!(matches!(desk.ask(Role::Serve, rename("Barn")), Answer::Refused(ChangeError::NotKept(_))));
        assert_eq!(desk.config_for(Role::Serve).settings.name, "Candor");
        let keep = Ask::KeepAccounts(AccountsText("x".to_owned()));
        assert!(matches!(desk.ask(Role::Serve, keep), Answer::Refused(_)));
        assert_eq!(desk.config_for(Role::Serve).serve.unwrap().accounts, "");
    }

    #[test]
    fn only_serve_may_ask_and_only_serve_gets_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let desk = desk(dir.path());
        for role in Role::ALL {
            assert_eq!(desk.config_for(role).serve.is_some(), role == Role::Serve, "{role}");
            assert_eq!(desk.config_for(role).volume_dir.is_some(), role == Role::Record, "{role}");
            let changed = matches!(desk.ask(role, rename("Barn")), Answer::Changed(_));
            assert_eq!(changed, role == Role::Serve, "{role}");
        }
    }
}
