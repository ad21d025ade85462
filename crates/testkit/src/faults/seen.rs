//! What the proxy knows about a request: the journal's line and what rules are matched against.

use std::fmt;
use std::time::Instant;

use http::Method;

/// The object or collection that a Kubernetes API path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeResource {
    /// The API group, empty for the core group.
    pub group: String,
    /// The plural name, as in `pods`.
    pub resource: String,
    /// What follows the object's name, as in `status`, `token` or `log`.
    pub subresource: Option<String>,
    /// The namespace of the path.
    pub namespace: Option<String>,
    /// The object's name: of the path, or for a create of the JSON body's metadata.
    pub name: Option<String>,
}

/// One request as the proxy saw it, before anything was done about it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The request's number at this proxy, from 1; it goes on over a reset.
    pub n: u64,
    /// The request's method.
    pub method: Method,
    /// The path without the query.
    pub path: String,
    /// The query without the question mark, empty where there is none.
    pub query: String,
    /// The Kubernetes resource, where the path names one.
    pub resource: Option<KubeResource>,
    /// Whether it can change something: by its method, or because the proxy was told so of it.
    pub is_write: bool,
    /// Whether it opens a Kubernetes watch.
    pub is_watch: bool,
    /// When its head and, where its length was known, its body had arrived.
    pub at: Instant,
}

impl Seen {
    /// Classifies a request; `n` is given by the journal.
    pub(super) fn classify(method: Method, path: &str, query: &str, body: &[u8]) -> Self {
        let mut resource = KubeResource::of_path(path);
        if let Some(resource) = resource.as_mut().filter(|resource| resource.name.is_none() && method == Method::POST) {
            resource.name = name_in(body);
        }
        let is_write = is_mutating(&method);
        let is_watch =
            method == Method::GET && resource.is_some() && query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1");
        Self { n: 0, method, path: path.to_owned(), query: query.to_owned(), resource, is_write, is_watch, at: Instant::now() }
    }

    /// Whether it reads a whole Kubernetes collection.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.method == Method::GET && !self.is_watch && self.resource.as_ref().is_some_and(|resource| resource.name.is_none())
    }

    /// Whether it belongs to the running of a program and not to what the program does: leases, events, bought tokens, access reviews.
    /// Their number depends on time alone, so that counts of writes leave them out.
    #[must_use]
    pub fn is_housekeeping(&self) -> bool {
        let Some(resource) = &self.resource else { return false };
        matches!(resource.group.as_str(), "authentication.k8s.io" | "authorization.k8s.io" | "events.k8s.io")
            || matches!((resource.group.as_str(), resource.resource.as_str()), ("coordination.k8s.io", "leases") | ("", "events"))
            || resource.subresource.as_deref() == Some("token")
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self
            .resource
            .as_ref()
            .and_then(|resource| resource.name.as_deref())
            .filter(|name| self.path.split('/').all(|part| part != *name));
        write!(f, "#{} {} {}", self.n, self.method, self.path)?;
        if let Some(name) = name {
            write!(f, " ({name})")?;
        }
        if self.is_watch { f.write_str(" [watch]") } else { Ok(()) }
    }
}

impl KubeResource {
    /// Reads `/api/v1/...` and `/apis/{group}/{version}/...`; `None` for every other path, discovery included.
    fn of_path(path: &str) -> Option<Self> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let group = match parts.next()? {
            "api" => String::new(),
            "apis" => parts.next()?.to_owned(),
            _ => return None,
        };
        parts.next()?;
        let mut rest: Vec<&str> = parts.collect();
        let mut namespace = None;
        // `namespaces/x` and its own two subresources are the namespace itself, anything longer lies in it.
        if rest.first() == Some(&"namespaces") && rest.len() > 2 && !matches!(rest[2], "status" | "finalize") {
            namespace = Some(rest[1].to_owned());
            rest.drain(..2);
        }
        let text = |index: usize| rest.get(index).map(|part| (*part).to_owned());
        Some(Self { group, resource: text(0)?, subresource: text(2), namespace, name: text(1) })
    }
}

fn is_mutating(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
}

fn name_in(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    value.pointer("/metadata/name")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(method: Method, path: &str, query: &str) -> Seen {
        Seen::classify(method, path, query, b"")
    }

    fn resource(path: &str) -> KubeResource {
        KubeResource::of_path(path).unwrap()
    }

    #[test]
    fn paths_of_the_core_and_of_named_groups_are_read() {
        let pod = resource("/api/v1/namespaces/chutes/pods/p1/log");
        assert_eq!((pod.group.as_str(), pod.resource.as_str(), pod.subresource.as_deref()), ("", "pods", Some("log")));
        assert_eq!((pod.namespace.as_deref(), pod.name.as_deref()), (Some("chutes"), Some("p1")));
        let node = resource("/apis/chutes.ai/v1/gpuservers/s1/status");
        assert_eq!((node.group.as_str(), node.namespace, node.name.as_deref()), ("chutes.ai", None, Some("s1")));
        assert_eq!(KubeResource::of_path("/miner/chutes/"), None);
        assert_eq!(KubeResource::of_path("/apis/apps/v1"), None);
    }

    #[test]
    fn a_namespace_is_an_object_and_a_place() {
        let itself = resource("/api/v1/namespaces/chutes/finalize");
        assert_eq!((itself.resource.as_str(), itself.name.as_deref(), itself.namespace), ("namespaces", Some("chutes"), None));
        assert_eq!(itself.subresource.as_deref(), Some("finalize"));
        assert_eq!(resource("/api/v1/namespaces/chutes/pods").resource, "pods");
        assert_eq!(resource("/api/v1/namespaces").name, None);
    }

    #[test]
    fn a_create_is_named_by_its_body() {
        let create = Seen::classify(Method::POST, "/apis/batch/v1/namespaces/chutes/jobs", "", br#"{"metadata":{"name":"j1"}}"#);
        assert_eq!(create.resource.as_ref().unwrap().name.as_deref(), Some("j1"));
        assert_eq!(create.to_string(), "#0 POST /apis/batch/v1/namespaces/chutes/jobs (j1)");
    }

    #[test]
    fn watches_lists_and_housekeeping_are_told_apart() {
        assert!(seen(Method::GET, "/api/v1/pods", "watch=true&resourceVersion=4").is_watch);
        assert!(seen(Method::GET, "/api/v1/pods", "limit=500").is_list());
        assert!(!seen(Method::GET, "/api/v1/namespaces/x/pods/p", "").is_list());
        assert!(!seen(Method::GET, "/miner/chutes/", "watch=true").is_watch);
        assert!(seen(Method::PATCH, "/apis/coordination.k8s.io/v1/namespaces/x/leases/agent", "").is_housekeeping());
        assert!(seen(Method::POST, "/api/v1/namespaces/x/serviceaccounts/agent/token", "").is_housekeeping());
        assert!(!seen(Method::POST, "/api/v1/namespaces/x/serviceaccounts", "").is_housekeeping());
    }
}
