//! The trial of a version that is new: confirmed, or given up.
//!
//! A version that was confirmed before is confirmed again at each healthy start, which costs nothing and completes
//! what a power cut left; only one that is on trial can fail. Does not belong here: the verdict (`update_health.rs`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use system::PowerAct;
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsConnector;
use update::{UpdateError, confirm, reject};
use web::update_views::{UpdateOutcome, UpdateStageCode};

use super::update::{Updater, idle, stage};
use super::update_health::{Health, Seen, TRIAL, Verdict};
use super::update_intake::clear;

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A page that does not answer within this does not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Looks until the version is confirmed, or has failed.
pub(super) async fn watch(updater: &Arc<Updater>) {
    let on_trial = updater.slots.boot_state().trying.is_some();
    let version = updater.slots.installed.to_string();
    let snapshots = updater.desk.watch_snapshot();
    let begun = updater.desk.clock.mono();
    let mut health = Health::new(begun);
    let mut every = interval(LOOK_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let snapshot = snapshots.borrow().clone();
        let answers = answers(updater).await;
        let seen = Seen { snapshot: &snapshot, disk: updater.desk.data_dir().is_some(), answers };
        let now = updater.desk.clock.mono();
        match health.look(now, seen) {
            Verdict::Healthy => {
                tracing::info!(version, "healthy");
                if let Err(error) = confirmed(updater, on_trial) {
                    tracing::error!(%error, "a healthy version could not be confirmed");
                }
                if on_trial {
                    updater.set_stage(idle());
                }
                updater.tell();
                return;
            }
            Verdict::Waiting(missing) if on_trial => {
                let words = format!("{version} is new and is being checked: {missing}.");
                let (done, total) = (now.since(begun).as_secs(), TRIAL.as_secs());
                tracing::debug!(done, total, missing, "on trial");
                updater.set_stage(stage(UpdateStageCode::Checking, &words, 0, 0, Some(version.clone())));
            }
            Verdict::Failed(why) if on_trial => {
                tracing::error!(version, why, "a new version did not become healthy");
                if let Err(error) = reject(&mut *updater.slots.log(), &why) {
                    // The loader counts its starts, and gives up on it all the same.
                    tracing::error!(%error, "this could not be kept");
                }
                let words =
                    format!("{version} did not become healthy: {why}. The version before comes back.");
                updater.set_stage(stage(UpdateStageCode::Restarting, &words, 0, 0, Some(version)));
                updater.desk.end(PowerAct::Restart);
                return;
            }
            Verdict::Failed(why) => {
                tracing::warn!(version, why, "not healthy");
                return;
            }
            Verdict::Waiting(_) => {}
        }
    }
}

pub(super) fn confirmed(updater: &Updater, on_trial: bool) -> Result<(), UpdateError> {
    let slots = &updater.slots;
    let envelope = slots.envelope(slots.running)?;
    let envelope = envelope.ok_or_else(|| UpdateError::Damaged("the slot that runs is empty".to_owned()))?;
    let mut trust = slots.trust()?;
    confirm(&mut *slots.log(), &mut trust, slots.running, &envelope)?;
    if on_trial {
        let version = envelope.manifest().version.to_string();
        let words = format!("{version} is installed and healthy.");
        updater.keep_last(&version, UpdateOutcome::Good, words);
        // What was staged for this version is not needed any more.
        if let Some(data) = updater.desk.data_dir() {
            clear(&data);
        }
    }
    Ok(())
}

/// Whether `serve` answers as the recorder that it is: a TLS handshake with its own certificate.
async fn answers(updater: &Updater) -> bool {
    let (address, certificate) = updater.desk.web();
    let shaken = timeout(ANSWER_WITHIN, handshake(address, certificate)).await;
    match shaken {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the web page does not answer");
            false
        }
        Err(_) => false,
    }
}

async fn handshake(address: SocketAddr, certificate_pem: &str) -> io::Result<()> {
    let ip = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(io::Error::other)?;
    roots.add(certificate).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect((ip, address.port())).await?;
    // Every certificate of ours names this host (`identity.rs`).
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::warden::identity::{Identity, load_or_make};
    use crate::warden::keeper::MemoryKeeper;

    fn identity() -> Identity {
        load_or_make(&MemoryKeeper::default(), "Candor").unwrap()
    }

    async fn page(identity: &Identity) -> SocketAddr {
        let chain = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                let _ = acceptor.accept(stream).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn only_the_recorders_own_page_counts_as_an_answer() {
        let (own, other) = (identity(), identity());
        let address = page(&own).await;
        handshake(address, &own.certificate_pem).await.unwrap();
        assert!(handshake(address, &other.certificate_pem).await.is_err(), "another's page");
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = silent.local_addr().unwrap();
        drop(silent);
        assert!(handshake(closed, &own.certificate_pem).await.is_err());
    }
}
