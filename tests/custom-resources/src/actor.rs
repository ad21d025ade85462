//! Somebody who calls the API server, and the plain answer: tests look at codes and messages, not at typed errors.

use cluster::client::{ClientSource, connect};
use kube::client::Body;
use kubelab::Lab;
use serde_json::Value;
use std::time::Duration;

/// An administrator, or the holder of a token.
#[derive(Clone)]
pub struct Actor(kube::Client);

/// What the API server said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub code: u16,
    /// The object, or the `Status` that says what is wrong.
    pub body: Value,
}

impl Answer {
    /// Whether it was done.
    #[must_use]
    pub fn accepted(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// What the API server says is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// The object, or a panic with what was wrong.
    #[must_use]
    pub fn expect(self, what: &str) -> Value {
        assert!(self.accepted(), "{what}: {} {}", self.code, self.message());
        self.body
    }
}

impl Actor {
    /// Who may do everything.
    pub async fn admin(lab: &Lab) -> Self {
        Self(connect(ClientSource::Kubeconfig(lab.kubeconfig.clone())).await.unwrap())
    }

    /// Whoever a token was made for.
    pub async fn with_token(lab: &Lab, token: String) -> Self {
        Self(connect(ClientSource::Token { url: lab.api_url.clone(), ca_pem: lab.ca_pem.clone(), token }).await.unwrap())
    }

    /// Any request; `kind` is the content type of the body. Just after its definition is installed the API server answers 429 for
    /// a resource of ours: that says nothing about who asked, and is asked again.
    pub async fn request(&self, method: &str, path: &str, kind: &str, body: Option<&Value>) -> Answer {
        let bytes = body.map(Value::to_string).unwrap_or_default().into_bytes();
        for _ in 0..100 {
            let body = Body::from(bytes.clone());
            let request = http::Request::builder().method(method).uri(path).header("content-type", kind).body(body).unwrap();
            let answer = self.send(request).await;
            if answer.code != 429 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("{method} {path}: 429 for 20 s")
    }

    async fn send(&self, request: http::Request<Body>) -> Answer {
        let response = self.0.send(request).await.unwrap();
        let code = response.status().as_u16();
        let bytes = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        Answer { code, body: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    /// Reads as somebody else, which takes the right to impersonate.
    pub async fn get_as(&self, user: &str, path: &str) -> Answer {
        let request = http::Request::get(path).header("impersonate-user", user).body(Body::empty()).unwrap();
        self.send(request).await
    }

    /// Reads an object or a list.
    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "application/json", None).await
    }

    /// Creates an object.
    pub async fn create(&self, path: &str, object: &Value) -> Answer {
        self.request("POST", path, "application/json", Some(object)).await
    }

    /// Merges a patch into an object.
    pub async fn merge(&self, path: &str, patch: &Value) -> Answer {
        self.request("PATCH", path, "application/merge-patch+json", Some(patch)).await
    }

    /// Applies an object as a field manager, as the agent does.
    pub async fn apply(&self, path: &str, manager: &str, object: &Value) -> Answer {
        let path = format!("{path}?fieldManager={manager}&force=true");
        self.request("PATCH", &path, "application/apply-patch+yaml", Some(object)).await
    }

    /// Replaces an object.
    pub async fn replace(&self, path: &str, object: &Value) -> Answer {
        self.request("PUT", path, "application/json", Some(object)).await
    }

    /// Deletes an object, or everything at a path.
    pub async fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, "application/json", None).await
    }
}

/// The path at which objects like this one are created.
#[must_use]
pub fn collection(object: &Value) -> String {
    let version = object["apiVersion"].as_str().unwrap();
    let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
    let kind = object["kind"].as_str().unwrap().to_lowercase();
    let plural = match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{kind}s"),
    };
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}"),
        None => format!("{root}/{plural}"),
    }
}

/// The path of this very object.
#[must_use]
pub fn path(object: &Value) -> String {
    format!("{}/{}", collection(object), object["metadata"]["name"].as_str().unwrap())
}
