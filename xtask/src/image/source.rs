//! What an image is made from: version, commit, and the one time that goes into it.

use std::path::Path;
use std::process::Command;

use super::tool;
use crate::workspace::{self, Failure};

/// Facts of the checkout. Two builds of the same commit have the same.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The workspace's version.
    pub(super) version: String,
    /// The commit, with `+dirty` behind it where files differ from it.
    pub(super) commit: String,
    /// When it was committed, in seconds since 1970: every time stamp in an image (SOURCE_DATE_EPOCH).
    pub(super) epoch: i64,
}

impl Source {
    /// Asks git.
    pub(super) fn read() -> Result<Self, Failure> {
        let head = git(&["rev-parse", "HEAD"])?;
        let dirty = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: if dirty { format!("{head}+dirty") } else { head },
            epoch: git(&["show", "--no-patch", "--format=%ct", "HEAD"])?.parse()?,
        })
    }

    /// The commit, short enough for a person.
    pub(super) fn short_commit(&self) -> String {
        let (hash, dirty) = self.commit.split_at(self.commit.find('+').unwrap_or(self.commit.len()));
        format!("{}{dirty}", &hash[..hash.len().min(12)])
    }
}

fn git(args: &[&str]) -> Result<String, Failure> {
    let text = tool::run(git_in(&workspace::root()).args(args))?;
    Ok(text.trim().to_owned())
}

/// git, to look at a checkout that may be another user's: a container builds what was mounted into it.
pub(super) fn git_in(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*"]).current_dir(folder);
    git
}
