//! TLS in front of a receiver or a mail server, with a certificate of the test's own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use watchfire_testkit::Receiver;

/// A certificate for 127.0.0.1, and the files that hold it and its key.
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Makes one in a folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let names = vec!["127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let certificate = folder.join("certificate.pem");
        let key = folder.join("key.pem");
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        Self { certificate, key }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let chain = CertificateDer::from_pem_file(&self.certificate).expect("our certificate");
        let key = PrivateKeyDer::from_pem_file(&self.key).expect("our key");
        let config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config
            .with_safe_default_protocol_versions()
            .expect("ring speaks them")
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .expect("they belong together");
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Takes TLS connections and hands their bytes to a receiver as they are. It ends when it is
/// dropped.
pub(crate) struct TlsFront {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl TlsFront {
    pub(crate) async fn before(receiver: &Receiver, certificate: &Certificate) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let accepting = accept(listener, certificate.acceptor(), receiver.address());
        Self {
            address,
            accepting: tokio::spawn(accepting),
        }
    }

    /// A URL that leads to the receiver; `path` begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, behind: SocketAddr) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        // Whoever fails its handshake or hangs up is the test's to notice, by what did not come.
        connections.spawn(async move {
            let mut outside = acceptor.accept(socket).await.ok()?;
            let mut inside = connect(behind).await?;
            tokio::io::copy_bidirectional(&mut outside, &mut inside)
                .await
                .ok()
        });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test's own receiver; there is no address policy to go round"
)]
async fn connect(address: SocketAddr) -> Option<TcpStream> {
    TcpStream::connect(address).await.ok()
}
