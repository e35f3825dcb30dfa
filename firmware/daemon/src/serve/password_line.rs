//! The line before the password verifier: short, and with an end.
//!
//! The verifier hashes one password at a time (crate `auth`), and a board takes two seconds for one. Whoever comes
//! when the line is full is told to come back, before anything of theirs is looked at or counted.
//!
//! Does not belong here: who may try again when (`auth::BackOff`).
//!
//! Invariant: a place is taken until its work is done, also when nobody waits for the answer any more.

use std::sync::Arc;
use std::time::Duration;

use auth::{AuthError, StoredPassword, Verifier};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use web::ApiError;

/// Who waits while one is served. The last of them waits some 16 s on a board: longer than people do.
const MAX_WAITING: usize = 8;

/// After so long a board has served one.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The verifier and the line before it.
pub(super) struct PasswordLine {
    verifier: Arc<Verifier>,
    places: Arc<Semaphore>,
}

/// A place in the line; good for one password.
pub(super) struct Place {
    verifier: Arc<Verifier>,
    permit: OwnedSemaphorePermit,
}

impl PasswordLine {
    pub(super) fn new() -> Result<Self, AuthError> {
        // One is at work.
        let places = Arc::new(Semaphore::new(1 + MAX_WAITING));
        Ok(Self { verifier: Arc::new(Verifier::new()?), places })
    }

    /// Takes a place, or says when to come back.
    pub(super) fn enter(&self) -> Result<Place, ApiError> {
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let message = "Too many people sign in at the same moment. Try again in a few seconds.";
            ApiError::too_many("busy", RETRY_AFTER, message)
        })?;
        Ok(Place { verifier: Arc::clone(&self.verifier), permit })
    }
}

impl Place {
    /// Whether `password` is the stored one; with none stored it takes as long and is never right.
    pub(super) async fn verify(
        self,
        stored: Option<StoredPassword>,
        password: String,
    ) -> Result<bool, ApiError> {
        self.run(move |verifier| verifier.verify(stored.as_ref(), &password)).await
    }

    /// What to keep of `password`.
    pub(super) async fn store(self, password: String) -> Result<StoredPassword, ApiError> {
        self.run(move |verifier| verifier.store(&password)).await?.map_err(ApiError::internal)
    }

    /// The permit goes with the work: a request that is given up does not stop it.
    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&Verifier) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let Self { verifier, permit } = self;
        let done = spawn_blocking(move || {
            let result = work(&verifier);
            drop(permit);
            result
        });
        done.await.map_err(ApiError::internal)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, ready};
    use std::sync::mpsc;

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    /// Far more than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// One thread for all passwords, so that a test can occupy it.
    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap()
    }

    async fn in_time<T>(work: impl Future<Output = T>) -> T {
        tokio::time::timeout(PATIENCE, work).await.expect("it ends")
    }

    #[test]
    fn one_too_many_is_told_to_come_back_and_may() {
        let line = PasswordLine::new().unwrap();
        let mut places: Vec<Place> = (0..=MAX_WAITING).map(|_| line.enter().ok().unwrap()).collect();
        let refused = line.enter().err().unwrap();
        assert_eq!((refused.kind(), refused.code()), (web::ErrorKind::TooMany, "busy"));
        assert_eq!(refused.retry_after(), Some(RETRY_AFTER));
        places.pop();
        assert!(line.enter().is_ok());
    }

    #[test]
    fn a_place_is_free_again_after_its_password() {
        runtime().block_on(async {
            let line = PasswordLine::new().unwrap();
            let stored =
                in_time(line.enter().ok().unwrap().store("correct horse battery".into())).await.ok().unwrap();
            for (password, right) in [("correct horse battery", true), ("correct horse", false)] {
                let place = line.enter().ok().unwrap();
                assert_eq!(
                    in_time(place.verify(Some(stored.clone()), password.into())).await.ok(),
                    Some(right)
                );
            }
            assert_eq!(line.places.available_permits(), 1 + MAX_WAITING);
        });
    }

    #[test]
    fn giving_up_does_not_free_a_place_before_its_work_is_done() {
        runtime().block_on(async {
            let line = PasswordLine::new().unwrap();
            let (go_on, held) = mpsc::channel::<()>();
            let holding = spawn_blocking(move || held.recv().is_err());
            {
                let mut given_up = Box::pin(line.enter().ok().unwrap().verify(None, "whatever".into()));
                tokio::select! {
                    biased;
                    _ = &mut given_up => panic!("there is no thread for it"),
                    () = ready(()) => {}
                }
            }
            assert_eq!(line.places.available_permits(), MAX_WAITING, "the work is still to be done");
            drop(go_on);
            assert!(in_time(holding).await.unwrap());
            let all = u32::try_from(1 + MAX_WAITING).unwrap();
            assert!(in_time(line.places.acquire_many(all)).await.is_ok());
        });
    }
}
