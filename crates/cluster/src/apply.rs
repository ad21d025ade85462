//! Writes: server-side apply, create once, delete exactly the object that was seen.

use crate::{
    Error, Result,
    call::{bounded, get_opt},
};
use kube::{
    Api, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::fmt::Debug;

/// What came of a creation.
#[derive(Clone, Debug)]
pub enum Created<K> {
    /// It was created now; this is what the API server made of it.
    Created(K),
    /// One of that name existed already, perhaps from an earlier attempt of ours whose answer was lost.
    Existed,
}

/// What came of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The API server took the deletion on; dependents and finalizers may take a while.
    Deleted,
    /// It was gone already.
    Gone,
    /// An object of that name but another UID stands there; it was left alone.
    Replaced,
}

/// What becomes of the dependents of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// The object stays until its dependents are gone.
    Foreground,
    /// The object goes at once, its dependents after it.
    Background,
}

fn kind<K: Resource>() -> String
where
    K::DynamicType: Default,
{
    K::kind(&K::DynamicType::default()).into_owned()
}

fn name_of<K: Resource>(object: &K) -> Result<&str>
where
    K::DynamicType: Default,
{
    object.meta().name.as_deref().ok_or_else(|| Error::Config(format!("a {} without a name cannot be written", kind::<K>())))
}

/// Applies an object: the fields in it become `manager`'s, fields that `manager` sent before and are not in it are removed.
///
/// # Errors
/// As [`bounded`].
pub async fn ssa<K>(api: &Api<K>, manager: &str, object: &K) -> Result<K>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned,
    K::DynamicType: Default,
{
    let name = name_of(object)?;
    let params = PatchParams::apply(manager).force();
    bounded(&format!("applying {} {name}", kind::<K>()), api.patch(name, &params, &Patch::Apply(object))).await
}

/// Applies a status: `status` is the body of the field `status`, with exactly the fields that `manager` owns.
///
/// # Errors
/// As [`bounded`].
pub async fn ssa_status<K>(api: &Api<K>, manager: &str, name: &str, status: Value) -> Result<K>
where
    K: Resource + Clone + Debug + DeserializeOwned,
    K::DynamicType: Default,
{
    let dynamic = K::DynamicType::default();
    let body = json!({
        "apiVersion": K::api_version(&dynamic),
        "kind": K::kind(&dynamic),
        "metadata": { "name": name },
        "status": status,
    });
    let params = PatchParams::apply(manager).force();
    bounded(&format!("writing the status of {} {name}", kind::<K>()), api.patch_status(name, &params, &Patch::Apply(&body))).await
}

/// Creates an object unless one of its name exists. After a lost answer the caller may simply try again.
///
/// # Errors
/// As [`bounded`].
pub async fn create<K>(api: &Api<K>, object: &K) -> Result<Created<K>>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned,
    K::DynamicType: Default,
{
    let name = name_of(object)?;
    match bounded(&format!("creating {} {name}", kind::<K>()), api.create(&PostParams::default(), object)).await {
        Ok(made) => Ok(Created::Created(made)),
        Err(error) if error.is_already_exists() => Ok(Created::Existed),
        Err(error) => Err(error),
    }
}

/// Deletes the object of that name if its UID is `uid`: never a namesake that somebody made since.
///
/// # Errors
/// As [`bounded`].
pub async fn delete_uid<K>(api: &Api<K>, name: &str, uid: &str, propagation: Propagation) -> Result<Deleted>
where
    K: Resource + Clone + Debug + DeserializeOwned,
    K::DynamicType: Default,
{
    let params = DeleteParams {
        propagation_policy: Some(match propagation {
            Propagation::Foreground => PropagationPolicy::Foreground,
            Propagation::Background => PropagationPolicy::Background,
        }),
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        ..DeleteParams::default()
    };
    match bounded(&format!("deleting {} {name}", kind::<K>()), api.delete(name, &params)).await {
        Ok(_) => Ok(Deleted::Deleted),
        Err(error) if error.is_not_found() => Ok(Deleted::Gone),
        Err(error) if error.is_conflict() => after_conflict(api, name, uid, error).await,
        Err(error) => Err(error),
    }
}

/// A conflict is not always about the UID: a namespace that is ending already says so too, and so may whatever stands before the API
/// server. Only a namesake seen there is one.
async fn after_conflict<K>(api: &Api<K>, name: &str, uid: &str, conflict: Error) -> Result<Deleted>
where
    K: Resource + Clone + Debug + DeserializeOwned,
    K::DynamicType: Default,
{
    let Some(found) = get_opt(api, name).await? else { return Ok(Deleted::Gone) };
    let meta = found.meta();
    match (meta.uid.as_deref() == Some(uid), meta.deletion_timestamp.is_some()) {
        (false, _) => Ok(Deleted::Replaced),
        (true, true) => Ok(Deleted::Deleted),
        (true, false) => Err(conflict),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{Client, client::Body};
    use std::convert::Infallible;

    /// Refuses every deletion with a conflict and shows `found`.
    fn conflicting(found: Option<Value>) -> Api<ConfigMap> {
        let status = |code: u16, reason: &str| {
            (code, json!({"kind": "Status", "status": "Failure", "reason": reason, "code": code, "message": "no"}))
        };
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let (code, body) = match (request.method(), &found) {
                (&http::Method::DELETE, _) => status(409, "Conflict"),
                (_, None) => status(404, "NotFound"),
                (_, Some(found)) => (200, found.clone()),
            };
            let answer = http::Response::builder().status(code).body(Full::new(bytes::Bytes::from(body.to_string()))).unwrap();
            async move { Ok::<_, Infallible>(answer) }
        });
        Api::namespaced(Client::new(service, "ns"), "ns")
    }

    #[tokio::test]
    async fn a_conflict_is_taken_for_a_namesake_only_where_one_is_seen() {
        let found = |uid: &str, deleted: Option<&str>| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": uid, "deletionTimestamp": deleted}});
        let delete = async |found| delete_uid(&conflicting(found), "a", "mine", Propagation::Background).await;
        assert_eq!(delete(Some(found("other", None))).await.unwrap(), Deleted::Replaced);
        assert_eq!(delete(None).await.unwrap(), Deleted::Gone);
        assert_eq!(delete(Some(found("mine", Some("2026-01-01T00:00:00Z")))).await.unwrap(), Deleted::Deleted);
        assert!(delete(Some(found("mine", None))).await.unwrap_err().is_conflict(), "it stands and is ours: to be tried again");
    }
}
