//! Clients of API servers, all made here so that all behave alike: a connect timeout, and no retry hidden below us.
//!
//! The client's own retry repeats a POST after a 504, whose effect may have happened; whoever writes here decides that itself.

use crate::{Error, Result};
use base64::Engine as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::{fmt, path::PathBuf, time::Duration};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the access to a cluster comes from.
#[derive(Clone)]
pub enum ClientSource {
    /// A kubeconfig file.
    Kubeconfig(PathBuf),
    /// The text of a kubeconfig of our own making; it may name files.
    KubeconfigYaml(String),
    /// The text of somebody else's kubeconfig, such as from a Secret: taken only if it names no file, command or other way in
    /// or out, see [`crate::kubeconfig::inline`].
    ForeignKubeconfig(String),
    /// The service account of the pod we run in.
    InCluster,
    /// A bearer token and the certificate authority it may be shown to.
    Token {
        /// `https://host:port`.
        url: String,
        /// PEM of the certificate authority.
        ca_pem: String,
        /// The bearer token; secret.
        token: String,
    },
    /// As `Token`, with the token in a file that somebody renews: it is read again about every minute, so that the client and
    /// its watches outlive a token of an hour.
    TokenFile {
        /// `https://host:port`.
        url: String,
        /// PEM of the certificate authority.
        ca_pem: String,
        /// The file, which must exist.
        path: PathBuf,
    },
}

impl fmt::Debug for ClientSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubeconfig(path) => f.debug_tuple("Kubeconfig").field(path).finish(),
            Self::KubeconfigYaml(_) => f.write_str("KubeconfigYaml(redacted)"),
            Self::ForeignKubeconfig(_) => f.write_str("ForeignKubeconfig(redacted)"),
            Self::InCluster => f.write_str("InCluster"),
            Self::Token { url, .. } => f.debug_struct("Token").field("url", url).finish_non_exhaustive(),
            Self::TokenFile { url, path, .. } => f.debug_struct("TokenFile").field("url", url).field("path", path).finish_non_exhaustive(),
        }
    }
}

/// Makes a client. Does not speak to the cluster yet.
///
/// # Errors
/// [`Error::Config`] when the source cannot be read or makes no sense; its text never quotes the source.
pub async fn connect(source: ClientSource) -> Result<kube::Client> {
    let mut config = config(source).await?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.write_timeout = Some(WRITE_TIMEOUT);
    config.read_timeout = None;
    config.default_retry = false;
    kube::Client::try_from(config).map_err(|e| Error::Config(format!("the access to the cluster cannot be used: {e}")))
}

async fn config(source: ClientSource) -> Result<kube::Config> {
    match source {
        ClientSource::Kubeconfig(path) => {
            let read = Kubeconfig::read_from(&path).map_err(|e| {
                Error::Config(format!("cannot read the kubeconfig {}: {e}; give the path of a readable kubeconfig", path.display()))
            })?;
            from_kubeconfig(read, &format!("the kubeconfig {}", path.display())).await
        }
        ClientSource::KubeconfigYaml(text) => {
            // The parser's error may quote the text, which holds keys.
            let read = Kubeconfig::from_yaml(&text).map_err(|_| Error::Config("the kubeconfig is not valid YAML of kind Config".into()))?;
            from_kubeconfig(read, "the kubeconfig").await
        }
        ClientSource::ForeignKubeconfig(text) => {
            let read = crate::kubeconfig::inline(&text).map_err(|refused| Error::Config(refused.to_string()))?;
            from_kubeconfig(read, "the kubeconfig").await
        }
        ClientSource::InCluster => kube::Config::incluster()
            .map_err(|e| Error::Config(format!("not inside a cluster: {e}; give --kubeconfig when running outside one"))),
        ClientSource::Token { url, ca_pem, token } => from_user(&url, &ca_pem, serde_json::json!({"token": token})).await,
        ClientSource::TokenFile { url, ca_pem, path } => from_user(&url, &ca_pem, serde_json::json!({"tokenFile": path})).await,
    }
}

async fn from_user(url: &str, ca_pem: &str, user: serde_json::Value) -> Result<kube::Config> {
    let text = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": {
            "server": url,
            "certificate-authority-data": base64::engine::general_purpose::STANDARD.encode(ca_pem),
        }}],
        "users": [{"name": "it", "user": user}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    });
    let read = serde_json::from_value(text).map_err(|_| Error::Config("the token's cluster description makes no sense".into()))?;
    from_kubeconfig(read, "the token's cluster").await
}

async fn from_kubeconfig(read: Kubeconfig, name: &str) -> Result<kube::Config> {
    kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
        .await
        .map_err(|e| Error::Config(format!("{name} cannot be used: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show_in_debug() {
        let source = ClientSource::Token { url: "https://a".into(), ca_pem: "PEM".into(), token: "s3cret".into() };
        assert!(!format!("{source:?}").contains("s3cret"));
        assert!(!format!("{:?}", ClientSource::KubeconfigYaml("s3cret".into())).contains("s3cret"));
        assert!(!format!("{:?}", ClientSource::ForeignKubeconfig("s3cret".into())).contains("s3cret"));
    }

    #[tokio::test]
    async fn a_foreign_kubeconfig_runs_no_command() {
        let folder = std::env::temp_dir().join(format!("foreign-kubeconfig-{}", std::process::id()));
        let text = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "it", "user": {"exec": {
                "apiVersion": "client.authentication.k8s.io/v1", "command": "mkdir", "args": [folder], "interactiveMode": "Never",
            }}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        })
        .to_string();
        let error = connect(ClientSource::ForeignKubeconfig(text.clone())).await.err().unwrap();
        assert!(error.to_string().contains("field exec"), "{error}");
        assert!(!folder.exists());
        // The client itself would have run it.
        let _ = connect(ClientSource::KubeconfigYaml(text)).await;
        assert!(folder.exists());
        std::fs::remove_dir(&folder).unwrap();
    }

    #[tokio::test]
    async fn a_broken_kubeconfig_is_named_but_not_quoted() {
        let error = connect(ClientSource::KubeconfigYaml("users: s3cret".into())).await.err().unwrap();
        assert!(!error.to_string().contains("s3cret"), "{error}");
        let error = connect(ClientSource::Kubeconfig("/nonexistent/kubeconfig".into())).await.err().unwrap();
        assert!(error.to_string().contains("/nonexistent/kubeconfig"), "{error}");
    }
}
