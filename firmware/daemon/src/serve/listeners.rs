//! The ports: HTTPS, RTSPS, and plain RTSP while the owner wants it.
//!
//! Plain RTSP brings a pair of UDP ports, which close with it, and RTSPS one for SRTP. There are no others but those of multicast,
//! while somebody plays it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rtsp::{Entrance, Metadata, Server, ServerOptions, UdpPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use web::ConnectionLimits;

use super::api::Api;
use super::gate::Gate;
use super::happenings;
use super::house::House;
use super::replays::Archive;
use crate::messages::ServeSecrets;

/// A port that another program has is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// TLS as it is spoken on every port: ring's suites, TLS 1.2 and 1.3.
pub(super) fn tls_config(
    secrets: &ServeSecrets,
) -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    let chain =
        CertificateDer::pem_slice_iter(secrets.certificate_pem.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(secrets.key_pem.as_bytes())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?)
}

/// Serves until `stop`.
pub(super) async fn serve(house: Arc<House>, tls: ServerConfig, stop: impl Future<Output = ()> + Send) {
    let settings = house.settings.borrow().clone();
    let gate = Arc::new(Gate(Arc::clone(&house)));
    let archive = Arc::new(Archive(house.footage.clone()));
    let (feeds, clock) = (Arc::clone(&house.feeds), Arc::clone(&house.clock));
    let options = ServerOptions { metadata: metadata(&house), ..ServerOptions::default() };
    let rtsp = Server::new(feeds, Some(archive), gate, clock, options);
    let secure = TlsAcceptor::from(Arc::new(tls.clone()));
    let api = Arc::new(Api(Arc::clone(&house)));
    // Each waits for its own port: a web port that another program has must not keep players out.
    let web = async {
        tokio::pin!(stop);
        let listener = tokio::select! {
            listener = bind(&house, "Web", "https", settings.web.address) => listener,
            () = &mut stop => return,
        };
        web::serve(listener, &tls, api, ConnectionLimits::default(), stop).await;
    };
    tokio::select! {
        () = web => {}
        () = serve_rtsps(&house, &rtsp, settings.rtsp.tls_address, secure) => {}
        () = serve_rtsp_while_enabled(&house, &rtsp, settings.rtsp.address) => {}
    }
}

/// What players are told beside pictures; nothing where it cannot be followed.
fn metadata(house: &House) -> Option<Arc<Metadata>> {
    let metadata = Arc::new(Metadata::new(Arc::clone(&house.clock)));
    happenings::start(house, &metadata)
        .inspect_err(|error| tracing::error!(%error, "RTSP has no metadata"))
        .ok()?;
    Some(metadata)
}

async fn serve_rtsps(house: &House, rtsp: &Server, address: SocketAddr, tls: TlsAcceptor) {
    let listener = bind(house, "RTSPS", "rtsps", address).await;
    rtsp.serve(listener, Entrance::Tls { acceptor: tls, udp: udp_pair(address) }).await;
}

async fn serve_rtsp_while_enabled(house: &House, rtsp: &Server, address: SocketAddr) {
    let mut settings = house.settings.subscribe();
    loop {
        if settings.wait_for(|settings| settings.rtsp.enabled).await.is_err() {
            return;
        }
        let serving = async {
            let listener = bind(house, "RTSP", "rtsp", address).await;
            rtsp.serve(listener, Entrance::Plain { udp: udp_pair(address) }).await;
        };
        tokio::select! {
            () = serving => return,
            // Turned off: the future is dropped, and every plain session with it.
            off = settings.wait_for(|settings| !settings.rtsp.enabled) => if off.is_err() { return },
        }
        tracing::info!("plain RTSP is off");
    }
}

/// The ports that datagrams leave from: a free pair, told to each client, and closed with its entrance.
fn udp_pair(address: SocketAddr) -> Option<Arc<UdpPair>> {
    UdpPair::bind(address.ip(), None)
        .inspect_err(|error| tracing::warn!(%error, "RTSP goes over TCP only"))
        .ok()
        .map(Arc::new)
}

/// Listens, as soon as nobody else does.
async fn bind(house: &House, name: &str, scheme: &str, address: SocketAddr) -> TcpListener {
    let mut told = false;
    loop {
        match listen(address) {
            Ok(listener) => {
                house.control.console(&format!("{name}: {scheme}://{}", shown(address)));
                return listener;
            }
            Err(error) if !told => {
                told = true;
                tracing::error!(%address, %error, "{name} cannot listen");
                let port = address.port();
                house
                    .control
                    .console(&format!("{name} cannot listen on port {port}: {error}. It is tried again."));
            }
            Err(_) => {}
        }
        sleep(RETRY_AFTER).await;
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    // std sets SO_REUSEADDR: a restart need not wait for the old connections' last packets.
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// What a person can type: `0.0.0.0` is nobody's address.
fn shown(address: SocketAddr) -> String {
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    format!("{}:{}", host.as_deref().unwrap_or("localhost"), address.port())
}
