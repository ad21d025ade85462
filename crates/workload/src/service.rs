//! The Service: gives a deployment its node ports, before its Job exists, and keeps them until nobody can call it any more.

use crate::{NodeProfile, names, ports};
use crd::{chute_deployment::ChuteDeploymentSpec, labels};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use std::collections::BTreeMap;

/// The Service of a deployment. The API server chooses the node ports.
#[must_use]
pub fn service(spec: &ChuteDeploymentSpec, profile: &NodeProfile) -> Service {
    let ports = ports::wanted(spec)
        .into_iter()
        .map(|port| ServicePort {
            name: Some(format!("chute-{}", port.port)),
            port: port.port.into(),
            target_port: Some(IntOrString::Int(port.port.into())),
            protocol: Some(port.protocol.to_owned()),
            ..ServicePort::default()
        })
        .collect();
    Service {
        metadata: ObjectMeta {
            name: Some(names::service(&spec.deployment_id)),
            namespace: Some(profile.namespace.clone()),
            labels: Some(names::managed(names::service_labels(spec))),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            type_: Some("NodePort".to_owned()),
            // The validator calls the node that runs the chute; no hop over another one.
            external_traffic_policy: Some("Local".to_owned()),
            selector: Some(BTreeMap::from([(labels::DEPLOYMENT_ID.to_owned(), spec.deployment_id.to_string())])),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
