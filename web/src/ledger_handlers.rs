//! The operations about the ledger.
//!
//! Does not belong here: who may call (`routes.rs`), and the ledger itself (`record` has it).

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use http::Uri;
use serde::Deserialize;

use crate::answer::ok;
use crate::api::Api;
use crate::error::ApiError;
use crate::gate::SignedIn;
use crate::input::query;
use crate::ledger_views::Ledger;
use crate::limits::{MAX_LEDGER_ENTRIES, ledger_entries};
use crate::site::Site;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerQuery {
    before: Option<u64>,
    #[serde(default = "most")]
    limit: u16,
}

fn most() -> u16 {
    MAX_LEDGER_ENTRIES
}

/// Entries of the ledger, newest first, with the key and the last signature.
#[utoipa::path(get, path = "/ledger", tag = "ledger",
    params(("before" = Option<u64>, Query, description = "Only those with a smaller number; without it, the newest"),
        ("limit" = Option<u16>, Query, description = "At most so many, 1 to 100", minimum = 1, maximum = 100)),
    responses((status = 200, body = Ledger)))]
pub(crate) async fn ledger<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): Extension<SignedIn>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let LedgerQuery { before, limit } = query(&uri)?;
    ok(site.api.ledger(user.caller, before, ledger_entries(limit)?).await)
}
