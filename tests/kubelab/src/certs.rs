//! The lab's certificate authority, its certificates and kubeconfigs.

use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

use crate::error::{At, Result};

/// Signs everything else; its key lies beside it for the controller manager.
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    /// Makes an authority with its files in `folder`.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).at("create", folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o700)).at("protect", folder)?;
        let mut params = params("kubelab-ca", None, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages.clear();
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        write(&folder.join("ca.crt"), &pem)?;
        write(&folder.join("ca.key"), &key.serialize_pem())?;
        Ok(Self { folder: folder.to_owned(), issuer: Issuer::new(params, key), pem })
    }

    /// A file of this authority's folder, as in `apiserver.crt`.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Writes `<name>.crt` and `<name>.key` for both ends of a TLS connection.
    pub(crate) fn issue(&self, name: &str, subject: &str, group: Option<&str>, sans: &[String]) -> Result<()> {
        let pair = self.pair(subject, group, sans)?;
        write(&self.folder.join(format!("{name}.crt")), &pair.certificate)?;
        write(&self.folder.join(format!("{name}.key")), &pair.key)
    }

    /// Writes a kubeconfig that holds all it needs.
    pub(crate) fn kubeconfig(&self, path: &Path, cluster: &str, server: &str, subject: &str, group: Option<&str>) -> Result<()> {
        let pair = self.pair(subject, group, &[])?;
        let encode = |text: &str| BASE64_STANDARD.encode(text);
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": cluster,
            "clusters": [{ "name": cluster, "cluster": {
                "server": server,
                "certificate-authority-data": encode(&self.pem),
            }}],
            "users": [{ "name": format!("{cluster}-admin"), "user": {
                "client-certificate-data": encode(&pair.certificate),
                "client-key-data": encode(&pair.key),
            }}],
            "contexts": [{ "name": cluster, "context": { "cluster": cluster, "user": format!("{cluster}-admin") }}],
        });
        // JSON is YAML; every client reads it.
        write(path, &format!("{config:#}\n"))
    }

    /// Writes the key pair that signs service account tokens, which no
    /// certificate covers.
    pub(crate) fn service_account_keys(&self) -> Result<()> {
        let key = KeyPair::generate()?;
        write(&self.folder.join("sa.key"), &key.serialize_pem())?;
        write(&self.folder.join("sa.pub"), &key.public_key_pem())
    }

    fn pair(&self, subject: &str, group: Option<&str>, sans: &[String]) -> Result<Pair> {
        let key = KeyPair::generate()?;
        let certificate = params(subject, group, sans)?.signed_by(&key, &self.issuer)?;
        Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn params(subject: &str, group: Option<&str>, sans: &[String]) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    for san in sans {
        params.subject_alt_names.push(match san.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(san.as_str().try_into()?),
        });
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Readable by the owner alone: nearly all of these hold a key.
fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).at("write", path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).at("protect", path)
}
