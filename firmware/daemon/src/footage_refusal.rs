//! What `record` answers when footage cannot be had.

use store::{ErrorKind, StoreError};

use crate::footage::Response;

pub(crate) fn no_disk() -> Response {
    Response::Failed("there is no disk now".to_owned())
}

pub(crate) fn refusal(error: &StoreError) -> Response {
    match error.kind() {
        ErrorKind::NoFootage => Response::NoFootage,
        ErrorKind::Recycled => Response::Changed,
        _ => Response::Failed(error.to_string()),
    }
}
