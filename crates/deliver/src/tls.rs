//! TLS: one configuration for all connections, and names for what goes wrong.
//!
//! Certificates are always checked; there is no switch. Receivers with their own authority are
//! met by adding its certificate.

use std::io;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use watchfire_domain::outcome::Cause;

/// The TLS configuration can't be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    #[error("the additional authorities are not certificates in PEM form")]
    ExtraCa,
    #[error("the TLS library refused its configuration")]
    Configuration(#[source] rustls::Error),
}

/// For HTTP: roots of the system, or Mozilla's if it has none, and `extra_ca_pem` on top.
pub(crate) fn configure(extra_ca_pem: Option<&[u8]>) -> Result<Arc<ClientConfig>, TlsFault> {
    let mut config = configuration(extra_ca_pem)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The same for SMTP, whose servers know no protocol by name.
pub(crate) fn configure_without_alpn(
    extra_ca_pem: Option<&[u8]>,
) -> Result<Arc<ClientConfig>, TlsFault> {
    configuration(extra_ca_pem).map(Arc::new)
}

fn configuration(extra_ca_pem: Option<&[u8]>) -> Result<ClientConfig, TlsFault> {
    let mut roots = system_roots();
    if let Some(pem) = extra_ca_pem {
        add_extra(&mut roots, pem)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    //= https://www.rfc-editor.org/rfc/rfc8996#section-4
    //# TLS 1.0 MUST NOT be used.
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsFault::Configuration)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    let (added, ignored) = roots.add_parsable_certificates(native.certs);
    if added == 0 {
        tracing::warn!(
            roots.ignored = ignored,
            "the system has no root certificates; using Mozilla's"
        );
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

fn add_extra(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), TlsFault> {
    let mut added = 0_usize;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| TlsFault::ExtraCa)?;
        roots.add(certificate).map_err(|_| TlsFault::ExtraCa)?;
        added += 1;
    }
    if added == 0 {
        return Err(TlsFault::ExtraCa);
    }
    Ok(())
}

/// The cause of a failed handshake. A peer that just hangs up gives no better reason.
pub(crate) fn handshake_cause(error: &io::Error) -> Cause {
    cause_of(error).unwrap_or(Cause::TlsHandshake)
}

/// The cause, if TLS is where the error comes from.
pub(crate) fn cause_of(error: &io::Error) -> Option<Cause> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(fault) => certificate_cause(fault),
        rustls::Error::NoCertificatesPresented => Cause::TlsCertificateInvalid,
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity
            | AlertDescription::NoApplicationProtocol,
        ) => Cause::TlsNoCommonCipher,
        _ => Cause::TlsHandshake,
    })
}

fn certificate_cause(fault: &CertificateError) -> Cause {
    match fault {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Cause::TlsNameMismatch
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Cause::TlsCertificateExpired,
        CertificateError::UnknownIssuer => Cause::TlsUnknownIssuer,
        _ => Cause::TlsCertificateInvalid,
    }
}
