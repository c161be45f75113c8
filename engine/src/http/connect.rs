//! From a server's name to a connection: addresses, socket, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use futures_rustls::TlsConnector;
use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, ServerName};
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::{ClientConfig, RootCertStore};
use smol::Async;
use smol::io::{AsyncRead, AsyncWrite};

use super::error::{HttpError, Waiting};
use super::limits::{ADDRESS_TIMEOUT, MAX_ADDRESSES};

/// A connection, secure or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Makes connections.
pub(crate) struct Connector {
    tls: TlsConnector,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    /// Trusts Mozilla's list of authorities, which is the same on every machine and there on one without any
    /// certificates, and those of `extra_roots`, certificates in PEM form.
    pub(crate) fn new(extra_roots: &[u8]) -> Result<Self, HttpError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for certificate in CertificateDer::pem_slice_iter(extra_roots) {
            let certificate = certificate.map_err(|error| HttpError::RootCertificates(error.to_string()))?;
            roots.add(certificate).map_err(|error| HttpError::RootCertificates(error.to_string()))?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| HttpError::RootCertificates(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Connects to `host`, a name or an address without brackets. Each step may take `patience`.
    pub(crate) async fn connect(
        &self,
        host: &str,
        port: u16,
        https: bool,
        patience: Duration,
    ) -> Result<Box<dyn Stream>, HttpError> {
        let addresses = within(Waiting::Name, patience, resolve(host, port)).await?;
        let socket = connect_any(&addresses, patience).await?;
        if !https {
            return Ok(Box::new(socket));
        }
        let failed = |source| HttpError::Tls { host: host.to_owned(), source };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let handshake = async { self.tls.connect(name, socket).await.map_err(failed) };
        Ok(Box::new(within(Waiting::Tls, patience, handshake).await?))
    }
}

/// The addresses of a name; never blocks the caller's thread.
pub(crate) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, HttpError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let failed = |source| HttpError::NameNotFound { host: host.to_owned(), source };
    let addresses = smol::net::resolve((host, port)).await.map_err(failed)?;
    if addresses.is_empty() {
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, "it has no address")));
    }
    Ok(addresses)
}

/// A connection to the first address that takes one; the error is that of the last.
async fn connect_any(addresses: &[SocketAddr], patience: Duration) -> Result<Async<TcpStream>, HttpError> {
    let patience = if addresses.len() > 1 { patience.min(ADDRESS_TIMEOUT) } else { patience };
    let mut result = Err(HttpError::TimedOut { waiting: Waiting::Connection, after: patience });
    for &address in addresses.iter().take(MAX_ADDRESSES) {
        let connect = async {
            Async::<TcpStream>::connect(address).await.map_err(|source| match source.kind() {
                io::ErrorKind::ConnectionRefused => HttpError::Refused { address },
                _ => HttpError::Connect { address, source },
            })
        };
        result = within(Waiting::Connection, patience, connect).await;
        if result.is_ok() {
            break;
        }
    }
    result
}

/// `work`, or an error if it takes longer than `patience`.
pub(super) async fn within<T>(
    waiting: Waiting,
    patience: Duration,
    work: impl Future<Output = Result<T, HttpError>>,
) -> Result<T, HttpError> {
    let late = async {
        smol::Timer::after(patience).await;
        Err(HttpError::TimedOut { waiting, after: patience })
    };
    smol::future::or(work, late).await
}
