//! The one table of routes: what exists, and who may call it.
//!
//! The router is built from this table, the gate decides by it, and the OpenAPI document is completed from it.
//! What does not stand here does not exist.
//!
//! Does not belong here: how a request is checked (`gate.rs`) or answered (`handlers.rs`).

use http::Method;

use crate::views::Role;

/// Where the API lives. The number changes when an old client would misunderstand a new answer.
pub(crate) const BASE: &str = "/api/v1";

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anyone.
    Anyone,
    /// Anyone while the recorder has no owner; afterwards there is no such route.
    Unclaimed,
    /// Whoever is signed in and may at least what this role may.
    Role(Role),
}

/// One operation; the name is the OpenAPI operation id too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    State,
    OpenApi,
    Claim,
    Login,
    GetSession,
    Logout,
    Channels,
    SetChannel,
    MarkEvent,
    Cameras,
    AddCamera,
    SetCamera,
    RemoveCamera,
    Live,
    Timeline,
    RecordingInfo,
    Recording,
    Playback,
    ExportMp4,
    ExportZip,
    System,
    Trust,
    Ledger,
    Updates,
    StreamKeys,
    AddStreamKey,
    RemoveStreamKey,
    Settings,
    SetSettings,
    Update,
    InstallUpdate,
    CancelUpdate,
    InstallUpdateFromUsb,
    ShowPresenceCode,
    SetOwnerKey,
    RemoveOwnerKey,
    Restart,
    FormatDisk,
    NewRecoveryKey,
    UnlockDisk,
    EraseFootage,
    Locks,
    Lock,
    Unlock,
    Deletions,
    Deletable,
    DeleteFootage,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// What it does.
    pub(crate) op: Op,
    /// With which method; `GET` means `HEAD` too.
    pub(crate) method: Method,
    /// Where, below [`BASE`].
    pub(crate) path: &'static str,
    /// For whom.
    pub(crate) access: Access,
    /// Whether anything may stand behind the `?`.
    pub(crate) query: bool,
}

const ANYONE: Access = Access::Anyone;
const VIEWER: Access = Access::Role(Role::Viewer);
const OWNER: Access = Access::Role(Role::Owner);

const fn row(op: Op, method: Method, path: &'static str, access: Access) -> Route {
    Route { op, method, path, access, query: false }
}

const fn with_query(op: Op, method: Method, path: &'static str, access: Access) -> Route {
    Route { op, method, path, access, query: true }
}

/// All routes.
pub(crate) static ROUTES: [Route; 47] = [
    row(Op::State, Method::GET, "/state", ANYONE),
    row(Op::OpenApi, Method::GET, "/openapi.json", ANYONE),
    row(Op::Claim, Method::POST, "/claim", Access::Unclaimed),
    row(Op::Login, Method::POST, "/session", ANYONE),
    row(Op::GetSession, Method::GET, "/session", VIEWER),
    row(Op::Logout, Method::DELETE, "/session", VIEWER),
    row(Op::Channels, Method::GET, "/channels", VIEWER),
    row(Op::SetChannel, Method::PUT, "/channels/{n}", OWNER),
    row(Op::MarkEvent, Method::POST, "/channels/{n}/event", OWNER),
    row(Op::Cameras, Method::GET, "/cameras", OWNER),
    row(Op::AddCamera, Method::POST, "/cameras", OWNER),
    row(Op::SetCamera, Method::PUT, "/cameras/{n}", OWNER),
    row(Op::RemoveCamera, Method::DELETE, "/cameras/{n}", OWNER),
    with_query(Op::Live, Method::GET, "/channels/{n}/{stream}/live", VIEWER),
    with_query(Op::Timeline, Method::GET, "/timeline", VIEWER),
    with_query(Op::RecordingInfo, Method::GET, "/channels/{n}/recording", VIEWER),
    with_query(Op::Recording, Method::GET, "/channels/{n}/recording.mp4", VIEWER),
    with_query(Op::Playback, Method::GET, "/channels/{n}/playback.mp4", VIEWER),
    with_query(Op::ExportMp4, Method::GET, "/export.mp4", VIEWER),
    with_query(Op::ExportZip, Method::GET, "/export.zip", VIEWER),
    row(Op::System, Method::GET, "/system", VIEWER),
    row(Op::Trust, Method::GET, "/trust", VIEWER),
    with_query(Op::Ledger, Method::GET, "/ledger", OWNER),
    row(Op::Updates, Method::GET, "/updates", VIEWER),
    row(Op::StreamKeys, Method::GET, "/stream-keys", OWNER),
    row(Op::AddStreamKey, Method::POST, "/stream-keys", OWNER),
    row(Op::RemoveStreamKey, Method::DELETE, "/stream-keys/{name}", OWNER),
    row(Op::Settings, Method::GET, "/settings", VIEWER),
    row(Op::SetSettings, Method::PUT, "/settings", OWNER),
    row(Op::Update, Method::GET, "/update", VIEWER),
    with_query(Op::InstallUpdate, Method::POST, "/update", OWNER),
    row(Op::CancelUpdate, Method::DELETE, "/update", OWNER),
    row(Op::InstallUpdateFromUsb, Method::POST, "/update/usb", OWNER),
    row(Op::ShowPresenceCode, Method::POST, "/update/presence", OWNER),
    row(Op::SetOwnerKey, Method::PUT, "/update/owner-key", OWNER),
    row(Op::RemoveOwnerKey, Method::DELETE, "/update/owner-key", OWNER),
    row(Op::Restart, Method::POST, "/restart", OWNER),
    row(Op::FormatDisk, Method::POST, "/disks/{device}/format", OWNER),
    row(Op::NewRecoveryKey, Method::POST, "/storage/recovery-key", OWNER),
    row(Op::UnlockDisk, Method::POST, "/storage/unlock", OWNER),
    row(Op::EraseFootage, Method::POST, "/storage/erase", OWNER),
    row(Op::Locks, Method::GET, "/locks", OWNER),
    row(Op::Lock, Method::POST, "/locks", OWNER),
    row(Op::Unlock, Method::DELETE, "/locks/{id}", OWNER),
    row(Op::Deletions, Method::GET, "/deletions", OWNER),
    row(Op::Deletable, Method::POST, "/deletions/scope", OWNER),
    row(Op::DeleteFootage, Method::POST, "/deletions", OWNER),
];
