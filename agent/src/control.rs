//! Access to the control cluster.

use crate::token::Grant;
use cluster::client::{ClientSource, connect as connect_client};
use serde_json::json;
use std::path::Path;

/// Access to the server's own part of the control cluster.
pub struct Control {
    /// The client. It reads the token file again as that changes, so it outlives its tokens.
    pub client: kube::Client,
    /// The name of the server's GpuServer.
    pub server: String,
    /// The server's own namespace.
    pub namespace: String,
}

/// Makes the client; speaks to nobody yet.
///
/// # Errors
/// The grant's certificate or URL cannot be used.
pub async fn connect(grant: &Grant, token_file: &Path) -> cluster::Result<Control> {
    let client = connect_client(ClientSource::KubeconfigYaml(kubeconfig(grant, token_file))).await?;
    Ok(Control { client, server: grant.server.clone(), namespace: grant.namespace.clone() })
}

/// A kubeconfig that names the token file rather than holding the token: the client then follows renewals by itself.
fn kubeconfig(grant: &Grant, token_file: &Path) -> String {
    let mut cluster = json!({ "server": grant.api_server });
    // None means that the API server's certificate is one that everybody trusts.
    if !grant.ca_pem.trim().is_empty() {
        cluster["certificate-authority-data"] = json!(base64(grant.ca_pem.as_bytes()));
    }
    // JSON is YAML too.
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "control",
        "clusters": [{"name": "control", "cluster": cluster}],
        "users": [{"name": "agent", "user": {"tokenFile": token_file}}],
        "contexts": [{"name": "control", "context": {"cluster": "control", "user": "agent", "namespace": grant.namespace}}],
    })
    .to_string()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_grant_makes_a_client_that_reads_the_token_from_its_file() {
        service::tls::install_provider();
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, "s3cret").unwrap();
        let grant = Grant {
            server: "gpu-0".to_owned(),
            control_url: "https://a".parse().unwrap(),
            bought_at: jiff::Timestamp::UNIX_EPOCH,
            expires_at: jiff::Timestamp::UNIX_EPOCH,
            api_server: "https://127.0.0.1:6443".to_owned(),
            ca_pem: crate::enrolment::tests::ca_pem(),
            namespace: "chutes-node-gpu-0".to_owned(),
        };
        assert!(!kubeconfig(&grant, &token_file).contains("s3cret"));
        let control = connect(&grant, &token_file).await.unwrap();
        assert_eq!(control.client.default_namespace(), "chutes-node-gpu-0");
    }
}
