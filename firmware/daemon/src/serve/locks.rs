//! Locked footage, in the API's words.
//!
//! Does not belong here: what a lock keeps (`record`).

use web::lock_views::{Lock, LockInput, NewLock};
use web::{ApiError, Caller};

use super::house::House;
use super::recording::{ask, refusal};
use super::views::{named_channels, utc, wall};
use crate::footage::{Request, Response};
use crate::footage_locks::{LockRefusal, LockView, LockWish};

pub(super) async fn all(house: &House) -> Result<Vec<Lock>, ApiError> {
    match ask(&house.footage, &Request::Locks).await? {
        (Response::Locks(Ok(locks)), _) => Ok(locks.iter().map(view).collect()),
        (Response::Locks(Err(refused)), _) => Err(words(refused)),
        (other, _) => Err(refusal(other)),
    }
}

pub(super) async fn lock(house: &House, caller: &Caller, input: LockInput) -> Result<NewLock, ApiError> {
    tracing::info!(user = caller.user, from = %caller.from, ?input, "locks footage");
    let channels = named_channels(&input.channels)?;
    let wish = LockWish {
        channels,
        start: wall(input.start),
        end: wall(input.end),
        reason: input.reason,
        by: caller.user.clone(),
    };
    match ask(&house.footage, &Request::Lock(wish)).await? {
        (Response::Locked(Ok((lock, bytes))), _) => Ok(NewLock { lock: view(&lock), bytes }),
        (Response::Locked(Err(refused)), _) => Err(words(refused)),
        (other, _) => Err(refusal(other)),
    }
}

pub(super) async fn unlock(house: &House, caller: &Caller, id: u64) -> Result<(), ApiError> {
    tracing::info!(user = caller.user, from = %caller.from, id, "unlocks footage");
    match ask(&house.footage, &Request::Unlock { id, by: caller.user.clone() }).await? {
        (Response::Unlocked(outcome), _) => outcome.map_err(words),
        (other, _) => Err(refusal(other)),
    }
}

fn view(lock: &LockView) -> Lock {
    Lock {
        id: lock.id,
        channels: lock.channels.iter().map(|channel| channel.get()).collect(),
        start: utc(lock.start),
        end: utc(lock.end),
        reason: lock.reason.clone(),
        by: lock.by.clone(),
        at: utc(lock.at),
    }
}

fn words(refusal: LockRefusal) -> ApiError {
    use LockRefusal as R;
    match refusal {
        R::TooMuch(sum) => ApiError::conflict(
            "too_much_locked",
            "At most half of a disk can be locked, so that there is room to record. Lock less, or unlock something first.",
        )
        .with_detail(sum),
        R::Invalid(why) => ApiError::invalid("not_lockable", "start", sentence(&why)),
        R::NotFound => ApiError::not_found("no_lock", "There is no such lock any more."),
        R::NoDisk => ApiError::unavailable("disk", "No disk takes footage now. The health page says why."),
        R::Failed(detail) => {
            let words = "The disk did not let the recorder do this. The health page says how it is.";
            ApiError::unavailable("disk", words).with_detail(detail)
        }
    }
}

pub(super) fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use web::ErrorKind;

    use super::*;

    /// What the API promises (web/openapi.json).
    #[test]
    fn every_refusal_has_its_kind_and_code() {
        use LockRefusal as R;
        for (refusal, kind, code) in [
            (R::TooMuch("a sum".to_owned()), ErrorKind::Conflict, "too_much_locked"),
            (R::Invalid("why".to_owned()), ErrorKind::Invalid, "not_lockable"),
            (R::NotFound, ErrorKind::NotFound, "no_lock"),
            (R::NoDisk, ErrorKind::Unavailable, "disk"),
            (R::Failed("detail".to_owned()), ErrorKind::Unavailable, "disk"),
        ] {
            let error = words(refusal.clone());
            assert_eq!((error.kind(), error.code()), (kind, code), "{refusal:?}");
        }
        assert_eq!(sentence("a lock that ends"), "A lock that ends.");
    }
}
