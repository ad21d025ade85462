//! TLS of our own listeners: a certificate authority made at first start, and a server certificate under it.
//!
//! Peers pin the authority's certificate, so it must outlive every restart; the server certificate is replaced freely.

mod authority;
mod files;
mod server;

pub use authority::Ca;
pub use server::ServerIdentity;

/// What went wrong with certificates. Never holds a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of the state folder.
    #[error("cannot use {path}: {cause}; the state folder must be writable by this user alone")]
    File {
        /// The file or folder.
        path: std::path::PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// Key and certificate of the authority do not both exist.
    #[error(
        "only one of {0}/ca.pem and {0}/ca.key.pem exists: restore the other from a backup, or remove both (every agent must then be enrolled again)"
    )]
    HalfAuthority(std::path::PathBuf),
    /// A certificate or key could not be made or read.
    #[error("certificate: {0}")]
    Certificate(String),
    /// A name that no certificate can hold.
    #[error("'{0}' is neither a DNS name nor an IP address")]
    Name(String),
}

impl From<rcgen::Error> for TlsError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

/// Makes aws-lc-rs the process's TLS provider. Call it first in every `main`; a second call changes nothing.
pub fn install_provider() {
    // Err means that a provider is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{
        ClientConfig, ClientConnection, RootCertStore, ServerConnection,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    };
    use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

    /// Runs a handshake in memory between a client that pins `ca_pem` and our server.
    fn handshake(identity: &ServerIdentity, ca_pem: &str, name: &str) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned()).unwrap()).unwrap();
        let mut server = ServerConnection::new(identity.config().unwrap()).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_client_that_pins_the_authority_accepts_our_server_by_address_and_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::load_or_create(folder.path()).unwrap();
        let identity = ServerIdentity::load_or_create(folder.path(), &ca, &names(&["203.0.113.10", "miner.example"])).unwrap();
        handshake(&identity, ca.pem(), "203.0.113.10").unwrap();
        handshake(&identity, ca.pem(), "miner.example").unwrap();
        assert!(handshake(&identity, ca.pem(), "other.example").is_err());
        let (stranger, _) = Ca::generate().unwrap();
        assert!(handshake(&identity, stranger.pem(), "miner.example").is_err());
    }

    #[test]
    fn a_restart_keeps_the_authority_and_new_names_make_a_new_certificate_under_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Ca::load_or_create(folder.path()).unwrap();
        ServerIdentity::load_or_create(folder.path(), &first, &names(&["a.example"])).unwrap();
        let before = std::fs::read_to_string(folder.path().join("server.pem")).unwrap();

        let again = Ca::load_or_create(folder.path()).unwrap();
        assert_eq!(first.pem(), again.pem());
        ServerIdentity::load_or_create(folder.path(), &again, &names(&["a.example"])).unwrap();
        assert_eq!(before, std::fs::read_to_string(folder.path().join("server.pem")).unwrap());

        let moved = ServerIdentity::load_or_create(folder.path(), &again, &names(&["b.example"])).unwrap();
        handshake(&moved, first.pem(), "b.example").unwrap();
    }

    #[test]
    fn keys_are_readable_by_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::load_or_create(folder.path()).unwrap();
        ServerIdentity::load_or_create(folder.path(), &ca, &names(&["a.example"])).unwrap();
        for file in ["ca.key.pem", "server.key.pem"] {
            let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{file}");
        }
    }

    #[test]
    fn a_lost_authority_key_is_an_error_not_a_new_authority() {
        let folder = tempfile::tempdir().unwrap();
        Ca::load_or_create(folder.path()).unwrap();
        std::fs::remove_file(folder.path().join("ca.key.pem")).unwrap();
        assert!(matches!(Ca::load_or_create(folder.path()), Err(TlsError::HalfAuthority(_))));
    }

    #[test]
    fn a_name_with_a_slash_is_refused() {
        let (ca, _) = Ca::generate().unwrap();
        assert!(matches!(ServerIdentity::generate(&ca, &names(&["https://x"])), Err(TlsError::Name(_))));
    }
}
