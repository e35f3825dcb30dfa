//! The router, built from the table: every route's handler behind the gate.
//!
//! Does not belong here: a route that is not in the table, or a handler without the gate.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::api::Api;
use crate::assets::{self, wrong_method};
use crate::gate::{gate, no_such_page};
use crate::routes::{BASE, Op, ROUTES, Route};
use crate::security::around;
use crate::site::Site;
use crate::{
    deletion_handlers, event_handlers, footage_handlers, handlers, ledger_handlers, lock_handlers, openapi,
    storage_handlers, update_handlers,
};

/// The whole site: the API and the browser app.
pub(crate) fn router<A: Api>(site: Site<A>) -> Router {
    let mut api = Router::new();
    for route in &ROUTES {
        let gated = handler::<A>(route).route_layer(from_fn_with_state((site.clone(), route), gate::<A>));
        api = api.route(route.path, gated);
    }
    let api =
        api.method_not_allowed_fallback(|| async { wrong_method() }).fallback(|| async { no_such_page() });
    Router::new().nest(BASE, api).fallback(assets::answer).layer(from_fn(around)).with_state(site)
}

fn handler<A: Api>(route: &Route) -> MethodRouter<Site<A>> {
    let method = MethodFilter::try_from(route.method.clone()).expect("the table has common methods only");
    match route.op {
        Op::State => on(method, handlers::state::<A>),
        Op::OpenApi => on(method, openapi::answer),
        Op::Claim => on(method, handlers::claim::<A>),
        Op::Login => on(method, handlers::login::<A>),
        Op::GetSession => on(method, handlers::session),
        Op::Logout => on(method, handlers::logout::<A>),
        Op::Channels => on(method, handlers::channels::<A>),
        Op::SetChannel => on(method, handlers::set_channel::<A>),
        Op::MarkEvent => on(method, event_handlers::mark_event::<A>),
        Op::Cameras => on(method, handlers::cameras::<A>),
        Op::AddCamera => on(method, handlers::add_camera::<A>),
        Op::SetCamera => on(method, handlers::set_camera::<A>),
        Op::RemoveCamera => on(method, handlers::remove_camera::<A>),
        Op::Live => on(method, handlers::live::<A>),
        Op::Timeline => on(method, footage_handlers::timeline::<A>),
        Op::RecordingInfo => on(method, footage_handlers::recording_info::<A>),
        Op::Recording => on(method, footage_handlers::recording::<A>),
        Op::Playback => on(method, footage_handlers::playback::<A>),
        Op::ExportMp4 => on(method, footage_handlers::export_mp4::<A>),
        Op::ExportZip => on(method, footage_handlers::export_zip::<A>),
        Op::System => on(method, handlers::system::<A>),
        Op::Trust => on(method, handlers::trust::<A>),
        Op::Ledger => on(method, ledger_handlers::ledger::<A>),
        Op::Updates => on(method, handlers::updates::<A>),
        Op::StreamKeys => on(method, handlers::stream_keys::<A>),
        Op::AddStreamKey => on(method, handlers::add_stream_key::<A>),
        Op::RemoveStreamKey => on(method, handlers::remove_stream_key::<A>),
        Op::Settings => on(method, handlers::settings::<A>),
        Op::SetSettings => on(method, handlers::set_settings::<A>),
        Op::Update => on(method, update_handlers::update::<A>),
        Op::InstallUpdate => on(method, update_handlers::install_update::<A>),
        Op::CancelUpdate => on(method, update_handlers::cancel_update::<A>),
        Op::InstallUpdateFromUsb => on(method, update_handlers::install_update_from_usb::<A>),
        Op::ShowPresenceCode => on(method, update_handlers::show_presence_code::<A>),
        Op::SetOwnerKey => on(method, update_handlers::set_owner_key::<A>),
        Op::RemoveOwnerKey => on(method, update_handlers::remove_owner_key::<A>),
        Op::Restart => on(method, update_handlers::restart::<A>),
        Op::FormatDisk => on(method, update_handlers::format_disk::<A>),
        Op::NewRecoveryKey => on(method, storage_handlers::new_recovery_key::<A>),
        Op::UnlockDisk => on(method, storage_handlers::unlock_disk::<A>),
        Op::EraseFootage => on(method, storage_handlers::erase_footage::<A>),
        Op::Locks => on(method, lock_handlers::locks::<A>),
        Op::Lock => on(method, lock_handlers::lock::<A>),
        Op::Unlock => on(method, lock_handlers::unlock::<A>),
        Op::Deletions => on(method, deletion_handlers::deletions::<A>),
        Op::Deletable => on(method, deletion_handlers::deletable::<A>),
        Op::DeleteFootage => on(method, deletion_handlers::delete_footage::<A>),
    }
}
