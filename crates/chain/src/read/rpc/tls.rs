//! Whose word TLS takes for who a node is.
//!
//! As programs that use OpenSSL or curl do it: where `SSL_CERT_FILE` or `SSL_CERT_DIR` is set, the authorities there and no others; else
//! those of the system, and the public ones that come with this program, so that an image without any can connect, too.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, InvalidMessage, RootCertStore};
use tokio_tungstenite::Connector;
use tokio_tungstenite::tungstenite::Error;

use super::error::RpcError;

const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// What a connection trusts. Read anew for each: they are few, and a file that was put right counts at once.
pub(super) async fn connector() -> Result<Connector, RpcError> {
    let provider = CryptoProvider::get_default().ok_or(RpcError::NoTlsProvider)?;
    let trust = |why: String| RpcError::Trust { why };
    let roots = tokio::task::spawn_blocking(roots).await.map_err(|error| trust(error.to_string()))?.map_err(trust)?;
    let config = ClientConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions();
    let config = config.map_err(|error| trust(error.to_string()))?.with_root_certificates(roots).with_no_client_auth();
    Ok(Connector::Rustls(Arc::new(config)))
}

fn roots() -> Result<RootCertStore, String> {
    let named = VARIABLES.iter().filter(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let named = named.copied().collect::<Vec<_>>().join(" and ");
    let mut roots = RootCertStore::empty();
    if named.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 && !named.is_empty() {
        let why = found.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let why = if why.is_empty() { "no certificate in PEM form is there" } else { &why };
        return Err(format!("{named} names none that can be read: {why}"));
    }
    Ok(roots)
}

/// Why there is no connection, with what to do where it is the certificate.
pub(super) fn explained(error: &Error) -> String {
    let tls = match error {
        Error::Io(error) => error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()),
        _ => None,
    };
    let certificate = match tls {
        Some(rustls::Error::InvalidCertificate(certificate)) => certificate,
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            return format!("it does not speak TLS; is it `ws://` rather than `wss://`? ({error})");
        }
        _ => return error.to_string(),
    };
    let meaning = match certificate {
        // The second: an authority of the same name with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "nobody who is trusted vouches for its certificate; for a node of your own, name the certificate of its authority by SSL_CERT_FILE"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired; or is the clock here wrong?",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; or is the clock here wrong?"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name; use the name that it is for"
        }
        CertificateError::Revoked => "its certificate was revoked",
        _ => "its certificate is not accepted",
    };
    format!("{meaning} ({certificate})")
}
