//! The server certificate: renewed when its names change or it is old.

use super::{Ca, TlsError, files};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use std::{path::Path, sync::Arc};
use zeroize::Zeroizing;

const YEARS: i16 = 2;
/// Replaced at the first start after this age, long before it ends.
const RENEW_AFTER_DAYS: i64 = 180;

/// A server's certificate and key.
pub struct ServerIdentity {
    certificate: String,
    key: Zeroizing<String>,
}

impl std::fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerIdentity(<key redacted>)")
    }
}

impl ServerIdentity {
    /// Reads `server.pem` and `server.key.pem` from the folder; makes new ones if they are missing, old, of another
    /// authority or for other names. `names` are DNS names and IP addresses under which clients connect.
    ///
    /// # Errors
    /// The folder is unusable or a name is none.
    pub fn load_or_create(folder: &Path, ca: &Ca, names: &[String]) -> Result<Self, TlsError> {
        files::folder(folder)?;
        let (certificate, key, note) = (folder.join("server.pem"), folder.join("server.key.pem"), folder.join("server.note"));
        let wanted = note_of(ca, names);
        if let (Some(pem), Some(key), Some(found)) = (files::read(&certificate)?, files::read(&key)?, files::read(&note)?)
            && fresh(&found, &wanted)
        {
            let identity = Self { certificate: pem.to_string(), key };
            if identity.config().is_ok() {
                return Ok(identity);
            }
            tracing::warn!("the server certificate on disk is damaged; making a new one");
        }
        let identity = Self::generate(ca, names)?;
        // The note goes first away and last back, so that a crash in between makes a new pair at the next start.
        files::write(&note, "")?;
        files::write(&key, &identity.key)?;
        files::write(&certificate, &identity.certificate)?;
        files::write(&note, &format!("{}\n{wanted}", jiff::Timestamp::now()))?;
        Ok(identity)
    }

    /// A new key and certificate.
    ///
    /// # Errors
    /// A name is none.
    pub fn generate(ca: &Ca, names: &[String]) -> Result<Self, TlsError> {
        if let Some(bad) = names.iter().find(|name| name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '/')) {
            return Err(TlsError::Name(bad.clone()));
        }
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::new(names.to_vec())?;
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "gepetto-fleet miner API");
        parameters.distinguished_name = name;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        set_validity(&mut parameters, YEARS);
        let certificate = parameters.signed_by(&key, ca.issuer())?;
        Ok(Self { certificate: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
    }

    /// The configuration of a TLS 1.2/1.3 server that speaks HTTP/1.1.
    ///
    /// # Errors
    /// Damaged certificate or key.
    pub fn config(&self) -> Result<Arc<rustls::ServerConfig>, TlsError> {
        let damaged = |error: rustls::pki_types::pem::Error| TlsError::Certificate(error.to_string());
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect::<Result<Vec<_>, _>>().map_err(damaged)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(damaged)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Valid from yesterday (clocks differ) for so many years.
pub(super) fn set_validity(parameters: &mut CertificateParams, years: i16) {
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    let yesterday = today.yesterday().unwrap_or(today);
    let part = |number: i8| u8::try_from(number).unwrap_or(1);
    parameters.not_before = rcgen::date_time_ymd(i32::from(yesterday.year()), part(yesterday.month()), part(yesterday.day()));
    // The first of the month exists in every year, unlike 29 February.
    parameters.not_after = rcgen::date_time_ymd(i32::from(today.year().saturating_add(years)), part(today.month()), 1);
}

fn note_of(ca: &Ca, names: &[String]) -> String {
    let mut names = names.to_vec();
    names.sort();
    names.dedup();
    format!("{}\n{}", names.join(" "), ca.pem().trim())
}

fn fresh(found: &str, wanted: &str) -> bool {
    let Some((made, rest)) = found.split_once('\n') else { return false };
    let Ok(made) = made.parse::<jiff::Timestamp>() else { return false };
    rest == wanted && jiff::Timestamp::now().duration_since(made).as_hours() < RENEW_AFTER_DAYS * 24
}
