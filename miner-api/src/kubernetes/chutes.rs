//! The writes of the validators' links: Chutes, and the status of a Validator.

use super::{KubeFleet, MANAGER};
use cluster::{
    Error,
    apply::{self, Propagation},
};
use crd::{Chute, ChuteSpec, FLEET_NAMESPACE, Validator, chute, labels};
use kube::Api;
use serde_json::json;

impl KubeFleet {
    /// Writes what a validator says of a chute.
    ///
    /// # Errors
    /// The API server's.
    pub async fn write_chute(&self, spec: &ChuteSpec) -> Result<(), Error> {
        let mut object = Chute::new(&chute::resource_name(&spec.chute_id), spec.clone());
        object.metadata.namespace = Some(FLEET_NAMESPACE.to_owned());
        object.metadata.labels = Some(
            [
                (labels::MANAGED_BY.to_owned(), labels::MANAGER.to_owned()),
                (labels::CHUTE_ID.to_owned(), label_value(spec.chute_id.as_str())),
            ]
            .into(),
        );
        apply::ssa(&Api::namespaced(self.client.clone(), FLEET_NAMESPACE), MANAGER, &object).await.map(drop)
    }

    /// Deletes exactly this chute.
    ///
    /// # Errors
    /// The API server's.
    pub async fn delete_chute(&self, object: &Chute) -> Result<(), Error> {
        let (Some(name), Some(uid)) = (&object.metadata.name, &object.metadata.uid) else { return Ok(()) };
        let api: Api<Chute> = Api::namespaced(self.client.clone(), FLEET_NAMESPACE);
        apply::delete_uid(&api, name, uid, Propagation::Background).await.map(drop)
    }

    /// Writes the conditions of a validator's link.
    ///
    /// # Errors
    /// The API server's.
    pub async fn write_link(&self, name: &str, conditions: &[crd::Condition], generation: Option<i64>) -> Result<(), Error> {
        let api: Api<Validator> = Api::namespaced(self.client.clone(), FLEET_NAMESPACE);
        let status = json!({ "conditions": conditions, "observedGeneration": generation });
        apply::ssa_status(&api, MANAGER, name, status).await.map(drop)
    }
}

/// A label's value has at most 63 characters of a small alphabet; ids that do not fit are cut, the spec has them whole.
fn label_value(id: &str) -> String {
    let fit: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).take(63).collect();
    fit.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}
