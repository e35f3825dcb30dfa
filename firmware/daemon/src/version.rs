//! What runs here: version, source revision, and the image that it came in.
//!
//! On a board the loader verified the image and left word of it (`boot.rs`). Elsewhere the operating system
//! answers for the program.

use std::path::Path;
use std::sync::LazyLock;

use web::update_views::{Image, SignedBy, SlotName, UpdateStage, UpdateStageCode, UpdateView};

use crate::boot::{self, BootFacts};

/// The program's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the loader said; `None` where there is no loader. Read once: the file is older than this process.
pub(crate) fn boot() -> Option<&'static BootFacts> {
    static BOOT: LazyLock<Option<BootFacts>> = LazyLock::new(|| BootFacts::read(Path::new(boot::PATH)).ok());
    BOOT.as_ref()
}

/// The source's revision, where the build was told.
pub(crate) fn commit() -> &'static str {
    option_env!("CANDOR_COMMIT").unwrap_or("unknown")
}

/// For the API.
pub(crate) fn image() -> Image {
    image_of(boot())
}

fn image_of(boot: Option<&BootFacts>) -> Image {
    Image {
        // What was signed says which version it is: the program in it may be the same in two of them.
        version: boot.map_or(VERSION, |boot| &boot.version).to_owned(),
        commit: commit().to_owned(),
        root_sha256: boot.map(|boot| boot.root_sha256.clone()),
        slot: boot.and_then(|boot| match boot.slot.as_str() {
            "a" => Some(SlotName::A),
            "b" => Some(SlotName::B),
            _ => None,
        }),
        trying: boot.is_some_and(|boot| boot.trying),
        created: boot.and_then(|boot| boot.created.parse().ok()),
        signed_by: boot.and_then(|boot| match boot.signed_by.as_str() {
            "release" => Some(SignedBy::Release),
            "owner" => Some(SignedBy::Owner),
            _ => None,
        }),
    }
}

/// What the API says while this recorder takes no updates, for `reason`.
pub(crate) fn no_updates(reason: &str) -> UpdateView {
    UpdateView {
        supported: false,
        reason: Some(reason.to_owned()),
        stage: UpdateStage {
            code: UpdateStageCode::Idle,
            message: reason.to_owned(),
            done_bytes: 0,
            total_bytes: 0,
            version: None,
        },
        installed: image(),
        other: None,
        last: None,
        floor: VERSION.to_owned(),
        keys: Vec::new(),
        usb: Vec::new(),
    }
}

/// For `candor --version`: all that identifies this software.
pub(crate) fn line() -> &'static str {
    static LINE: LazyLock<String> = LazyLock::new(|| {
        let image = boot().map(|boot| format!(", image {}", boot.root_sha256)).unwrap_or_default();
        format!("{VERSION} (commit {}{image})", commit())
    });
    &LINE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_build_says_which_it_is() {
        assert!(line().starts_with(&format!("{VERSION} (commit ")));
        assert_eq!(
            image_of(None),
            Image { version: VERSION.to_owned(), commit: commit().to_owned(), ..Image::default() }
        );
    }

    #[test]
    fn what_the_loader_said_is_shown() {
        let boot: BootFacts = serde_json::from_str(
            r#"{"board":"virt-a7:64","slot":"b","version":"0.1.0","commit":"abc","root_sha256":"00ff",
                "created":"2026-11-20T10:00:00Z","signed_by":"owner","trying":true,"tries_left":2,"previous":null}"#,
        )
        .unwrap();
        let image = image_of(Some(&boot));
        assert_eq!(
            (image.slot, image.signed_by, image.trying),
            (Some(SlotName::B), Some(SignedBy::Owner), true)
        );
        assert_eq!(image.root_sha256.as_deref(), Some("00ff"));
        assert_eq!(image.created.unwrap().to_string(), "2026-11-20T10:00:00.000Z");
    }
}
