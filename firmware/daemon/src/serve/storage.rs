//! Encrypted footage: the recovery key, disks of other recorders, erasing.
//!
//! A recovery key passes through here, to its owner or from them, and is kept nowhere. Does not belong here: what it
//! opens (`record`), where keys are kept (the warden).

use web::storage_views::{EraseInput, PasswordInput, RecoveryKey, UnlockInput};
use web::{ApiError, Caller};

use super::house::House;
use super::recording::{ask, refusal};
use crate::footage::{Request, Response};
use crate::footage_keys::SecretText;
use crate::messages::{Answer, Ask};
use crate::volume_order::{VolumeAct, VolumeRefusal};

/// The key for the one who claims; without one the recorder is claimed all the same, and the owner makes it later.
pub(super) async fn first_recovery_key(house: &House) -> Option<String> {
    make(house).await.ok().map(|key| key.0.clone())
}

pub(super) async fn new_recovery_key(
    house: &House,
    caller: &Caller,
    input: PasswordInput,
) -> Result<RecoveryKey, ApiError> {
    house.accounts.confirm(&caller.user, input.password, caller.from).await?;
    tracing::info!(user = caller.user, from = %caller.from, "a new recovery key");
    Ok(RecoveryKey { recovery_key: make(house).await?.0.clone() })
}

async fn make(house: &House) -> Result<SecretText, ApiError> {
    match house.control.ask(Ask::NewRecoveryKey).await {
        Some(Answer::RecoveryKey(key)) => Ok(key),
        Some(Answer::Refused(error)) => {
            let words =
                "This recorder cannot keep a key now, so it encrypts no disk. The health page says why.";
            Err(ApiError::conflict("not_supported", words).with_detail(error))
        }
        _ => {
            let words = "The recorder is busy; nothing was changed. Try again in a moment.";
            Err(ApiError::unavailable("warden_busy", words))
        }
    }
}

pub(super) async fn unlock(house: &House, caller: &Caller, input: UnlockInput) -> Result<(), ApiError> {
    tracing::info!(user = caller.user, from = %caller.from, path = input.path, "unlocks a disk");
    let UnlockInput { path, recovery_key } = input;
    order(house, path, VolumeAct::Unlock(SecretText(recovery_key))).await
}

pub(super) async fn erase(house: &House, caller: &Caller, input: EraseInput) -> Result<(), ApiError> {
    let EraseInput { path, encrypt, confirm: _ } = input;
    tracing::warn!(user = caller.user, from = %caller.from, path, ?encrypt, "erases the footage of a disk");
    order(house, path, VolumeAct::Erase { by: caller.user.clone(), encrypt }).await
}

async fn order(house: &House, path: String, act: VolumeAct) -> Result<(), ApiError> {
    match ask(&house.footage, &Request::Order { path, act }).await? {
        (Response::Ordered(outcome), _) => outcome.map_err(refused),
        (other, _) => Err(refusal(other)),
    }
}

fn refused(refusal: VolumeRefusal) -> ApiError {
    use VolumeRefusal as R;
    let key = "recovery_key";
    match refusal {
        R::NoVolume => ApiError::not_found("no_disk", "There is no such disk any more."),
        R::NotLocked => ApiError::conflict("not_locked", "This disk is not locked."),
        R::Mistyped(words) => ApiError::invalid("mistyped_key", key, format!("{words}.")),
        R::WrongKey => {
            let words = "This is a recovery key, but not this disk's. Take that of the recorder that wrote to it last.";
            ApiError::invalid("wrong_key", key, words)
        }
        R::NotEncrypted => {
            let words = "This disk is not encrypted, so there is no key to destroy. Format it instead.";
            ApiError::conflict("not_encrypted", words)
        }
        R::Busy => ApiError::conflict("busy", "This disk is being erased."),
        R::Failed(detail) => {
            let words = "The disk did not let the recorder do this. The health page says how it is.";
            ApiError::unavailable("disk", words).with_detail(detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use web::ErrorKind;

    use super::*;

    /// What the API promises (web/openapi.json).
    #[test]
    fn every_refusal_has_its_kind_and_code() {
        use VolumeRefusal as R;
        for (refusal, kind, code) in [
            (R::NoVolume, ErrorKind::NotFound, "no_disk"),
            (R::NotLocked, ErrorKind::Conflict, "not_locked"),
            (R::Mistyped("words".to_owned()), ErrorKind::Invalid, "mistyped_key"),
            (R::WrongKey, ErrorKind::Invalid, "wrong_key"),
            (R::NotEncrypted, ErrorKind::Conflict, "not_encrypted"),
            (R::Busy, ErrorKind::Conflict, "busy"),
            (R::Failed("detail".to_owned()), ErrorKind::Unavailable, "disk"),
        ] {
            let error = refused(refusal.clone());
            assert_eq!((error.kind(), error.code()), (kind, code), "{refusal:?}");
            assert_eq!(error.detail().is_some(), matches!(refusal, R::Failed(_)));
        }
    }
}
