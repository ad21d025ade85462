//! Whom the proxy is towards the upstream, for clients that bring nothing.

use std::fmt;

use http::HeaderValue;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Credentials of the proxy's own. Without any, clients are who they say they are.
#[derive(Clone, PartialEq, Eq)]
pub enum Identity {
    /// A bearer token, given in the name of those requests that carry no `Authorization`.
    Bearer(String),
    /// A client certificate and its key, PEM. The API server asks it before any token: every client of the proxy is this one.
    Certificate {
        /// The chain.
        certificate_pem: String,
        /// The key.
        key_pem: String,
    },
}

impl Identity {
    pub(super) fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let Self::Bearer(token) = self else { return Ok(None) };
        let mut value =
            HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_| "the bearer token is no HTTP header value")?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    pub(super) fn certificate(&self) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, String> {
        let Self::Certificate { certificate_pem, key_pem } = self else { return Ok(None) };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate_pem.as_bytes()).collect();
        let chain = chain.map_err(|error| format!("the client certificate is no PEM: {error}"))?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| format!("the client key is no PEM: {error}"))?;
        Ok(Some((chain, key)))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(..)",
            Self::Certificate { .. } => "Certificate(..)",
        })
    }
}
