//! Every resource of an API server, and which of them somebody may touch: found by trying each verb on each.

use crate::Actor;
use futures::{StreamExt as _, stream};
use std::collections::BTreeSet;

/// One thing somebody may do: namespace (or `-` for the whole cluster), resource as `group/resource[/subresource]`, verb.
pub type Right = (String, String, String);

/// A resource as the API server announces it.
#[derive(Clone, Debug)]
pub struct Resource {
    root: String,
    group: String,
    plural: String,
    subresource: Option<String>,
    namespaced: bool,
}

impl Resource {
    fn label(&self) -> String {
        let group = if self.group.is_empty() { "core" } else { &self.group };
        match &self.subresource {
            Some(sub) => format!("{group}/{}/{sub}", self.plural),
            None => format!("{group}/{}", self.plural),
        }
    }

    /// The requests that stand for the verbs: verb, method, path. The object `x` exists nowhere.
    fn requests(&self, namespace: Option<&str>) -> Vec<(&'static str, &'static str, String)> {
        let within = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
        let collection = format!("{}{within}/{}", self.root, self.plural);
        let object = match &self.subresource {
            Some(sub) => format!("{collection}/x/{sub}"),
            None => format!("{collection}/x"),
        };
        let mut requests = Vec::new();
        // Across all namespaces there is no single object.
        if !self.namespaced || namespace.is_some() {
            requests.push(("get", "GET", object.clone()));
            requests.push(("update", "PUT", object.clone()));
            requests.push(("patch", "PATCH", object.clone()));
            requests.push(("delete", "DELETE", object.clone()));
            requests.push(("create", "POST", if self.subresource.is_some() { object } else { collection.clone() }));
        }
        if self.subresource.is_none() {
            requests.push(("list", "GET", format!("{collection}?limit=1")));
            requests.push(("watch", "GET", format!("{collection}?watch=true&timeoutSeconds=1")));
            requests.push(("deletecollection", "DELETE", format!("{collection}?dryRun=All")));
        }
        requests
    }
}

/// Everything the API server serves, in every group and version.
pub async fn resources(admin: &Actor) -> Vec<Resource> {
    let mut roots = vec![("/api/v1".to_owned(), String::new())];
    let groups = admin.get("/apis").await.expect("the API groups");
    for group in groups["groups"].as_array().into_iter().flatten() {
        let name = group["name"].as_str().unwrap();
        for version in group["versions"].as_array().into_iter().flatten() {
            roots.push((format!("/apis/{}", version["groupVersion"].as_str().unwrap()), name.to_owned()));
        }
    }
    let mut found = Vec::new();
    for (root, group) in roots {
        let list = admin.get(&root).await.expect("an API group");
        for entry in list["resources"].as_array().into_iter().flatten() {
            let name = entry["name"].as_str().unwrap();
            let (plural, subresource) = name.split_once('/').map_or((name, None), |(plural, sub)| (plural, Some(sub.to_owned())));
            found.push(Resource {
                root: root.clone(),
                group: group.clone(),
                plural: plural.to_owned(),
                subresource,
                namespaced: entry["namespaced"] == true,
            });
        }
    }
    found
}

/// Everything `actor` may do in these namespaces and across the cluster, found by doing it to an object that does not exist.
/// Rights to objects of one name do not show here.
pub async fn rights(actor: &Actor, resources: &[Resource], namespaces: &[&str]) -> BTreeSet<Right> {
    let mut attempts = Vec::new();
    for resource in resources {
        let places = if resource.namespaced { namespaces.iter().map(|n| Some(*n)).chain([None]).collect() } else { vec![None] };
        for place in places {
            for (verb, method, path) in resource.requests(place) {
                let right = (place.unwrap_or("-").to_owned(), resource.label(), verb.to_owned());
                attempts.push((right, method, path));
            }
        }
    }
    assert!(attempts.len() > 1000, "only {} attempts: nothing was discovered", attempts.len());
    stream::iter(attempts)
        .map(|(right, method, path)| async move {
            // Who may do something is asked before what: an empty body gets 400 or 404 only from who may.
            let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
            let answer = actor.request(method, &path, kind, None).await;
            assert!(answer.code != 401 && answer.code != 429, "{method} {path}: {}", answer.message());
            (answer.code != 403).then_some(right)
        })
        .buffer_unordered(32)
        .filter_map(|right| async { right })
        .collect()
        .await
}
