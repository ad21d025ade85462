//! Small changes to objects of ours: a merge, bound to the object that was read, never a namesake.

use std::fmt::Debug;

use cluster::call::bounded;
use crd::annotations::FINALIZER;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Result;
use crate::context::MANAGER;

/// Merges `change` into the object; whatever else changed about it meanwhile stays.
///
/// # Errors
/// A conflict if another object of that name stands there now: look again.
pub(crate) async fn merge<K>(api: &Api<K>, object: &K, mut change: Value) -> Result<()>
where
    K: Resource<DynamicType: Default> + Clone + Debug + DeserializeOwned,
{
    change["metadata"]["uid"] = json!(object.meta().uid);
    let name = object.name_any();
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    bounded(&format!("changing {kind} {name}"), api.patch(&name, &params, &Patch::Merge(&change))).await?;
    Ok(())
}

/// Puts our finalizer on the object.
///
/// # Errors
/// As [`merge`].
pub(crate) async fn add_finalizer<K>(api: &Api<K>, object: &K) -> Result<()>
where
    K: Resource<DynamicType: Default> + Clone + Debug + DeserializeOwned,
{
    let mut finalizers = object.finalizers().to_vec();
    if finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(());
    }
    finalizers.push(FINALIZER.to_owned());
    finalizers_of(api, object, &finalizers).await
}

/// A list is replaced as a whole, so nobody may have changed it since it was read.
async fn finalizers_of<K, F: serde::Serialize>(api: &Api<K>, object: &K, finalizers: &[F]) -> Result<()>
where
    K: Resource<DynamicType: Default> + Clone + Debug + DeserializeOwned,
{
    let version = &object.meta().resource_version;
    merge(api, object, json!({ "metadata": { "finalizers": finalizers, "resourceVersion": version } })).await
}

/// Takes our finalizer off the object.
///
/// # Errors
/// As [`merge`]; that it is gone already is none.
pub(crate) async fn drop_finalizer<K>(api: &Api<K>, object: &K) -> Result<()>
where
    K: Resource<DynamicType: Default> + Clone + Debug + DeserializeOwned,
{
    let finalizers: Vec<&String> = object.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER).collect();
    match finalizers_of(api, object, &finalizers).await {
        Err(crate::Error::Cluster(error)) if error.is_not_found() => Ok(()),
        other => other,
    }
}
