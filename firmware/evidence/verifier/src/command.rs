//! What the command does: reads its arguments, verifies, says what was found.
//!
//! docs/evidence.md, section 7. Does not belong here: the verification (crate `evidence`).

use std::error::Error;
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use evidence::{Report, Trusted, Verdict};

/// The file could not be read, or the key is none.
const CANNOT: u8 = 2;

/// A file with a key has one line.
const MAX_KEY_FILE_BYTES: u64 = 4096;

/// What is verified, and by which key.
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    /// The exported file
    pub file: PathBuf,
    /// The recorder's public key or its fingerprint, or a file with one of them. Without it nobody has compared the key,
    /// and the command exits with 1
    #[arg(long)]
    pub key: Option<String>,
    /// All of it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Verifies a file and writes what was found to standard output. Exit code 0 only when the file is authentic and complete by a
/// key that was given; 2 when it cannot be read, or the key is none.
#[must_use]
pub fn run(args: &VerifyArgs) -> ExitCode {
    match verify(args) {
        Ok(report) => {
            let trusted = report.recorder.as_ref().is_some_and(|recorder| recorder.trusted);
            let good = report.verdict == Verdict::AuthenticAndComplete && trusted;
            if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {}: {error}", args.file.display());
            ExitCode::from(CANNOT)
        }
    }
}

fn verify(args: &VerifyArgs) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let trusted = args.key.as_deref().map(trusted).transpose()?;
    let file = File::open(&args.file)?;
    let shown = std::io::stderr().is_terminal();
    let mut percent = 0;
    let report = evidence::verify(file, trusted.as_ref(), |done, of| {
        let now = done * 100 / of.max(1);
        if shown && now > percent {
            percent = now;
            eprint!("\r{now} %");
        }
    })?;
    if percent > 0 {
        eprint!("\r      \r");
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(report)
}

/// A key or fingerprint, or a file that holds one.
fn trusted(text: &str) -> Result<Trusted, Box<dyn Error + Send + Sync>> {
    text.parse().or_else(|error| {
        let Ok(file) = File::open(Path::new(text)) else { return Err(format!("--key: {error}").into()) };
        let mut content = String::new();
        file.take(MAX_KEY_FILE_BYTES).read_to_string(&mut content)?;
        content.parse().map_err(|error| format!("{text}: {error}").into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_given_as_it_is_or_in_a_file() {
        let fingerprint = "e212-7314-f21c-aa0b-fe4e-83ef-9ec2-5fd2";
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, format!("{fingerprint}\n")).unwrap();
        assert_eq!(trusted(fingerprint).unwrap(), trusted(file.to_str().unwrap()).unwrap());
        std::fs::write(&file, "something else").unwrap();
        assert!(trusted(file.to_str().unwrap()).unwrap_err().to_string().contains("neither a public key"));
        assert!(trusted("no such file").unwrap_err().to_string().starts_with("--key: "));
    }
}
