//! Recovery asked over HTTP, with flash in memory.

use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode, header};
use futures_util::{StreamExt, stream};
use hal::{FlashGeometry, WallTime};
use hal_sim::{SimClock, SimFlash};
use http_body_util::BodyExt;
use semver::Version;
use tokio::time::timeout;
use tower::ServiceExt;
use update::{
    FORMAT, Manifest, ManifestType, Role, RootDocument, RootType, SigningKey, Slot, StateLog, Target,
    Timestamp, Trust, build, describe_root, load_boot_state, verify_slot,
};

use super::api::{ErrorView, router};
use super::desk::{Desk, Flashes, Setting, StateView, largest_root};
use super::media::{MediaSource, Medium};
use super::stage::StageCode;
use crate::reason::{ReasonCode, RecoveryReason};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

const BLOCK: u32 = 64 << 10;
const SLOT_BYTES: u32 = 8 * BLOCK;
/// Not a multiple of anything.
const ROOT_BYTES: usize = 3 * BLOCK as usize + 1234;

/// A recorder in recovery, and what a test needs to see of it.
struct Bench {
    router: Router,
    desk: Arc<Desk<SimFlash>>,
    clock: Arc<SimClock>,
    a: SimFlash,
    b: Option<SimFlash>,
    state: SimFlash,
    trust: Trust,
    target: Target,
}

/// A stick with these files.
struct Stick(Vec<(String, Vec<u8>)>);

impl MediaSource for Stick {
    fn list(&self) -> Vec<Medium> {
        let medium = |(file, bytes): &(String, Vec<u8>)| Medium {
            device: "sda1".into(),
            file: file.clone(),
            bytes: bytes.len() as u64,
        };
        self.0.iter().map(medium).collect()
    }

    fn open(&self, device: &str, file: &str) -> io::Result<Box<dyn Read + Send>> {
        let found = self.0.iter().find(|(name, _)| device == "sda1" && name == file);
        let (_, bytes) = found.ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(bytes.clone())))
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn trust() -> Trust {
    let role = |seed| Role { keys: vec![key(seed).public_key()], threshold: 1 };
    let document = RootDocument {
        r#type: RootType::Root,
        version: 1,
        expires: at("2036-01-01T00:00:00Z"),
        root: role(1),
        release: role(2),
    };
    Trust::new(&document.to_json().unwrap()).unwrap()
}

fn root_image(version: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ROOT_BYTES);
    while bytes.len() < ROOT_BYTES {
        bytes.extend_from_slice(format!("root of {version}, byte {}\n", bytes.len()).as_bytes());
    }
    bytes.truncate(ROOT_BYTES);
    bytes
}

fn bundle_of(board: &str, version: &str, signer: &SigningKey) -> Vec<u8> {
    let root = root_image(version);
    let manifest = Manifest {
        r#type: ManifestType::Bundle,
        format: FORMAT,
        board: board.into(),
        version: Version::parse(version).unwrap(),
        minimum_version: Version::new(0, 1, 0),
        created: at("2026-11-20T12:00:00Z"),
        expires: at("2030-11-20T12:00:00Z"),
        commit: "0123abc".into(),
        images: vec![describe_root(root.as_slice()).unwrap()],
    };
    let mut bundle = Vec::new();
    build(&manifest, &[], &[signer], root.as_slice(), &mut bundle).unwrap();
    bundle
}

fn bundle(version: &str) -> Vec<u8> {
    bundle_of("virt-a7", version, &key(2))
}

fn flash(bytes: u32) -> SimFlash {
    SimFlash::new(FlashGeometry { size: bytes, erase_block: BLOCK }, 7).unwrap()
}

impl Bench {
    fn new(two_slots: bool) -> Self {
        Self::with_stick(two_slots, Vec::new())
    }

    fn with_stick(two_slots: bool, files: Vec<(String, Vec<u8>)>) -> Self {
        let (a, b, state) = (flash(SLOT_BYTES), two_slots.then(|| flash(SLOT_BYTES)), flash(4 * BLOCK));
        let (log, _) = StateLog::open(state.clone(), 0, 4 * BLOCK).unwrap();
        let target = Target {
            board: "virt-a7".into(),
            installed: Version::new(0, 2, 0),
            floor: Version::new(0, 1, 0),
            now: None,
            max_root_bytes: largest_root(&a),
            allow_downgrade: false,
        };
        let setting = Setting {
            loader: "0.1.0 (test)".into(),
            board: "Emulated board".into(),
            reason: RecoveryReason::new(ReasonCode::NoSystem, "No slot passes its check."),
            fingerprint: "AB:CD".into(),
            trust: trust(),
            target: target.clone(),
        };
        let clock = Arc::new(SimClock::new(WallTime::default()));
        let flashes = Flashes { log, a: a.clone(), b: b.clone() };
        let shared = Arc::<SimClock>::clone(&clock);
        let desk = Arc::new(Desk::new(setting, flashes, Box::new(Stick(files)), shared).unwrap());
        let router = router(Arc::clone(&desk), "virt-a7");
        Self { router, desk, clock, a, b, state, trust: trust(), target }
    }

    async fn ask(&self, request: Request<Body>) -> Response<Body> {
        timeout(PATIENCE, self.router.clone().oneshot(request)).await.expect("it answers").unwrap()
    }

    async fn post(&self, path: &str, cookie: Option<&str>, body: impl Into<Body>) -> Response<Body> {
        let mut request = Request::post(path).header("X-Candor-Recovery", "1");
        request = request.header(header::CONTENT_TYPE, "application/json");
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        self.ask(request.body(body.into()).unwrap()).await
    }

    async fn try_code(&self, code: &str) -> Response<Body> {
        self.post("/api/presence", None, format!("{{\"code\":\"{code}\"}}")).await
    }

    /// The cookie that the right code gives.
    async fn unlock(&self) -> String {
        let answer = self.try_code(&self.desk.code()).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
        for part in ["__Host-", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        cookie.split(';').next().unwrap().to_owned()
    }

    async fn state(&self, cookie: Option<&str>) -> StateView {
        let mut request = Request::get("/api/state");
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let answer = self.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        serde_json::from_slice(&bytes(answer).await).unwrap()
    }

    async fn until(&self, code: StageCode) {
        let mut stages = self.desk.stages();
        let reached = timeout(PATIENCE, stages.wait_for(|stage| stage.code == code)).await;
        reached.unwrap_or_else(|_| panic!("{code:?} is not reached")).unwrap();
    }

    /// The version that a slot holds, wholly verified.
    fn installed(&self, slot: Slot) -> Option<String> {
        let mut flash = if slot == Slot::A { self.a.clone() } else { self.b.clone().unwrap() };
        let verified = verify_slot(&mut flash, &self.trust, &self.target, &mut |_| {});
        verified.ok().map(|envelope| envelope.manifest().version.to_string())
    }

    fn trial(&self) -> Option<(Slot, String)> {
        let (log, _) = StateLog::open(self.state.clone(), 0, 4 * BLOCK).unwrap();
        load_boot_state(&log).trying.map(|trial| (trial.slot, trial.version.to_string()))
    }
}

async fn bytes(answer: Response<Body>) -> Bytes {
    timeout(PATIENCE, answer.into_body().collect()).await.expect("it ends").unwrap().to_bytes()
}

async fn refused(answer: Response<Body>) -> (StatusCode, String) {
    let status = answer.status();
    let error: ErrorView = serde_json::from_slice(&bytes(answer).await).unwrap();
    assert!(!error.message.is_empty());
    (status, error.code)
}

/// A body that comes in pieces, as an upload does.
fn pieces(bytes: &[u8], size: usize) -> Body {
    let pieces: Vec<io::Result<Bytes>> =
        bytes.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Body::from_stream(stream::iter(pieces))
}

#[tokio::test]
async fn everybody_may_read_the_page_and_why() {
    let bench = Bench::with_stick(false, vec![("candor-virt-a7-0.3.0.bundle".into(), vec![1, 2, 3])]);
    let answer = bench.ask(Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    bench.desk.look_for_media();
    let state = bench.state(None).await;
    assert_eq!(state.reason.code, ReasonCode::NoSystem);
    assert!(!state.unlocked && state.code_good && state.media.is_empty());
    let missing = bench.ask(Request::get("/api/bundle/x").body(Body::empty()).unwrap()).await;
    assert_eq!(refused(missing).await, (StatusCode::NOT_FOUND, "not_found".into()));
}

#[tokio::test]
async fn nothing_is_taken_without_the_code() {
    let bench = Bench::new(false);
    for cookie in [None, Some("__Host-candor-recovery="), Some("__Host-candor-recovery=00")] {
        let answer = bench.post("/api/bundle", cookie, bundle("0.2.0")).await;
        assert_eq!(refused(answer).await, (StatusCode::UNAUTHORIZED, "locked".into()));
    }
    let cookie = bench.unlock().await;
    let foreign =
        Request::post("/api/bundle").header(header::COOKIE, &cookie).body(Body::from(bundle("0.2.0")));
    let answer = bench.ask(foreign.unwrap()).await;
    assert_eq!(refused(answer).await, (StatusCode::FORBIDDEN, "not_from_here".into()));
    assert_eq!((bench.installed(Slot::A), bench.trial()), (None, None));
    assert_eq!(bench.state(None).await.stage.code, StageCode::Idle);
}

#[tokio::test]
async fn the_sixth_code_is_too_many_and_so_is_a_late_one() {
    let bench = Bench::new(false);
    for left in (1..5).rev() {
        let answer = bench.try_code("0000-0000").await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let error: ErrorView = serde_json::from_slice(&bytes(answer).await).unwrap();
        assert!(error.message.contains(if left == 1 { "one try" } else { "tries" }), "{}", error.message);
    }
    for code in ["0000-0000", &bench.desk.code()] {
        let answer = bench.try_code(code).await;
        assert_eq!(refused(answer).await, (StatusCode::TOO_MANY_REQUESTS, "code_used_up".into()));
    }
    assert!(!bench.state(None).await.code_good);

    let late = Bench::new(false);
    late.clock.advance(Duration::from_secs(600));
    let answer = late.try_code(&late.desk.code()).await;
    assert_eq!(refused(answer).await, (StatusCode::TOO_MANY_REQUESTS, "code_used_up".into()));
}

#[tokio::test]
async fn a_good_bundle_is_installed_on_one_slot() {
    let bench = Bench::new(false);
    let cookie = bench.unlock().await;
    let answer = bench.post("/api/bundle", Some(&cookie), pieces(&bundle("0.2.0"), 1000)).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    bench.until(StageCode::Restarting).await;
    assert_eq!(bench.installed(Slot::A).as_deref(), Some("0.2.0"));
    assert_eq!(bench.trial(), Some((Slot::A, "0.2.0".into())));
    let again = bench.post("/api/bundle", Some(&cookie), bundle("0.2.0")).await;
    assert_eq!(refused(again).await, (StatusCode::CONFLICT, "busy".into()), "it restarts");
}

#[tokio::test]
async fn with_two_slots_the_one_that_is_not_active_is_written() {
    let bench = Bench::new(true);
    let cookie = bench.unlock().await;
    let answer = bench.post("/api/bundle", Some(&cookie), pieces(&bundle("0.2.1"), 65_536)).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    bench.until(StageCode::Restarting).await;
    assert_eq!((bench.installed(Slot::A), bench.installed(Slot::B)), (None, Some("0.2.1".into())));
    assert_eq!(bench.trial(), Some((Slot::B, "0.2.1".into())));
}

#[tokio::test]
async fn what_is_not_right_is_refused_before_anything_is_erased() {
    let bench = Bench::new(false);
    let cookie = bench.unlock().await;
    let good = bundle("0.2.0");
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let cases: [(Vec<u8>, StatusCode, &str); 8] = [
        (b"MZ\x90, not a bundle at all".to_vec(), StatusCode::UNPROCESSABLE_ENTITY, "not_a_bundle"),
        (bundle_of("virt-a7", "0.2.0", &key(3)), StatusCode::UNPROCESSABLE_ENTITY, "bad_signature"),
        (bundle_of("other", "0.2.0", &key(2)), StatusCode::UNPROCESSABLE_ENTITY, "wrong_board"),
        (flipped, StatusCode::UNPROCESSABLE_ENTITY, "damaged"),
        (good[..good.len() - 1].to_vec(), StatusCode::UNPROCESSABLE_ENTITY, "damaged"),
        ([good.clone(), vec![0]].concat(), StatusCode::UNPROCESSABLE_ENTITY, "damaged"),
        (bundle("0.1.5"), StatusCode::CONFLICT, "downgrade"),
        (vec![0; bench.desk.max_bundle_bytes() as usize + 1], StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
    ];
    for (body, status, code) in cases {
        let length = body.len();
        let request = Request::post("/api/bundle")
            .header("X-Candor-Recovery", "1")
            .header(header::COOKIE, &cookie)
            .header(header::CONTENT_LENGTH, length);
        let answer = bench.ask(request.body(pieces(&body, 65_536)).unwrap()).await;
        assert_eq!(refused(answer).await, (status, code.to_owned()));
    }
    assert_eq!((bench.installed(Slot::A), bench.trial()), (None, None));
    let old = bench.post("/api/bundle?downgrade=1", Some(&cookie), pieces(&bundle("0.1.5"), 65_536)).await;
    assert_eq!(old.status(), StatusCode::ACCEPTED, "an older one, for whoever insists");
    bench.until(StageCode::Restarting).await;
    assert_eq!(bench.installed(Slot::A).as_deref(), Some("0.1.5"));
}

#[tokio::test]
async fn a_cut_upload_leaves_everything_as_it_was() {
    let bench = Bench::new(false);
    let cookie = bench.unlock().await;
    let good = bundle("0.2.0");
    let half = Bytes::copy_from_slice(&good[..good.len() / 2]);

    // The connection breaks in the middle of the body.
    let cut = stream::iter([Ok(half.clone()), Err(io::Error::from(io::ErrorKind::ConnectionReset))]);
    let answer = bench.post("/api/bundle", Some(&cookie), Body::from_stream(cut)).await;
    assert_eq!(refused(answer).await, (StatusCode::REQUEST_TIMEOUT, "cut_off".into()));
    assert_eq!(bench.state(None).await.stage.code, StageCode::Failed);

    // The whole request goes, as it does when the server notices first.
    let endless = stream::iter([Ok::<_, io::Error>(half)]).chain(stream::pending());
    let request = bench.post("/api/bundle", Some(&cookie), Body::from_stream(endless));
    tokio::select! {
        _ = request => panic!("there is no end to it"),
        () = async {
            bench.until(StageCode::Receiving).await;
            let mut stages = bench.desk.stages();
            timeout(PATIENCE, stages.wait_for(|stage| stage.done_bytes > 0)).await.unwrap().unwrap();
        } => {}
    }
    let stage = bench.state(None).await.stage;
    assert_eq!(stage.code, StageCode::Failed);
    assert!(stage.message.contains("Nothing was changed"), "{}", stage.message);
    assert_eq!((bench.installed(Slot::A), bench.trial()), (None, None));

    let answer = bench.post("/api/bundle", Some(&cookie), pieces(&good, 65_536)).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED, "and another try is welcome");
    bench.until(StageCode::Restarting).await;
    assert_eq!(bench.installed(Slot::A).as_deref(), Some("0.2.0"));
}

#[tokio::test]
async fn one_bundle_at_a_time() {
    let bench = Bench::new(false);
    let cookie = bench.unlock().await;
    let endless = stream::iter([Ok::<_, io::Error>(Bytes::from(bundle("0.2.0")[..200].to_vec()))]);
    let request =
        bench.post("/api/bundle", Some(&cookie), Body::from_stream(endless.chain(stream::pending())));
    tokio::select! {
        _ = request => panic!("there is no end to it"),
        answer = async {
            bench.until(StageCode::Receiving).await;
            bench.post("/api/bundle", Some(&cookie), bundle("0.2.0")).await
        } => assert_eq!(refused(answer).await, (StatusCode::CONFLICT, "busy".into())),
    }
}

#[tokio::test]
async fn a_flash_that_fails_leads_to_another_try() {
    let bench = Bench::new(false);
    let cookie = bench.unlock().await;
    bench.a.cut_power_after(u64::from(3 * BLOCK));
    let answer = bench.post("/api/bundle", Some(&cookie), pieces(&bundle("0.2.0"), 65_536)).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    bench.until(StageCode::Failed).await;
    bench.a.restore_power();
    assert_eq!((bench.installed(Slot::A), bench.trial()), (None, None));
    let answer = bench.post("/api/bundle", Some(&cookie), pieces(&bundle("0.2.0"), 65_536)).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    bench.until(StageCode::Restarting).await;
    assert_eq!(bench.installed(Slot::A).as_deref(), Some("0.2.0"));
}

#[tokio::test]
async fn a_stick_is_offered_and_used_only_when_somebody_is_there() {
    let good = "candor-virt-a7-0.2.0.bundle";
    let files = vec![(good.to_owned(), bundle("0.2.0")), ("candor-virt-a7-bad.bundle".into(), vec![0; 100])];
    let bench = Bench::with_stick(false, files);
    bench.desk.look_for_media();
    let wish = |file: &str| format!("{{\"device\":\"sda1\",\"file\":\"{file}\"}}");
    let answer = bench.post("/api/media", None, wish(good)).await;
    assert_eq!(refused(answer).await, (StatusCode::UNAUTHORIZED, "locked".into()));
    let cookie = bench.unlock().await;
    assert_eq!(bench.state(Some(&cookie)).await.media.len(), 2);
    for file in ["../etc/passwd", "candor-virt-a7-9.bundle"] {
        let answer = bench.post("/api/media", Some(&cookie), wish(file)).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
    let answer = bench.post("/api/media", Some(&cookie), wish("candor-virt-a7-bad.bundle")).await;
    assert_eq!(refused(answer).await, (StatusCode::UNPROCESSABLE_ENTITY, "not_a_bundle".into()));
    assert_eq!(bench.state(None).await.stage.code, StageCode::Failed);
    let answer = bench.post("/api/media", Some(&cookie), wish(good)).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    bench.until(StageCode::Restarting).await;
    assert_eq!(bench.installed(Slot::A).as_deref(), Some("0.2.0"));
}
