//! The software bill of materials: CycloneDX 1.5, JSON.
//!
//! Does not belong here: finding out what is in an image (`parts.rs`).

use cyclonedx_bom::external_models::spdx::{SpdxExpression, SpdxIdentifier};
use cyclonedx_bom::external_models::uri::Uri;
use cyclonedx_bom::models::bom::{Bom, SpecVersion, UrnUuid};
use cyclonedx_bom::models::component::{Classification, Component, Components};
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::external_reference::{
    ExternalReference, ExternalReferenceType, ExternalReferences,
};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{License, LicenseChoice, LicenseIdentifier, Licenses};
use cyclonedx_bom::models::metadata::Metadata;
use cyclonedx_bom::models::property::{Properties, Property};
use cyclonedx_bom::prelude::{DateTime, Purl, Validate};
use jiff::Timestamp;

use super::facts::Facts;
use super::part::{Kind, Part, sha256};
use crate::workspace::Failure;

/// The name that the image has in the document.
const IMAGE: &str = "image";

/// The document's text; the same parts give the same bytes.
pub(super) fn compose(facts: &Facts, parts: &[Part]) -> Result<Vec<u8>, Failure> {
    let mut bom = Bom { spec_version: SpecVersion::V1_5, ..Bom::default() };
    bom.serial_number = None;
    let mut image =
        Component::new(Classification::Firmware, "candor", &facts.version, Some(IMAGE.to_owned()));
    image.properties = Some(properties(&[
        ("candor:board".to_owned(), facts.board.clone()),
        ("candor:commit".to_owned(), facts.commit.clone()),
        ("candor:target".to_owned(), facts.target.clone()),
    ]));
    bom.metadata = Some(Metadata {
        timestamp: Some(DateTime::try_from(Timestamp::from_second(facts.epoch)?.to_string())?),
        component: Some(image),
        ..Metadata::default()
    });
    bom.components = Some(Components(parts.iter().map(component).collect::<Result<_, _>>()?));
    bom.dependencies = Some(Dependencies(dependencies(parts)));
    // No chance in it: the number is the content's hash in the form of a UUID of version 8 (RFC 9562).
    bom.serial_number = Some(serial_number(&text(&bom)?)?);
    let result = bom.validate_version(SpecVersion::V1_5);
    if !result.passed() {
        return Err(format!("the SBOM is no CycloneDX 1.5: {result:?}").into());
    }
    text(&bom)
}

fn text(bom: &Bom) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    bom.clone().output_as_json(&mut text, SpecVersion::V1_5)?;
    text.push(b'\n');
    Ok(text)
}

fn serial_number(text: &[u8]) -> Result<UrnUuid, Failure> {
    let hash = sha256(text);
    let number = format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        &hash[..8],
        &hash[8..12],
        &hash[13..16],
        &hash[17..20],
        &hash[20..32]
    );
    UrnUuid::new(number).map_err(|error| format!("{error:?}").into())
}

fn component(part: &Part) -> Result<Component, Failure> {
    let class = match part.kind {
        Kind::Program => Classification::Application,
        Kind::Crate | Kind::Npm | Kind::Native => Classification::Library,
        Kind::Kernel => Classification::OperatingSystem,
        Kind::BootLoader => Classification::Firmware,
        Kind::Blob => Classification::File,
    };
    let mut component = Component::new(class, &part.name, &part.version, Some(part.reference()));
    component.purl =
        part.purl.as_ref().map(|purl| purl.parse::<Purl>()).transpose().map_err(|()| "a purl")?;
    component.licenses = part.licence.as_ref().map(|licence| Licenses(vec![choice(licence)]));
    let hashes = [(HashAlgorithm::SHA_256, &part.sha256), (HashAlgorithm::SHA_512, &part.sha512)];
    let hashes: Vec<Hash> = hashes
        .into_iter()
        .filter_map(|(alg, hash)| Some(Hash { alg, content: HashValue(hash.clone()?) }))
        .collect();
    component.hashes = (!hashes.is_empty()).then_some(Hashes(hashes));
    component.properties = (!part.properties.is_empty()).then(|| properties(&part.properties));
    if let Some(home) = &part.home {
        let url =
            Uri::try_from(home.clone()).map_err(|_| format!("{}: {home} is no URL", part.reference()))?;
        let kind = if matches!(part.kind, Kind::Kernel | Kind::BootLoader) {
            ExternalReferenceType::Distribution
        } else {
            ExternalReferenceType::Website
        };
        component.external_references = Some(ExternalReferences(vec![ExternalReference::new(kind, url)]));
    }
    Ok(component)
}

/// One identifier, or an expression of several.
fn choice(licence: &str) -> LicenseChoice {
    match SpdxIdentifier::try_from(licence.to_owned()) {
        Ok(id) => LicenseChoice::License(License {
            license_identifier: LicenseIdentifier::SpdxId(id),
            ..License::named_license(licence)
        }),
        Err(_) => LicenseChoice::Expression(SpdxExpression::new(licence)),
    }
}

fn properties(list: &[(String, String)]) -> Properties {
    Properties(list.iter().map(|(name, value)| Property::new(name, value)).collect())
}

fn dependencies(parts: &[Part]) -> Vec<Dependency> {
    // Crates are used by programs, native code by crates; the image holds the rest.
    let is_top =
        |part: &&Part| matches!(part.kind, Kind::Program | Kind::Kernel | Kind::BootLoader | Kind::Blob);
    let top = parts.iter().filter(is_top).map(Part::reference).collect();
    let image = Dependency { dependency_ref: IMAGE.to_owned(), dependencies: top };
    let of = |part: &Part| {
        let inside =
            |other: &&Part| other.properties.contains(&("candor:inside".to_owned(), part.reference()));
        let inside = parts.iter().filter(inside).map(Part::reference);
        Dependency {
            dependency_ref: part.reference(),
            dependencies: part.uses.iter().cloned().chain(inside).collect(),
        }
    };
    std::iter::once(image).chain(parts.iter().map(of)).collect()
}
