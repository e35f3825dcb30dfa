//! An HTTPS client that trusts one certificate: the recorder's own.
//!
//! A connection a request: whoever asks again after a role was killed must not be given a dead connection.
//! Does not belong here: what is asked (`owner.rs`).

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::fingerprint::Fingerprint;

/// One request's: a movie of some megabytes takes less on any machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Asks one recorder.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    connector: TlsConnector,
    limit: Duration,
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body's error code, or nothing.
    #[must_use]
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A header field's value, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Client {
    /// For the recorder at `address`, which shows the certificate in this file.
    ///
    /// # Panics
    /// When the file holds no certificate.
    #[must_use]
    pub fn new(address: SocketAddr, certificate: &Path) -> Self {
        let certificate = CertificateDer::from_pem_file(certificate).expect("the recorder's certificate");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).expect("a certificate that can be trusted");
        Self::with(address, builder().with_root_certificates(roots).with_no_client_auth())
    }

    /// For the recorder at `address`, whose certificate has this fingerprint: SHA-256, as its console shows it.
    #[must_use]
    pub fn pinned(address: SocketAddr, fingerprint: &str) -> Self {
        let verifier = Arc::new(Fingerprint::new(fingerprint));
        let config = builder().dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        Self::with(address, config)
    }

    /// Another patience for one answer.
    #[must_use]
    pub fn within(&self, limit: Duration) -> Self {
        Self { limit, ..self.clone() }
    }

    fn with(address: SocketAddr, config: ClientConfig) -> Self {
        Self { address, connector: TlsConnector::from(Arc::new(config)), limit: LIMIT }
    }

    /// Where pages of the recorder come from.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Asks; the error says why there was no answer.
    ///
    /// # Errors
    /// When no connection can be had, or it breaks before the answer's end.
    pub fn try_ask(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Response, String> {
        let mut request = Request::builder().method(method).uri(path).header("host", self.authority());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).map_err(words)?;
        runtime().block_on(async {
            tokio::time::timeout(self.limit, self.exchange(request))
                .await
                .unwrap_or_else(|_| Err(format!("no answer to {path} in {} s", self.limit.as_secs())))
        })
    }

    /// Asks a recorder that must answer.
    ///
    /// # Panics
    /// Where [`Client::try_ask`] has an error.
    #[track_caller]
    pub fn ask(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response {
        match self.try_ask(method, path, headers, body) {
            Ok(response) => response,
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }

    /// Asks as one of the recorder's own pages does before anybody signed in; a path below `/api/v1`.
    ///
    /// # Panics
    /// Where [`Client::try_ask`] has an error.
    #[track_caller]
    pub fn post(&self, path: &str, body: impl Into<Bytes>) -> Response {
        let headers = [("content-type", "application/json"), ("origin", &self.origin())];
        self.ask(&Method::POST, &format!("/api/v1{path}"), &headers, body)
    }

    /// A connection of TLS.
    pub(crate) async fn connect(&self) -> Result<TlsStream<TcpStream>, String> {
        let socket = TcpStream::connect(self.address).await.map_err(words)?;
        self.connector.connect(ServerName::from(self.address.ip()), socket).await.map_err(words)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response, String> {
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(words)?;
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(words)?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(words)?.to_bytes();
        connection.abort();
        Ok(Response { status: head.status.as_u16(), headers: head.headers, body })
    }
}

fn builder() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
}

/// Where one caller's connections run.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
fn words(error: impl ToString) -> String {
    error.to_string()
}
