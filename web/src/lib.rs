//! The HTTP API: trait, view types, router, OpenAPI and the browser app.
//!
//! Plain types only: none of our crates is used here, so that the API can be read, and its golden file made,
//! without any of them. The daemon implements [`Api`]; [`serve`] does the rest.
//!
//! Invariants: a route that is not in `routes.rs` does not exist; every route passes `gate.rs` before its
//! handler; every answer carries the headers of `security.rs`; no error's detail leaves the recorder.
//!
//! Does not belong here: users and passwords (`auth`), footage (`store`), live video (`live`).

mod answer;
mod api;
mod assets;
mod cookie;
mod deletion_handlers;
pub mod deletion_views;
mod error;
mod event_handlers;
pub mod event_views;
mod file;
mod footage_handlers;
mod gate;
mod handlers;
mod input;
pub mod key_views;
mod ledger_handlers;
pub mod ledger_views;
pub mod limits;
mod live_socket;
mod lock_handlers;
pub mod lock_views;
pub mod loss_views;
mod openapi;
mod range;
mod router;
mod routes;
mod security;
mod server;
mod site;
mod storage_handlers;
pub mod storage_views;
mod stream;
#[cfg(test)]
mod tests;
mod time;
mod update_handlers;
mod update_stream;
pub mod update_views;
mod upload;
pub mod views;

pub use api::{
    Api, ByteStream, Caller, Live, LiveMessage, NewOwner, NewSession, Purpose, Recording, SessionToken, Span,
    Update, Updates,
};
pub use error::{ApiError, ErrorBody, ErrorDetail, ErrorKind};
pub use openapi::openapi_json;
pub use server::{ConnectionLimits, serve};
pub use time::{NotATime, UtcTime};
pub use upload::{MAX_BUNDLE_BYTES, Upload};
