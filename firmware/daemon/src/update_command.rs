//! `candor update`: a verdict on a bundle anywhere, and installing one here.
//!
//! Does not belong here: what makes a bundle good (crate `update`) and how it is installed (the warden).

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use hal::{Clock, SystemClock};
use semver::Version;
use update::{
    Envelope, HEAD_BYTES, KeyId, MAGIC, MAX_ENVELOPE_BYTES, PublicKey, SignedBy, Target, Trust,
    VerifiedEnvelope, verify_bundle,
};
use web::update_views::UpdateStageCode;

use crate::args::{InstallArgs, UpdateCommand, VerifyArgs};
use crate::boot::ROOT_KEYS;
use crate::messages::Refusal;
use crate::update_line::{Line, MAX_PIECE_BYTES, Sent, socket_path};
use crate::version;

type CommandError = Box<dyn Error + Send + Sync>;

/// Exit code 1 unless the bundle is good, or is being installed.
pub(crate) fn run(command: &UpdateCommand) -> Result<ExitCode, CommandError> {
    match command {
        UpdateCommand::Verify(args) => verify(args, &mut io::stdout().lock()),
        UpdateCommand::Install(args) => {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(install(args))
        }
    }
}

/// Says all that is known of a bundle, and whether it is to be trusted.
fn verify(args: &VerifyArgs, out: &mut dyn Write) -> Result<ExitCode, CommandError> {
    let cannot = |error: io::Error| format!("{}: {error}", args.bundle.display());
    let trust = trust(args)?;
    let mut file = BufReader::new(File::open(&args.bundle).map_err(cannot)?);
    writeln!(out, "{}", args.bundle.display())?;
    let verdict = read_envelope(&mut file).and_then(|bytes| {
        let envelope = trust.verify(&bytes).map_err(|error| error.to_string())?;
        describe(out, &bytes, &envelope, &trust).map_err(|error| error.to_string())?;
        let board =
            args.board.clone().or_else(own_board).unwrap_or_else(|| envelope.manifest().board.clone());
        let target = Target {
            board,
            // Which version a recorder has, and how much room, only the recorder can say.
            installed: Version::new(0, 0, 0),
            floor: Version::new(0, 0, 0),
            now: Some(SystemClock::new().wall()),
            max_root_bytes: u64::MAX,
            allow_downgrade: true,
        };
        let whole = BufReader::new(File::open(&args.bundle).map_err(cannot)?);
        verify_bundle(whole, &trust, &target, &mut |_| ()).map_err(|error| error.to_string())?;
        Ok(target.board)
    });
    match verdict {
        Ok(board) => {
            writeln!(out, "GOOD: signed by a trusted key, whole, in date, and for the board {board}.")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => {
            writeln!(out, "REFUSED: {why}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn trust(args: &VerifyArgs) -> Result<Trust, CommandError> {
    let path: PathBuf = match &args.root_keys {
        Some(path) => path.clone(),
        None => ROOT_KEYS.iter().map(PathBuf::from).find(|path| path.exists()).ok_or(
            "say which keys to trust: --root-keys FILE, the root-keys.json of the release that you run",
        )?,
    };
    let json = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let owner = args.owner_key.as_deref().map(PublicKey::from_hex).transpose()?;
    Ok(Trust::new(json.trim_ascii_end())?.with_owner(owner))
}

/// On a board: its own.
fn own_board() -> Option<String> {
    version::boot().and_then(|facts| facts.board.split(':').next()).map(str::to_owned)
}

fn read_envelope(from: &mut impl Read) -> Result<Vec<u8>, String> {
    let not_a_bundle = "This is not an update bundle.".to_owned();
    let mut head = [0; HEAD_BYTES];
    from.read_exact(&mut head).map_err(|_| not_a_bundle.clone())?;
    let [.., a, b, c, d] = head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if !head.starts_with(MAGIC) || length > MAX_ENVELOPE_BYTES {
        return Err(not_a_bundle);
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).map_err(|_| "The bundle is damaged: it ends in its head.".to_owned())?;
    Ok(bytes)
}

fn describe(out: &mut dyn Write, bytes: &[u8], envelope: &VerifiedEnvelope, trust: &Trust) -> io::Result<()> {
    let manifest = envelope.manifest();
    let root = envelope.root();
    let by = match envelope.signed_by() {
        SignedBy::Release => {
            format!("the project, {} of {} keys", root.release.threshold, root.release.keys.len())
        }
        SignedBy::Owner => "the owner".to_owned(),
    };
    for (what, value) in [
        ("board", manifest.board.clone()),
        ("version", manifest.version.to_string()),
        ("then not below", manifest.minimum_version.to_string()),
        ("commit", manifest.commit.clone()),
        ("created", manifest.created.to_string()),
        ("expires", manifest.expires.to_string()),
        ("image", format!("{} bytes, SHA-256 {}", manifest.root().bytes, manifest.root().sha256_text())),
        ("signed by", by),
        ("root document", format!("version {}, expires {}", root.version, root.expires)),
    ] {
        writeln!(out, "  {what:<15} {value}")?;
    }
    let owner: Vec<KeyId> =
        trust.signers().into_iter().filter(|(_, kind)| *kind == SignedBy::Owner).map(|(id, _)| id).collect();
    let release: Vec<KeyId> = root.release.keys.iter().map(PublicKey::id).collect();
    // It was verified: it reads.
    let signatures = serde_json::from_slice::<Envelope>(bytes).map(|envelope| envelope.signatures);
    for signature in signatures.unwrap_or_default() {
        let kind = if release.contains(&signature.key) {
            "release"
        } else if owner.contains(&signature.key) {
            "owner"
        } else {
            "unknown here"
        };
        writeln!(out, "  {:<15} {} ({kind})", "key", signature.key)?;
    }
    Ok(())
}

/// Sends a bundle to the recorder that runs here, and shows how far it is.
async fn install(args: &InstallArgs) -> Result<ExitCode, CommandError> {
    let cannot = |error: io::Error| format!("{}: {error}", args.bundle.display());
    let mut file = File::open(&args.bundle).map_err(cannot)?;
    let total = file.metadata().map_err(cannot)?.len();
    let mut line = Line::upload(&args.run_dir, args.downgrade, Some(total), true).await.map_err(|error| {
        let socket = socket_path(&args.run_dir);
        format!("no recorder that takes updates runs here ({}: {error})", socket.display())
    })?;
    let mut bar = Bar::default();
    let mut piece = vec![0; MAX_PIECE_BYTES];
    let mut sent = 0;
    let mut answered = None;
    while answered.is_none() {
        let read = file.read(&mut piece).map_err(cannot)?;
        if read == 0 {
            break;
        }
        if let Sent::Answered(answer) = line.send(&piece[..read]).await? {
            answered = Some(answer);
        }
        sent += read as u64;
        bar.show("sending", sent, total);
    }
    let answer = match answered {
        Some(answer) => answer,
        None => line.finish().await?,
    };
    bar.end();
    if let Err(Refusal { message, .. }) = answer {
        eprintln!("candor: {message}");
        return Ok(ExitCode::FAILURE);
    }
    println!("verified");
    let mut failed = false;
    while let Some(stage) = line.stage().await {
        failed = stage.code == UpdateStageCode::Failed;
        if stage.code == UpdateStageCode::Installing {
            bar.show("installing", stage.done_bytes, stage.total_bytes);
        } else {
            bar.end();
            println!("{}", stage.message);
        }
    }
    bar.end();
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Progress on a terminal; nothing elsewhere.
#[derive(Default)]
struct Bar {
    open: bool,
}

impl Bar {
    fn show(&mut self, what: &str, done: u64, total: u64) {
        let mut out = io::stderr();
        if !out.is_terminal() {
            return;
        }
        self.open = true;
        let percent = (done * 100).checked_div(total).unwrap_or(0);
        let _ = write!(out, "\r{what} {percent:>3} %  {:.1} MB", done as f64 / 1e6);
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            eprintln!();
        }
    }
}

#[cfg(test)]
mod tests;
