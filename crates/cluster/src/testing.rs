//! A scripted API server for ConfigMaps and Leases, in memory: enough of list, watch, create and replace for this crate's tests.

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tokio::sync::watch;

type Answer = UnsyncBoxBody<Bytes, Infallible>;
type Response = http::Response<Answer>;

#[derive(Clone)]
pub(crate) struct Api {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    version: u64,
    objects: BTreeMap<String, Value>,
    history: Vec<(u64, Value)>,
    /// Events older than this are forgotten: a watch from there is answered with 410.
    forgotten: u64,
    refuse: bool,
    lists: u64,
}

impl Default for Api {
    fn default() -> Self {
        Self { state: Arc::default(), changed: watch::Sender::new(0) }
    }
}

impl Api {
    pub(crate) fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        Client::new(service, "ns")
    }

    /// Creates or changes a ConfigMap.
    pub(crate) fn put(&self, name: &str, value: &str) {
        self.put_raw(name, json!({"data": {"value": value}}));
    }

    /// Creates or changes an object with a body of the caller's.
    pub(crate) fn put_raw(&self, name: &str, mut body: Value) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let version = state.version;
        let kind = if state.objects.contains_key(name) { "MODIFIED" } else { "ADDED" };
        body["apiVersion"] = json!("v1");
        body["kind"] = json!("ConfigMap");
        body["metadata"] = json!({"name": name, "namespace": "ns", "uid": format!("uid-{name}"), "resourceVersion": version.to_string(),
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "kept": "yes"},
            "managedFields": [{"manager": "somebody", "operation": "Update"}]});
        state.objects.insert(name.to_owned(), body.clone());
        state.history.push((version, json!({"type": kind, "object": body})));
        drop(state);
        self.changed.send_modify(|count| *count += 1);
    }

    pub(crate) fn remove(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let version = state.version;
        let mut body = state.objects.remove(name).unwrap();
        body["metadata"]["resourceVersion"] = json!(version.to_string());
        state.history.push((version, json!({"type": "DELETED", "object": body})));
        drop(state);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Forgets history: running watches end, and watching on from before is answered with 410.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock().unwrap();
        state.forgotten = state.version;
        state.history.clear();
        drop(state);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Every request is answered with 503 from now on, or no longer.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.state.lock().unwrap().refuse = refuse;
        self.changed.send_modify(|count| *count += 1);
    }

    pub(crate) fn lists(&self) -> u64 {
        self.state.lock().unwrap().lists
    }

    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        self.state.lock().unwrap().objects.get(name).cloned()
    }

    /// Puts an object's body as it is, in a new version, without telling watchers.
    pub(crate) fn overwrite(&self, name: &str, mut body: Value) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        body["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.objects.insert(name.to_owned(), body);
    }

    async fn answer(&self, request: Request<Body>) -> Response {
        if self.state.lock().unwrap().refuse {
            return status(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable");
        }
        let path = request.uri().path().to_owned();
        let query: BTreeMap<String, String> =
            request.uri().query().unwrap_or("").split('&').filter_map(|p| p.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect();
        let method = request.method().clone();
        if path.ends_with("/leases") || path.contains("/leases/") {
            let body = request.into_body().collect_bytes().await.unwrap();
            return self.lease(&method, path.rsplit_once("/leases").unwrap().1.trim_start_matches('/'), &body);
        }
        if query.contains_key("watch") {
            return self.watch(query["resourceVersion"].parse().unwrap());
        }
        let mut state = self.state.lock().unwrap();
        state.lists += 1;
        // Pages of two, so that paging is part of every list.
        let from: usize = query.get("continue").map_or(0, |token| token.parse().unwrap());
        let page: Vec<&Value> = state.objects.values().skip(from).take(2).collect();
        let more = if from + page.len() < state.objects.len() { (from + page.len()).to_string() } else { String::new() };
        answer(
            StatusCode::OK,
            &json!({"apiVersion": "v1", "kind": "ConfigMapList", "items": page,
            "metadata": {"resourceVersion": state.version.to_string(), "continue": more}}),
        )
    }

    fn watch(&self, from: u64) -> Response {
        if from < self.state.lock().unwrap().forgotten {
            return status(StatusCode::GONE, "Expired");
        }
        let state = Arc::clone(&self.state);
        let began = state.lock().unwrap().forgotten;
        let changed = self.changed.subscribe();
        let events = futures::stream::unfold((from, changed), move |(mut sent, mut changed)| {
            let state = Arc::clone(&state);
            async move {
                loop {
                    {
                        let state = state.lock().unwrap();
                        if state.refuse || state.forgotten != began {
                            return None;
                        }
                        if let Some((version, event)) = state.history.iter().find(|(version, _)| *version > sent) {
                            sent = *version;
                            let mut line = serde_json::to_vec(event).unwrap();
                            line.push(b'\n');
                            return Some((Ok::<_, Infallible>(Frame::data(Bytes::from(line))), (sent, changed)));
                        }
                    }
                    if changed.changed().await.is_err() {
                        return None;
                    }
                }
            }
        });
        http::Response::new(StreamBody::new(events.boxed()).boxed_unsync())
    }

    fn lease(&self, method: &Method, name: &str, body: &[u8]) -> Response {
        let mut state = self.state.lock().unwrap();
        if *method == Method::GET {
            return match state.objects.get(name) {
                Some(lease) => answer(StatusCode::OK, lease),
                None => status(StatusCode::NOT_FOUND, "NotFound"),
            };
        }
        let mut wanted: Value = serde_json::from_slice(body).unwrap();
        let name = wanted["metadata"]["name"].as_str().unwrap().to_owned();
        let found = state.objects.get(&name).cloned();
        match (method, found) {
            (&Method::POST, Some(_)) => return status(StatusCode::CONFLICT, "AlreadyExists"),
            (&Method::PUT, Some(old)) if old["metadata"]["resourceVersion"] != wanted["metadata"]["resourceVersion"] => {
                return status(StatusCode::CONFLICT, "Conflict");
            }
            (&Method::PUT, None) => return status(StatusCode::NOT_FOUND, "NotFound"),
            _ => {}
        }
        state.version += 1;
        wanted["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.objects.insert(name, wanted.clone());
        answer(StatusCode::OK, &wanted)
    }
}

fn answer(code: StatusCode, body: &Value) -> Response {
    http::Response::builder().status(code).body(Full::new(Bytes::from(serde_json::to_vec(body).unwrap())).boxed_unsync()).unwrap()
}

fn status(code: StatusCode, reason: &str) -> Response {
    answer(
        code,
        &json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code.as_u16(), "message": reason}),
    )
}
