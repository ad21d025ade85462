//! A kubeconfig that came from elsewhere, such as a GPU server's: only what is written into it is used.
//!
//! Kubernetes' client runs commands that a kubeconfig names, and reads the files it names, as whoever loads it. On the control node
//! that is whoever keeps the hotkey, so a foreign kubeconfig may hold an address, a certificate authority and credentials, each
//! in the text itself, and nothing else. The existing miner drops all other fields in silence; here they are refused by name,
//! since an access that works in other ways than its owner meant is worse than none.

use kube::config::{AuthInfo, Cluster, Kubeconfig};

/// Why a foreign kubeconfig is not used. Never quotes its text, which holds keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotInline {
    /// It cannot be read.
    #[error("the kubeconfig is not valid YAML of kind Config")]
    Unreadable,
    /// A field that makes its reader run a command, read a file, act as somebody else or take another way.
    #[error("the kubeconfig's field {field} is not taken: {instead}")]
    Field {
        /// Its name within a cluster or a user.
        field: &'static str,
        /// What to write instead.
        instead: &'static str,
    },
    /// `current-context` does not lead to a cluster and a user.
    #[error(
        "the kubeconfig's current-context does not name a context whose cluster and user are in it; set it with: kubectl config use-context"
    )]
    Context,
    /// The address is absent, or no TLS protects what is said there.
    #[error("the kubeconfig's field server must be a URL that begins with https://")]
    Server,
}

const DATA: &str = "write the certificate or key into the kubeconfig with: kubectl config view --raw --flatten";
const TOKEN: &str = "write a token or a client certificate into the kubeconfig; commands and files are not used from here";
const OWN: &str = "write the credentials of the account itself into the kubeconfig";
const DIRECT: &str = "the server must be reached directly";
const AUTHORITY: &str = "write the server's certificate authority into certificate-authority-data";

/// Reads a kubeconfig and takes it only if all it needs stands in its text.
///
/// # Errors
/// What is wrong with it, and what to write instead.
pub fn inline(text: &str) -> Result<Kubeconfig, NotInline> {
    let read = Kubeconfig::from_yaml(text).map_err(|_| NotInline::Unreadable)?;
    // Entries that the current context does not use today may be used tomorrow: all are looked at.
    for cluster in read.clusters.iter().filter_map(|named| named.cluster.as_ref()) {
        check_cluster(cluster)?;
    }
    for user in read.auth_infos.iter().filter_map(|named| named.auth_info.as_ref()) {
        check_user(user)?;
    }
    if leads_somewhere(&read) { Ok(read) } else { Err(NotInline::Context) }
}

fn check_cluster(cluster: &Cluster) -> Result<(), NotInline> {
    refuse(&[
        ("certificate-authority", cluster.certificate_authority.is_some(), DATA),
        ("proxy-url", cluster.proxy_url.is_some(), DIRECT),
        // Launch tokens are said to this server.
        ("insecure-skip-tls-verify", cluster.insecure_skip_tls_verify == Some(true), AUTHORITY),
    ])?;
    if cluster.server.as_deref().is_some_and(|url| url.starts_with("https://")) { Ok(()) } else { Err(NotInline::Server) }
}

fn check_user(user: &AuthInfo) -> Result<(), NotInline> {
    refuse(&[
        ("exec", user.exec.is_some(), TOKEN),
        ("auth-provider", user.auth_provider.is_some(), TOKEN),
        ("tokenFile", user.token_file.is_some(), TOKEN),
        ("client-certificate", user.client_certificate.is_some(), DATA),
        ("client-key", user.client_key.is_some(), DATA),
        ("as", user.impersonate.is_some(), OWN),
        ("as-uid", user.impersonate_uid.is_some(), OWN),
        ("as-groups", user.impersonate_groups.is_some(), OWN),
        ("as-user-extra", user.impersonate_user_extra.is_some(), OWN),
    ])
}

fn refuse(fields: &[(&'static str, bool, &'static str)]) -> Result<(), NotInline> {
    match fields.iter().find(|(_, present, _)| *present) {
        Some(&(field, _, instead)) => Err(NotInline::Field { field, instead }),
        None => Ok(()),
    }
}

fn leads_somewhere(config: &Kubeconfig) -> bool {
    let Some(name) = &config.current_context else { return false };
    let context = config.contexts.iter().find(|named| named.name == *name).and_then(|named| named.context.as_ref());
    context.is_some_and(|context| {
        config.clusters.iter().any(|named| named.name == context.cluster && named.cluster.is_some())
            && context.user.as_ref().is_none_or(|user| config.auth_infos.iter().any(|named| named.name == *user))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A kubeconfig as k3s writes one.
    fn good() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it", "preferences": {},
            "clusters": [{"name": "it", "cluster": {"server": "https://203.0.113.8:6443", "certificate-authority-data": "Q0E="}}],
            "users": [{"name": "it", "user": {"client-certificate-data": "Q0VSVA==", "client-key-data": "czNjcmV0"}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it", "namespace": "chutes"}}],
        })
    }

    #[test]
    fn what_stands_in_the_text_is_taken() {
        assert!(inline(&good().to_string()).is_ok());
        let mut other = good();
        other["users"][0]["user"] = json!({"token": "t", "username": "u", "password": "p"});
        other["clusters"][0]["cluster"]["tls-server-name"] = json!("kubernetes");
        other["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = json!(false);
        assert!(inline(&other.to_string()).is_ok());
    }

    #[test]
    fn each_field_that_reaches_outside_the_text_is_refused_by_name() {
        let cases = [
            ("clusters", "cluster", "certificate-authority", json!("/etc/hotkey.json")),
            ("clusters", "cluster", "proxy-url", json!("http://203.0.113.9:3128")),
            ("clusters", "cluster", "insecure-skip-tls-verify", json!(true)),
            ("users", "user", "exec", json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "sh"})),
            ("users", "user", "auth-provider", json!({"name": "gcp", "config": {"cmd-path": "sh"}})),
            ("users", "user", "tokenFile", json!("/etc/hotkey.json")),
            ("users", "user", "client-certificate", json!("/etc/hotkey.json")),
            ("users", "user", "client-key", json!("/etc/hotkey.json")),
            ("users", "user", "as", json!("admin")),
            ("users", "user", "as-uid", json!("1")),
            ("users", "user", "as-groups", json!(["system:masters"])),
            ("users", "user", "as-user-extra", json!({"scopes": ["all"]})),
        ];
        for (list, inner, field, value) in cases {
            let mut bad = good();
            bad[list][0][inner][field] = value.clone();
            let refused = inline(&bad.to_string()).unwrap_err();
            assert!(matches!(refused, NotInline::Field { field: named, .. } if named == field), "{field}: {refused}");
            assert!(!refused.to_string().contains("hotkey.json") && !refused.to_string().contains("czNjcmV0"), "{refused}");
            // In an entry that nothing uses yet, too, and in a later document of the same text.
            let mut spare = good();
            spare[list].as_array_mut().unwrap().push(json!({"name": "spare", inner: {"server": "https://a", field: value}}));
            assert!(matches!(inline(&spare.to_string()), Err(NotInline::Field { field: named, .. }) if named == field), "{field}");
            assert!(inline(&format!("{}\n---\n{spare}\n", good())).is_err(), "{field}");
        }
    }

    #[test]
    fn an_address_without_tls_and_a_context_that_leads_nowhere_are_refused() {
        let mut plain = good();
        plain["clusters"][0]["cluster"]["server"] = json!("http://203.0.113.8:6443");
        assert_eq!(inline(&plain.to_string()).unwrap_err(), NotInline::Server);
        for (name, value) in
            [("current-context", json!("other")), ("current-context", Value::Null), ("contexts", json!([])), ("users", json!([]))]
        {
            let mut bad = good();
            bad[name] = value;
            assert_eq!(inline(&bad.to_string()).unwrap_err(), NotInline::Context, "{name}");
        }
        assert_eq!(inline("users: s3cret").unwrap_err(), NotInline::Unreadable);
    }
}
