//! Who may sign in: claiming, sessions, stream keys.
//!
//! The rules are crate `auth`'s; here they meet the console (where the set-up code is shown), the warden (which
//! keeps what changes before it counts) and the API's words.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use auth::{
    AuthError, BackOff, ErrorKind, KeptSession, Role, SETUP_CODE_LIFETIME, Sessions, SetupCode,
    StreamKeyVerifier, Try, User, UserName, check_new_password,
};
use hal::Clock;
use ledger::Event;
use web::key_views::StreamKey;
use web::views::{self, ClaimInput, LoginInput, Session};
use web::{ApiError, NewSession, SessionToken};

use super::notes::Notes;
use super::password_line::PasswordLine;
use super::views::utc;
use crate::accounts_text;
use crate::control::Control;
use crate::messages::{AccountsText, Answer, Ask, RoleStatus};

/// Accounts, sessions and the set-up code.
pub(super) struct Accounts {
    clock: Arc<dyn Clock>,
    control: Control,
    kept: Mutex<auth::Accounts>,
    sessions: Sessions,
    back_off: Mutex<BackOff>,
    passwords: PasswordLine,
    /// There is one until the recorder is claimed.
    setup_code: Mutex<Option<SetupCode>>,
    notes: Notes,
    /// Changes are kept one after the other.
    changing: tokio::sync::Mutex<()>,
}

impl Accounts {
    /// From the accounts file's text, and the sessions of a predecessor that ended.
    pub(super) fn new(
        text: &str,
        kept_sessions: Vec<KeptSession>,
        clock: Arc<dyn Clock>,
        control: Control,
        notes: Notes,
    ) -> Result<Self, String> {
        let sessions = Sessions::new(Arc::clone(&clock));
        sessions.restore(kept_sessions);
        Ok(Self {
            kept: Mutex::new(accounts_text::parse(text)?),
            sessions,
            back_off: Mutex::new(BackOff::new(Arc::clone(&clock))),
            passwords: PasswordLine::new().map_err(|error| error.to_string())?,
            setup_code: Mutex::new(None),
            changing: tokio::sync::Mutex::default(),
            clock,
            control,
            notes,
        })
    }

    pub(super) fn claimed(&self) -> bool {
        lock(&self.kept).claimed()
    }

    /// Shows a set-up code while there is no owner, a new one whenever the old one is spent. Never returns
    /// before the recorder is claimed.
    pub(super) async fn show_setup_codes(&self) {
        while !self.claimed() {
            self.ensure_setup_code();
            // The code may be spent by wrong tries, too; `claim` then makes the next one.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Makes a code when there is no good one, and shows it on the console.
    pub(super) fn ensure_setup_code(&self) {
        let mut code = lock(&self.setup_code);
        if code.as_ref().is_some_and(|code| code.is_good(&*self.clock)) || self.claimed() {
            return;
        }
        match SetupCode::new(&*self.clock) {
            Ok(new) => {
                let minutes = SETUP_CODE_LIFETIME.as_secs() / 60;
                self.control.console(&format!("Set-up code: {} (good for {minutes} minutes)", new.shown()));
                *code = Some(new);
            }
            Err(error) => tracing::error!(%error, "no set-up code could be made"),
        }
    }

    /// Tells the warden who is signed in, for a successor of this process; it is the sign of progress, too.
    pub(super) fn keep_sessions(&self) {
        self.control.status(RoleStatus::Serve(self.sessions.keep()));
    }

    pub(super) fn authenticate(&self, token: &SessionToken, from: SocketAddr) -> Option<Session> {
        self.sessions.use_from(token.as_str(), from).map(|session| view(&session))
    }

    pub(super) fn session_alive(&self, token: &SessionToken) -> bool {
        self.sessions.is_alive(token.as_str())
    }

    pub(super) fn logout(&self, token: &SessionToken) {
        self.sessions.end(token.as_str());
        // At once: a crash must not bring it back.
        self.keep_sessions();
    }

    /// Makes the first owner and signs them in.
    pub(super) async fn claim(&self, input: ClaimInput, from: SocketAddr) -> Result<NewSession, ApiError> {
        let _turn = self.changing.lock().await;
        if self.claimed() {
            return Err(ApiError::not_found("claimed", "This recorder has an owner. Sign in instead."));
        }
        // Name and password first: a slip there must not spend the code.
        let name: UserName = input.user.parse().map_err(|error| refused(error, "user"))?;
        check_new_password(&name, &input.password).map_err(|error| refused(error, "password"))?;
        // Neither a full line nor a wait may spend the code.
        let place = self.passwords.enter()?;
        let charged = lock(&self.back_off).attempt_code(from.ip());
        charged.map_err(|wait| too_often("the set-up code", from, wait))?;
        let tried = lock(&self.setup_code)
            .as_mut()
            .map_or(Try::Expired, |code| code.try_code(&*self.clock, &input.setup_code));
        match tried {
            Try::Right => {}
            Try::Wrong { left: 0 } | Try::Expired => {
                self.ensure_setup_code();
                let message = "The code is not good any more. The recorder shows a new one.";
                return Err(ApiError::unauthorized("wrong_setup_code", message).with_field("setup_code"));
            }
            Try::Wrong { left } => {
                let tries = if left == 1 { "1 try is" } else { &format!("{left} tries are") };
                let message = format!("This is not the code that the recorder shows; {tries} left.");
                return Err(ApiError::unauthorized("wrong_setup_code", message).with_field("setup_code"));
            }
        }
        let added = match place.store(input.password).await {
            Ok(password) => {
                let user = User { role: Role::Owner, password, created: self.clock.wall() };
                let added = self.change(|accounts| accounts.add_user(name.clone(), user)).await;
                added.map_err(|error| error.with_field("user"))
            }
            Err(error) => Err(error),
        };
        if added.is_err() {
            // The right code was given: what failed is the recorder's fault, and another code is shown.
            self.ensure_setup_code();
        }
        added?;
        lock(&self.back_off).succeeded(name.as_str(), from.ip());
        self.control.console("Claimed: the recorder has an owner.");
        tracing::info!(user = %name, %from, "claimed");
        self.begin(&name, Role::Owner, from)
    }

    pub(super) async fn login(&self, input: LoginInput, from: SocketAddr) -> Result<NewSession, ApiError> {
        match self.attempt(&input.user, input.password, from).await? {
            Some((name, user)) => {
                tracing::info!(user = %name, %from, "signed in");
                self.notes.note(&Event::LoginOk { by: name.as_str().into(), from: Some(from.ip()) });
                self.begin(&name, user.role, from)
            }
            None => {
                tracing::warn!(user = input.user, %from, "wrong login");
                let by = input.user.as_str().into();
                self.notes.note(&Event::LoginFailed { by, from: Some(from.ip()) });
                Err(ApiError::unauthorized("wrong_login", "User or password is wrong."))
            }
        }
    }

    /// Whether it is still the user who sits there: a session that was left open must not give away what a password does.
    pub(super) async fn confirm(
        &self,
        user: &str,
        password: String,
        from: SocketAddr,
    ) -> Result<(), ApiError> {
        if self.attempt(user, password, from).await?.is_none() {
            tracing::warn!(user, %from, "wrong password");
            return Err(ApiError::invalid("wrong_password", "password", "This is not your password."));
        }
        Ok(())
    }

    /// The user, if the password is theirs; wrong ones are slowed down.
    async fn attempt(
        &self,
        user: &str,
        password: String,
        from: SocketAddr,
    ) -> Result<Option<(UserName, User)>, ApiError> {
        // Who is turned away here has not tried.
        let place = self.passwords.enter()?;
        let charged = lock(&self.back_off).attempt(user, from.ip());
        charged.map_err(|wait| too_often(user, from, wait))?;
        let known = lock(&self.kept).user(user).map(|(name, user)| (name.clone(), user.clone()));
        let stored = known.as_ref().map(|(_, user)| user.password.clone());
        let right = place.verify(stored, password).await?;
        let known = known.filter(|_| right);
        if let Some((name, _)) = &known {
            lock(&self.back_off).succeeded(name.as_str(), from.ip());
        }
        Ok(known)
    }

    pub(super) fn stream_keys(&self) -> Vec<StreamKey> {
        let kept = lock(&self.kept);
        kept.stream_keys()
            .map(|(name, key)| StreamKey {
                name: name.to_string(),
                created: utc(key.created),
                replay: key.replay,
            })
            .collect()
    }

    pub(super) fn stream_key(&self, user: &str) -> Option<StreamKeyVerifier> {
        lock(&self.kept).stream_key(user).cloned()
    }

    pub(super) fn may_replay(&self, user: &str) -> bool {
        lock(&self.kept).may_replay(user)
    }

    pub(super) async fn add_stream_key(
        &self,
        name: String,
        replay: bool,
    ) -> Result<(UserName, String), ApiError> {
        let _turn = self.changing.lock().await;
        let name: UserName = name.parse().map_err(|error| refused(error, "name"))?;
        let now = self.clock.wall();
        let make = |accounts: &mut auth::Accounts| {
            let key = accounts.make_stream_key(name.clone(), now)?;
            accounts.set_replay(&name, replay)?;
            Ok(key)
        };
        let key = self.change(make).await?;
        Ok((name, key))
    }

    pub(super) async fn remove_stream_key(&self, name: &str) -> Result<(), ApiError> {
        let _turn = self.changing.lock().await;
        let no_key = || ApiError::not_found("no_key", "There is no stream key of that name.");
        let name: UserName = name.parse().map_err(|_| no_key())?;
        self.change(|accounts| accounts.remove_stream_key(&name)).await
    }

    /// Changes a copy, has it kept on disk, and only then counts it. Under `changing`.
    async fn change<T>(
        &self,
        change: impl FnOnce(&mut auth::Accounts) -> Result<T, AuthError>,
    ) -> Result<T, ApiError> {
        let mut next = lock(&self.kept).clone();
        let result = change(&mut next).map_err(|error| refused(error, "name"))?;
        let text = accounts_text::format(&next).map_err(ApiError::internal)?;
        match self.control.ask(Ask::KeepAccounts(AccountsText(text))).await {
            Some(Answer::Kept) => {
                *lock(&self.kept) = next;
                Ok(result)
            }
            Some(Answer::Refused(error)) => Err(not_kept().with_detail(error)),
            Some(Answer::Changed(_) | Answer::Ordered(_) | Answer::RecoveryKey(_)) | None => Err(not_kept()),
        }
    }

    fn begin(&self, name: &UserName, role: Role, from: SocketAddr) -> Result<NewSession, ApiError> {
        let begun = self.sessions.begin(name, role, from).map_err(ApiError::internal)?;
        self.keep_sessions();
        let token =
            SessionToken::new(begun.token).ok_or_else(|| ApiError::internal("a token of another form"))?;
        Ok(NewSession { token, session: view(&begun.session) })
    }
}

fn too_often(at: &str, from: SocketAddr, wait: Duration) -> ApiError {
    tracing::warn!(at, %from, wait_ms = wait.as_millis() as u64, "too many attempts");
    // Rounded up: who comes back after the whole seconds shall not be early.
    let seconds = wait.as_millis().div_ceil(1000);
    let message = format!("Too many wrong tries. Try again in {seconds} s.");
    ApiError::too_many("too_many_attempts", wait, message)
}

fn view(session: &auth::Session) -> Session {
    Session {
        user: session.user.to_string(),
        role: match session.role {
            Role::Viewer => views::Role::Viewer,
            Role::Operator => views::Role::Operator,
            Role::Integrator => views::Role::Integrator,
            Role::Owner => views::Role::Owner,
        },
        csrf: session.csrf.clone(),
    }
}

fn refused(error: AuthError, field: &'static str) -> ApiError {
    let words = error.to_string();
    match error.kind() {
        ErrorKind::Invalid => ApiError::invalid("invalid_value", field, words),
        ErrorKind::NotFound => ApiError::not_found("no_key", words),
        ErrorKind::Conflict => ApiError::conflict("name_taken", words).with_field(field),
        ErrorKind::Full => ApiError::conflict("too_many_keys", words),
        ErrorKind::Internal => ApiError::internal(error),
    }
}

fn not_kept() -> ApiError {
    ApiError::unavailable(
        "accounts_not_kept",
        "The recorder cannot write its accounts; nothing was changed. The health page says why.",
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
