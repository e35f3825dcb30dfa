//! New software on its way to the warden, and other orders of owners.
//!
//! This role only carries: the warden verifies, keeps and installs (`warden/update*.rs`), because it trusts
//! nobody who listens on the network.

use std::time::Duration;

use web::update_views::{OwnerKeyInput, PresenceInput, UpdateView, UsbInput};
use web::{ApiError, Caller, ErrorKind, Upload};

use super::house::House;
use super::{recording, views};
use crate::footage::Request;
use crate::messages::{Answer, Ask, DiskUse, DiskView, Order, Refusal, RefusalCode};
use crate::update_line::{Line, Sent};
use crate::volume_order::VolumeAct;

/// When a spent code can be shown anew.
const CODE_PAUSE: Duration = Duration::from_secs(60);

/// Carries a bundle to the warden, and tells what it said.
pub(super) async fn install(
    house: &House,
    caller: &Caller,
    upload: &mut Upload,
    downgrade: bool,
) -> Result<UpdateView, ApiError> {
    tracing::info!(user = caller.user, from = %caller.from, downgrade, "an update is being sent");
    supported(house)?;
    let gone = |error| busy().with_detail(error);
    let mut line =
        Line::upload(&house.run_dir, downgrade, upload.total_bytes(), false).await.map_err(gone)?;
    while let Some(piece) = upload.next().await? {
        match line.send(&piece).await.map_err(gone)? {
            Sent::Taken => {}
            Sent::Answered(answer) => {
                // All that an answer before the end can be is a refusal.
                answer.map_err(refused)?;
                return Err(busy());
            }
        }
    }
    line.finish().await.map_err(gone)?.map_err(refused)?;
    Ok(views::software(&house.snapshot.borrow()))
}

pub(super) async fn cancel(house: &House, caller: &Caller) -> Result<(), ApiError> {
    order(house, caller, "cancel_update", Order::CancelUpdate).await
}

pub(super) async fn install_from_usb(
    house: &House,
    caller: &Caller,
    input: UsbInput,
) -> Result<UpdateView, ApiError> {
    let UsbInput { device, file, downgrade } = input;
    tracing::info!(user = caller.user, from = %caller.from, device, file, downgrade, "an update from a stick");
    supported(house)?;
    let answer = Line::usb(&house.run_dir, device, file, downgrade).await;
    answer.map_err(|error| busy().with_detail(error))?.map_err(refused)?;
    Ok(views::software(&house.snapshot.borrow()))
}

pub(super) async fn show_presence_code(house: &House, caller: &Caller) -> Result<(), ApiError> {
    order(house, caller, "show_presence_code", Order::ShowPresenceCode).await
}

pub(super) async fn set_owner_key(
    house: &House,
    caller: &Caller,
    input: OwnerKeyInput,
) -> Result<UpdateView, ApiError> {
    order(house, caller, "set_owner_key", Order::SetOwnerKey(input)).await?;
    Ok(views::software(&house.snapshot.borrow()))
}

pub(super) async fn remove_owner_key(
    house: &House,
    caller: &Caller,
    input: PresenceInput,
) -> Result<UpdateView, ApiError> {
    order(house, caller, "remove_owner_key", Order::RemoveOwnerKey(input)).await?;
    Ok(views::software(&house.snapshot.borrow()))
}

pub(super) async fn restart(house: &House, caller: &Caller) -> Result<(), ApiError> {
    order(house, caller, "restart", Order::Restart).await
}

pub(super) async fn format_disk(
    house: &House,
    caller: &Caller,
    device: String,
    encrypt: Option<bool>,
) -> Result<(), ApiError> {
    tracing::info!(user = caller.user, from = %caller.from, device, ?encrypt, "ordered to erase a disk");
    let path = {
        let snapshot = house.snapshot.borrow();
        // The warden refuses that one, and nothing is to be written down that is not done.
        let in_use = |disk: &DiskView| disk.device == device && disk.state == DiskUse::Footage;
        let volume = snapshot.record.volumes.iter().find(|volume| volume.device == device);
        let volume = volume.filter(|_| !snapshot.disks.iter().any(in_use));
        volume.map(|volume| volume.path.clone()).filter(|path| !path.is_empty())
    };
    if let Some(path) = path {
        let act = VolumeAct::GiveUp { by: caller.user.clone() };
        // A disk that the recorder has no volume on any more may be formatted all the same.
        let _ = recording::ask(&house.footage, &Request::Order { path, act }).await?;
    }
    match house.control.ask(Ask::FormatDisk { device, encrypt }).await {
        Some(Answer::Kept) => Ok(()),
        Some(Answer::Refused(error)) => Err(ApiError::conflict("not_formatted", error.to_string())),
        _ => Err(busy()),
    }
}

/// Refuses before anything is sent, where nothing is taken.
fn supported(house: &House) -> Result<(), ApiError> {
    let software = views::software(&house.snapshot.borrow());
    if software.supported {
        return Ok(());
    }
    Err(refused(Refusal::new(RefusalCode::NotSupported, software.reason.unwrap_or_default())))
}

/// Has the warden follow an order, and says in the log whose it was.
async fn order(house: &House, caller: &Caller, what: &str, order: Order) -> Result<(), ApiError> {
    tracing::info!(user = caller.user, from = %caller.from, order = what, "ordered");
    match house.control.ask(Ask::Order(order)).await {
        Some(Answer::Ordered(outcome)) => outcome.map_err(refused),
        _ => Err(busy()),
    }
}

fn busy() -> ApiError {
    ApiError::unavailable("warden_busy", "The recorder is busy; nothing was done. Try again in a moment.")
}

/// A refusal as the API says it.
fn refused(refusal: Refusal) -> ApiError {
    use RefusalCode as R;
    let (kind, code) = match refusal.code {
        R::NotABundle => (ErrorKind::Invalid, "not_a_bundle"),
        R::WrongBoard => (ErrorKind::Invalid, "wrong_board"),
        R::BadSignature => (ErrorKind::Invalid, "bad_signature"),
        R::Damaged => (ErrorKind::Invalid, "damaged"),
        R::Expired => (ErrorKind::Invalid, "expired"),
        R::TooOld => (ErrorKind::Conflict, "too_old"),
        R::Downgrade => (ErrorKind::Conflict, "downgrade"),
        R::Busy => (ErrorKind::Conflict, "busy"),
        R::NotSupported => (ErrorKind::Conflict, "not_supported"),
        R::TooLarge => (ErrorKind::TooLarge, "too_large"),
        R::NoSpace => (ErrorKind::NoSpace, "no_space"),
        R::Cancelled => (ErrorKind::Conflict, "cancelled"),
        R::NothingToCancel => (ErrorKind::Conflict, "nothing_to_cancel"),
        R::TooLate => (ErrorKind::Conflict, "too_late"),
        R::NoFile => (ErrorKind::NotFound, "no_file"),
        R::NoOwnerKey => (ErrorKind::NotFound, "no_owner_key"),
        R::WrongCode => return ApiError::invalid("wrong_code", "code", refusal.message),
        R::NotAKey => return ApiError::invalid("not_a_key", "public_key", refusal.message),
        R::TooManyAttempts => return ApiError::too_many("too_many_attempts", CODE_PAUSE, refusal.message),
        R::Failed => return ApiError::internal(refusal.message),
    };
    ApiError::new(kind, code, refusal.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the API promises (web/openapi.json) for each refusal of the warden's.
    #[test]
    fn every_refusal_has_its_kind_and_code() {
        use RefusalCode as R;
        for (refusal, kind, code) in [
            (R::NotABundle, ErrorKind::Invalid, "not_a_bundle"),
            (R::WrongBoard, ErrorKind::Invalid, "wrong_board"),
            (R::BadSignature, ErrorKind::Invalid, "bad_signature"),
            (R::Damaged, ErrorKind::Invalid, "damaged"),
            (R::Expired, ErrorKind::Invalid, "expired"),
            (R::TooOld, ErrorKind::Conflict, "too_old"),
            (R::Downgrade, ErrorKind::Conflict, "downgrade"),
            (R::Busy, ErrorKind::Conflict, "busy"),
            (R::NotSupported, ErrorKind::Conflict, "not_supported"),
            (R::TooLarge, ErrorKind::TooLarge, "too_large"),
            (R::NoSpace, ErrorKind::NoSpace, "no_space"),
            (R::Cancelled, ErrorKind::Conflict, "cancelled"),
            (R::NothingToCancel, ErrorKind::Conflict, "nothing_to_cancel"),
            (R::TooLate, ErrorKind::Conflict, "too_late"),
            (R::NoFile, ErrorKind::NotFound, "no_file"),
            (R::WrongCode, ErrorKind::Invalid, "wrong_code"),
            (R::TooManyAttempts, ErrorKind::TooMany, "too_many_attempts"),
            (R::NotAKey, ErrorKind::Invalid, "not_a_key"),
            (R::NoOwnerKey, ErrorKind::NotFound, "no_owner_key"),
            (R::Failed, ErrorKind::Internal, "internal"),
        ] {
            let error = refused(Refusal::new(refusal, "words"));
            assert_eq!((error.kind(), error.code()), (kind, code), "{refusal:?}");
            // A fault of the recorder's is for its log alone.
            assert_eq!(error.detail().is_some(), refusal == R::Failed);
        }
    }
}
