//! The client, and the certificate authority that agents need to reach the same API server.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use cluster::client::ClientSource;
use std::path::Path;

/// A client and what agents must know of the API server.
pub struct Access {
    /// The client.
    pub client: kube::Client,
    /// PEM of the API server's certificate authority; empty if publicly trusted.
    pub ca_pem: String,
    /// The API server's URL as this program reaches it.
    pub url: String,
}

/// Connects with a kubeconfig, or as the pod we run in.
///
/// # Errors
/// The kubeconfig cannot be used.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Access> {
    let (source, config) = match kubeconfig {
        Some(path) => {
            let read =
                kube::config::Kubeconfig::read_from(path).with_context(|| format!("cannot read the kubeconfig {}", path.display()))?;
            let config = kube::Config::from_custom_kubeconfig(read, &kube::config::KubeConfigOptions::default())
                .await
                .with_context(|| format!("the kubeconfig {} cannot be used", path.display()))?;
            (ClientSource::Kubeconfig(path.to_owned()), config)
        }
        None => (
            ClientSource::InCluster,
            kube::Config::incluster().context("not inside a cluster: give --kubeconfig when running outside one")?,
        ),
    };
    let ca_pem = config.root_cert.iter().flatten().map(|der| pem(der)).collect();
    Ok(Access { client: cluster::client::connect(source).await?, ca_pem, url: config.cluster_url.to_string() })
}

fn pem(der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64 is ASCII")).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_certificate_is_wrapped_at_64_characters() {
        let text = super::pem(&[7; 100]);
        assert!(text.starts_with("-----BEGIN CERTIFICATE-----\nBwcH") && text.ends_with("-----END CERTIFICATE-----\n"));
        assert!(text.lines().all(|line| line.len() <= 64));
    }
}
