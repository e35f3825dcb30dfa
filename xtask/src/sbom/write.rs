//! Writes both documents.

use std::fs;

use super::facts::Facts;
use super::{document, licences, parts};
use crate::workspace::Failure;

/// Writes `sbom.cdx.json` and `licences.txt` into the image's folder.
pub(crate) fn write(facts: &Facts) -> Result<(), Failure> {
    fs::create_dir_all(&facts.out)?;
    let parts = parts::gather(facts)?;
    fs::write(facts.out.join("sbom.cdx.json"), document::compose(facts, &parts)?)?;
    fs::write(facts.out.join("licences.txt"), licences::compose(facts, &parts)?)?;
    Ok(())
}
