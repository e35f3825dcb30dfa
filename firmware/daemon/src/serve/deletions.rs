//! Deleting footage, in the API's words.
//!
//! Does not belong here: what goes (`record`).

use web::deletion_views::{Deletable, Deletion, DeletionScope};
use web::{ApiError, Caller};

use super::house::House;
use super::locks::sentence;
use super::recording::{ask, refusal};
use super::views::{named_channels, utc, wall};
use crate::footage::{Request, Response};
use crate::footage_deletions::{self, DeletionRefusal, DeletionView, DeletionWish};

pub(super) async fn all(house: &House) -> Result<Vec<Deletion>, ApiError> {
    match ask(&house.footage, &Request::Deletions).await? {
        (Response::Deletions(Ok(all)), _) => Ok(all.iter().map(view).collect()),
        (Response::Deletions(Err(refused)), _) => Err(words(refused)),
        (other, _) => Err(refusal(other)),
    }
}

pub(super) async fn deletable(house: &House, input: Deletable) -> Result<DeletionScope, ApiError> {
    scope(house, &Request::Deletable(wish(&input)?)).await
}

pub(super) async fn delete(
    house: &House,
    caller: &Caller,
    input: Deletable,
) -> Result<DeletionScope, ApiError> {
    tracing::warn!(user = caller.user, from = %caller.from, ?input, "deletes footage");
    scope(house, &Request::Delete { wish: wish(&input)?, by: caller.user.clone() }).await
}

async fn scope(house: &House, request: &Request) -> Result<DeletionScope, ApiError> {
    let footage_deletions::DeletionScope { channels, span, bytes, silent } =
        match ask(&house.footage, request).await? {
            (Response::Deletable(Ok(scope)), _) => scope,
            (Response::Deletable(Err(refused)), _) => return Err(words(refused)),
            (other, _) => return Err(refusal(other)),
        };
    Ok(DeletionScope {
        channels: channels.iter().map(|channel| channel.get()).collect(),
        start: span.map(|(start, _)| utc(start)),
        end: span.map(|(_, end)| utc(end)),
        bytes,
        silent_disks: silent,
    })
}

fn wish(input: &Deletable) -> Result<DeletionWish, ApiError> {
    let channels = named_channels(&input.channels)?;
    Ok(DeletionWish { channels, start: wall(input.start), end: wall(input.end) })
}

fn view(deletion: &DeletionView) -> Deletion {
    Deletion {
        id: deletion.id,
        channels: deletion.channels.iter().map(|channel| channel.get()).collect(),
        start: utc(deletion.start),
        end: utc(deletion.end),
        by: deletion.by.clone(),
        at: utc(deletion.at),
    }
}

fn words(refusal: DeletionRefusal) -> ApiError {
    use DeletionRefusal as R;
    match refusal {
        R::Locked(who) => {
            let words =
                "Some of this is locked. Unlock it under Health first, or choose a stretch without it.";
            ApiError::conflict("footage_locked", words).with_detail(who)
        }
        R::Invalid(why) => ApiError::invalid("not_deletable", "end", sentence(&why)),
        R::NoDisk => ApiError::unavailable("disk", "No disk takes footage now. The health page says why."),
        R::Failed(detail) => {
            let words = "A disk, or the one with the ledger, did not let the recorder do this. Try it again; the health page says how it is.";
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
        use DeletionRefusal as R;
        for (refusal, kind, code) in [
            (R::Locked("by ann".to_owned()), ErrorKind::Conflict, "footage_locked"),
            (R::Invalid("why".to_owned()), ErrorKind::Invalid, "not_deletable"),
            (R::NoDisk, ErrorKind::Unavailable, "disk"),
            (R::Failed("detail".to_owned()), ErrorKind::Unavailable, "disk"),
        ] {
            let error = words(refusal.clone());
            assert_eq!((error.kind(), error.code()), (kind, code), "{refusal:?}");
        }
    }
}
