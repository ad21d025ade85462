//! The Secret with a deployment's launch token, where the node cluster has Secrets of ours.

use crate::{NodeProfile, TokenDelivery, names};
use crd::{chute_deployment::ChuteDeploymentSpec, labels};
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use protocol::{dto::LaunchToken, ids::ConfigId};
use std::collections::BTreeMap;

/// The Secret to create on the node cluster; nothing where the token reaches the pod otherwise.
#[must_use]
pub fn secret(spec: &ChuteDeploymentSpec, profile: &NodeProfile, config_id: &ConfigId, token: &LaunchToken) -> Option<Secret> {
    if profile.token != TokenDelivery::Copied {
        return None;
    }
    let mut all = names::managed(names::service_labels(spec));
    all.insert(labels::CONFIG_ID.to_owned(), config_id.to_string());
    Some(Secret {
        metadata: ObjectMeta {
            name: Some(names::launch_secret(&spec.deployment_id)),
            namespace: Some(profile.namespace.clone()),
            labels: Some(all),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        // One launch, one token: nothing to change, and kubelets need not watch it.
        immutable: Some(true),
        data: Some(BTreeMap::from([(names::TOKEN_KEY.to_owned(), ByteString(token.expose().as_bytes().to_vec()))])),
        ..Secret::default()
    })
}
