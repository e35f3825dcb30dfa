//! Key and certificate of this start's recovery: made anew, never kept.
//!
//! The recorder's own identity stays where it is; whoever stands at the console compares the fingerprint that it shows.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd};
use ring::digest::{SHA256, digest};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;

use crate::error::LoaderError;

/// TLS for one start.
pub(super) struct Identity {
    pub(super) tls: ServerConfig,
    /// SHA-256 of the certificate in the form that browsers show: `AB:CD:…`.
    pub(super) fingerprint: String,
}

/// Makes one.
pub(super) fn make() -> Result<Identity, LoaderError> {
    let failed = |error: &dyn std::fmt::Display| LoaderError::system("making a certificate", error);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| failed(&error))?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).map_err(|error| failed(&error))?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Candor recovery");
    // The clock may stand in 1970; the end is RFC 5280's (section 4.1.2.5) "no well-defined expiration date".
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31);
    let certificate = CertificateDer::from(params.self_signed(&key).map_err(|error| failed(&error))?);
    let hash = digest(&SHA256, &certificate);
    let pairs: Vec<String> = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key))
        .map_err(|error| failed(&error))?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity { tls, fingerprint: pairs.join(":") })
}
