//! The custom resources of group `gepetto.fleet`, version `v1alpha1`.
//!
//! Types, schemas, rules and examples only: nothing here talks to an API server. `crds/*.yaml` is generated from these types.
//! A spec is what somebody wants, a status what somebody saw; each field has one writer, named in its description.

#![allow(unreachable_pub, reason = "the schema derive wraps each type into a function of its own, where `pub` reaches nobody")]
#![allow(clippy::duplicated_attributes, reason = "two print columns of one type look alike to it")]

pub mod annotations;
pub mod chute;
pub mod chute_deployment;
pub mod conditions;
mod exchange;
pub mod gepetto_policy;
pub mod gpu_server;
pub mod labels;
pub mod leases;
pub mod open_enum;
pub mod validator;

pub use chute::{Chute, ChuteSpec, ChuteStatus};
pub use chute_deployment::{ChuteDeployment, ChuteDeploymentSpec, ChuteDeploymentStatus};
pub use gepetto_policy::{GepettoPolicy, GepettoPolicySpec, GepettoPolicyStatus};
pub use gpu_server::{GpuServer, GpuServerSpec, GpuServerStatus};
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
pub use validator::{Validator, ValidatorSpec, ValidatorStatus};

/// The API group of every kind here.
pub const GROUP: &str = "gepetto.fleet";

/// The namespace of everything that is not a node's own.
pub const FLEET_NAMESPACE: &str = "chutes";

/// The namespace on the control cluster that belongs to one GPU server.
#[must_use]
pub fn node_namespace(server: &str) -> String {
    format!("chutes-node-{server}")
}

/// The definitions of all five kinds, in the order in which they are best installed.
#[must_use]
pub fn all() -> Vec<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition> {
    use kube::CustomResourceExt as _;
    vec![Validator::crd(), GpuServer::crd(), Chute::crd(), ChuteDeployment::crd(), GepettoPolicy::crd()]
}
