//! What our programs may do on the clusters: the shipped manifests, and a kubeconfig per account.

use super::Form;
use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubelab::Lab;
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The folder of this repository.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_owned).unwrap_or_default()
}

/// Installs the CRDs and the control cluster's manifests.
pub(super) fn install_control(lab: &Lab) -> Result<()> {
    apply(lab, &root().join("crds"))?;
    lab.kubectl_run(["wait", "--for=condition=Established", "--timeout=30s", "crd", "-l", "", "--all"])
        .context("the CRDs are not served")?;
    apply(lab, &root().join("charts/manifests"))?;
    apply(lab, &root().join("charts/manifests/default"))
}

/// Installs what the cluster that runs the chutes needs.
pub(super) fn install_node(lab: &Lab, form: Form) -> Result<()> {
    apply(lab, &root().join("charts/manifests").join(if form == Form::Own { "node" } else { "shared" }))
}

fn apply(lab: &Lab, folder: &Path) -> Result<()> {
    let folder = folder.display().to_string();
    lab.kubectl_run(["apply", "--server-side", "-f", folder.as_str()]).map(drop).with_context(|| format!("applying {folder}"))
}

/// A kubeconfig of a service account, as Helm would mount it for a program. `server` is the API server as the program is told.
pub(super) fn kubeconfig(lab: &Lab, server: &str, namespace: &str, account: &str, path: &Path) -> Result<()> {
    let token = lab.kubectl_run(["create", "token", account, "-n", namespace, "--duration=48h"])?;
    let cluster = if server.starts_with("https://") {
        // Inline: a kubeconfig that `add-node` sends away may name no file.
        serde_json::json!({ "server": server, "certificate-authority-data": STANDARD.encode(&lab.ca_pem) })
    } else {
        serde_json::json!({ "server": server })
    };
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": account,
        "clusters": [{ "name": account, "cluster": cluster }],
        "users": [{ "name": account, "user": { "token": token.trim() } }],
        "contexts": [{ "name": account, "context": { "cluster": account, "user": account, "namespace": namespace } }],
    });
    let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    std::io::Write::write_all(&mut file, config.to_string().as_bytes())?;
    Ok(())
}
