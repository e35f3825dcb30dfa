//! The recorder's identity: a P-256 key and a self-signed certificate.
//!
//! Made at the first start. Nothing is shared between recorders and nothing is derived from a serial number: the key is random, stays
//! in its file and goes to `serve` alone. The fingerprint is for people to compare with what a browser shows.

use std::fs;
use std::io;
use std::path::Path;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd};
use ring::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::files;

/// The key and its certificate, as PEM texts.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) certificate_pem: String,
    pub(super) key_pem: String,
}

/// The identity kept in `dir`, made when there is none.
pub(super) fn load_or_make(dir: &Path, name: &str) -> io::Result<Identity> {
    let (certificate, key) = (dir.join("certificate.pem"), dir.join("key.pem"));
    if certificate.exists() && key.exists() {
        let identity =
            Identity { certificate_pem: fs::read_to_string(certificate)?, key_pem: fs::read_to_string(key)? };
        fingerprint(&identity.certificate_pem)?;
        return Ok(identity);
    }
    let identity = make(name).map_err(io::Error::other)?;
    files::make_private_dir(dir)?;
    files::replace(&key, identity.key_pem.as_bytes())?;
    files::replace(&certificate, identity.certificate_pem.as_bytes())?;
    Ok(identity)
}

fn make(name: &str) -> Result<Identity, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if let Some(host) = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok()) {
        names.push(host);
    }
    names.dedup();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // A recorder's clock may stand in 1970 at the first start, so the dates don't depend on it;
    // the end is RFC 5280's (section 4.1.2.5) "no well-defined expiration date".
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31);
    let certificate = params.self_signed(&key)?;
    Ok(Identity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
}

/// SHA-256 of the certificate in the form that browsers show: `AB:CD:…`.
pub(super) fn fingerprint(certificate_pem: &str) -> io::Result<String> {
    let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("the kept certificate does not read: {error}"))
    })?;
    let hash = digest::digest(&digest::SHA256, &der);
    Ok(hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once_kept_and_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let first = load_or_make(&dir.path().join("a"), "Candor").unwrap();
        let again = load_or_make(&dir.path().join("a"), "Candor").unwrap();
        let other = load_or_make(&dir.path().join("b"), "Candor").unwrap();
        assert_eq!(first.certificate_pem, again.certificate_pem);
        assert_ne!(first.key_pem, other.key_pem);
        let print = fingerprint(&first.certificate_pem).unwrap();
        assert_eq!(print.len(), 32 * 3 - 1);
        assert_ne!(print, fingerprint(&other.certificate_pem).unwrap());
    }

    #[test]
    fn a_damaged_certificate_is_refused_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        load_or_make(dir.path(), "Candor").unwrap();
        fs::write(dir.path().join("certificate.pem"), "rubbish").unwrap();
        assert!(load_or_make(dir.path(), "Candor").is_err());
        assert_eq!(fs::read_to_string(dir.path().join("certificate.pem")).unwrap(), "rubbish");
    }
}
