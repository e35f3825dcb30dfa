//! The OpenAPI document: declared by handlers and views, completed by routes.
//!
//! Who may call and which refusals every call has is not written by hand, so that it cannot drift. The golden
//! file web/openapi.json is compared in a test.
//!
//! Does not belong here: descriptions (they stand with what they describe).

use std::sync::OnceLock;

use axum::response::Response;
use http::StatusCode;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, PathItem, Ref, ResponseBuilder, Server};

use crate::answer::json;
use crate::error::{ErrorBody, ErrorDetail};
use crate::routes::{Access, BASE, ROUTES, Route};
use crate::{
    cookie, deletion_handlers, event_handlers, footage_handlers, handlers, ledger_handlers, lock_handlers,
    storage_handlers, update_handlers,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Candor", description = "The recorder's API. Errors have one shape: ErrorBody."),
    paths(
        handlers::state,
        answer,
        handlers::claim,
        handlers::login,
        handlers::session,
        handlers::logout,
        handlers::channels,
        handlers::set_channel,
        event_handlers::mark_event,
        handlers::cameras,
        handlers::add_camera,
        handlers::set_camera,
        handlers::remove_camera,
        handlers::live,
        footage_handlers::timeline,
        footage_handlers::recording_info,
        footage_handlers::recording,
        footage_handlers::playback,
        footage_handlers::export_mp4,
        footage_handlers::export_zip,
        handlers::system,
        handlers::trust,
        ledger_handlers::ledger,
        handlers::updates,
        handlers::stream_keys,
        handlers::add_stream_key,
        handlers::remove_stream_key,
        handlers::settings,
        handlers::set_settings,
        update_handlers::update,
        update_handlers::install_update,
        update_handlers::cancel_update,
        update_handlers::install_update_from_usb,
        update_handlers::show_presence_code,
        update_handlers::set_owner_key,
        update_handlers::remove_owner_key,
        update_handlers::restart,
        update_handlers::format_disk,
        storage_handlers::new_recovery_key,
        storage_handlers::unlock_disk,
        storage_handlers::erase_footage,
        lock_handlers::locks,
        lock_handlers::lock,
        lock_handlers::unlock,
        deletion_handlers::deletions,
        deletion_handlers::deletable,
        deletion_handlers::delete_footage,
    ),
    components(schemas(ErrorBody, ErrorDetail))
)]
struct Declared;

/// This document.
#[utoipa::path(get, path = "/openapi.json", operation_id = "open_api", tag = "session",
    responses((status = 200, content_type = "application/json", body = serde_json::Value)))]
pub(crate) async fn answer() -> Response {
    json(StatusCode::OK, document())
}

/// The document, made once.
pub(crate) fn document() -> &'static utoipa::openapi::OpenApi {
    static DOCUMENT: OnceLock<utoipa::openapi::OpenApi> = OnceLock::new();
    DOCUMENT.get_or_init(complete)
}

/// The document as text, for the golden file.
#[must_use]
pub fn openapi_json() -> String {
    let mut text = document().to_pretty_json().expect("the document is plain data");
    text.push('\n');
    text
}

fn complete() -> utoipa::openapi::OpenApi {
    let mut document = Declared::openapi();
    document.servers = Some(vec![Server::new(BASE)]);
    let session = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(cookie::NAME)));
    document.components.get_or_insert_default().add_security_scheme("session", session);
    for route in &ROUTES {
        if let Some(operation) =
            document.paths.paths.get_mut(route.path).and_then(|item| operation(item, &route.method))
        {
            declare(operation, route);
        }
    }
    document
}

/// The operation of `item` with `method`.
pub(crate) fn operation<'a>(item: &'a mut PathItem, method: &http::Method) -> Option<&'a mut Operation> {
    match *method {
        http::Method::GET => item.get.as_mut(),
        http::Method::POST => item.post.as_mut(),
        http::Method::PUT => item.put.as_mut(),
        http::Method::DELETE => item.delete.as_mut(),
        _ => None,
    }
}

fn declare(operation: &mut Operation, route: &Route) {
    let (who, statuses): (String, &[&str]) = match route.access {
        Access::Anyone => ("anyone".into(), &["403"]),
        Access::Unclaimed => ("anyone, while the recorder has no owner".into(), &["403", "404"]),
        Access::Role(role) => (format!("{role:?}").to_lowercase(), &["401", "403"]),
    };
    operation.description = Some(format!("Who: {who}."));
    operation.security = Some(match route.access {
        Access::Role(_) => vec![SecurityRequirement::new("session", [""; 0])],
        _ => Vec::new(),
    });
    let mut refusals = statuses.to_vec();
    if operation.request_body.is_some() {
        refusals.extend(["400", "413", "422"]);
    } else if route.query {
        refusals.extend(["400", "422"]);
    }
    if route.path.contains('{') {
        refusals.push("404");
    }
    for status in refusals {
        let body = Content::new(Some(Ref::from_schema_name("ErrorBody")));
        let refusal = ResponseBuilder::new().description("Refused").content("application/json", body).build();
        operation.responses.responses.entry(status.into()).or_insert(refusal.into());
    }
}
