//! The certificate authority: made once, kept for ten years.

use super::{TlsError, files};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::path::Path;

const YEARS: i16 = 10;

/// Our certificate authority.
pub struct Ca {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ca(<key redacted>)")
    }
}

impl Ca {
    /// Reads `ca.pem` and `ca.key.pem` from the folder, or makes both.
    ///
    /// # Errors
    /// The folder is unusable, only one file exists, or the key is damaged.
    pub fn load_or_create(folder: &Path) -> Result<Self, TlsError> {
        files::folder(folder)?;
        let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key.pem"));
        match (files::read(&certificate)?, files::read(&key)?) {
            (Some(pem), Some(key)) => Self::from_pem(&pem, &key),
            // A crash between the two writes below leaves the key alone: then nobody has pinned the certificate yet.
            (None, _) => {
                let (ca, key_pem) = Self::generate()?;
                files::write(&key, &key_pem)?;
                files::write(&certificate, &ca.pem)?;
                Ok(ca)
            }
            (Some(_), None) => Err(TlsError::HalfAuthority(folder.to_owned())),
        }
    }

    /// From the PEM texts of [`Ca::generate`], such as those kept in a Secret.
    ///
    /// # Errors
    /// The key is damaged.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, TlsError> {
        let key = KeyPair::from_pem(key)?;
        // The issuer is rebuilt from the same fixed name and the key; the certificate itself is only handed out.
        Ok(Self { pem: certificate.to_owned(), issuer: Issuer::new(parameters()?, key) })
    }

    /// A new authority and its private key in PEM.
    ///
    /// # Errors
    /// No randomness.
    pub fn generate() -> Result<(Self, zeroize::Zeroizing<String>), TlsError> {
        let key = KeyPair::generate()?;
        let key_pem = zeroize::Zeroizing::new(key.serialize_pem());
        let parameters = parameters()?;
        let pem = parameters.self_signed(&key)?.pem();
        Ok((Self { pem, issuer: Issuer::new(parameters, key) }, key_pem))
    }

    /// Its certificate, which peers pin.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }
}

fn parameters() -> Result<CertificateParams, TlsError> {
    let mut parameters = CertificateParams::new(Vec::<String>::new())?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "gepetto-fleet control plane CA");
    parameters.distinguished_name = name;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    super::server::set_validity(&mut parameters, YEARS);
    Ok(parameters)
}
