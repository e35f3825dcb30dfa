//! The HTTP API: trait, view types, router, OpenAPI and the browser app.
//!
//! Plain types only: none of our crates is used here, so that the API can be read, and its golden file made,
//! without any of them. The daemon implements [`Api`].
//!
//! Invariants: a route that is not in `routes.rs` does not exist; every route passes `gate.rs` before its
//! handler; every answer carries the headers of `headers.rs`; no error's detail leaves the recorder.
//!
//! Does not belong here: users and passwords (`auth`), footage (`store`), live video (`live`).

mod api;
mod error;
pub mod limits;
mod time;
pub mod views;

pub use api::{
    Api, Caller, Live, LiveMessage, NewSession, Purpose, Recording, SessionToken, Span, Update, Updates,
};
pub use error::{ApiError, ErrorBody, ErrorDetail, ErrorKind};
pub use time::{NotATime, UtcTime};
