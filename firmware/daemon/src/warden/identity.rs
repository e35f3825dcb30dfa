//! The recorder's identity: a P-256 key and a self-signed certificate.
//!
//! Made at the first start. Nothing is shared between recorders and nothing is derived from a serial number: the
//! key is random, stays with the keeper and goes to `serve` alone. The fingerprint is for people to compare with what a browser shows.

use std::io;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd};
use ring::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::keeper::{IDENTITY, Keeper};

/// How the key's part begins.
const KEY_BEGIN: &str = "-----BEGIN PRIVATE KEY";

/// The key and its certificate, as PEM texts.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) certificate_pem: String,
    pub(super) key_pem: String,
}

/// The identity kept, or a new one where there is none.
pub(super) fn load_or_make(keeper: &dyn Keeper, name: &str) -> io::Result<Identity> {
    if let Some(kept) = keeper.get(IDENTITY)? {
        let damaged = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let text = String::from_utf8(kept).map_err(|_| damaged("the kept identity is no text"))?;
        let key = text.find(KEY_BEGIN).ok_or_else(|| damaged("the kept identity has no key"))?;
        let (certificate_pem, key_pem) = text.split_at(key);
        let identity = Identity { certificate_pem: certificate_pem.to_owned(), key_pem: key_pem.to_owned() };
        fingerprint(&identity.certificate_pem)?;
        return Ok(identity);
    }
    let identity = make(name).map_err(io::Error::other)?;
    keeper.set(IDENTITY, format!("{}{}", identity.certificate_pem, identity.key_pem).as_bytes())?;
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
    use crate::warden::keeper::MemoryKeeper;

    #[test]
    fn is_made_once_kept_and_its_own() {
        let (a, b) = (MemoryKeeper::default(), MemoryKeeper::default());
        let first = load_or_make(&a, "Candor").unwrap();
        let again = load_or_make(&a, "Candor").unwrap();
        let other = load_or_make(&b, "Candor").unwrap();
        assert_eq!(first.certificate_pem, again.certificate_pem);
        assert_eq!(first.key_pem, again.key_pem);
        assert_ne!(first.key_pem, other.key_pem);
        let print = fingerprint(&first.certificate_pem).unwrap();
        assert_eq!(print.len(), 32 * 3 - 1);
        assert_ne!(print, fingerprint(&other.certificate_pem).unwrap());
    }

    #[test]
    fn a_damaged_identity_is_refused_not_replaced() {
        let keeper = MemoryKeeper::default();
        let key = load_or_make(&keeper, "Candor").unwrap().key_pem;
        for damaged in ["rubbish".to_owned(), format!("rubbish{key}")] {
            keeper.set(IDENTITY, damaged.as_bytes()).unwrap();
            assert!(load_or_make(&keeper, "Candor").is_err());
            assert_eq!(keeper.get(IDENTITY).unwrap().unwrap(), damaged.into_bytes());
        }
    }
}
