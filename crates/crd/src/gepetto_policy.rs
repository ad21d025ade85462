//! `GepettoPolicy`: what a person asks of the strategy.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Mode and limits of gepetto. The policy named `default` in namespace `chutes` is the one in force.
#[derive(CustomResource, schemars::JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gepetto.fleet",
    version = "v1alpha1",
    kind = "GepettoPolicy",
    doc = "What you ask of gepetto, the strategy that places chutes: mode, limits, bans. The one named `default` in namespace `chutes` is in force; without it the defaults are.",
    plural = "gepettopolicies",
    namespaced,
    status = "GepettoPolicyStatus",
    shortname = "policy",
    category = "fleet",
    printcolumn(name = "MODE", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "IDLE", type_ = "string", json_path = ".status.idle"),
    printcolumn(name = "LAST-PLAN", type_ = "string", json_path = ".status.lastPlan"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = kube::core::Rule::new("self.metadata.name == 'default'").message("the policy in force is the one named 'default': name it so")
)]
#[serde(rename_all = "camelCase", default)]
pub struct GepettoPolicySpec {
    /// The policy itself, whose type belongs to the strategy.
    #[serde(flatten)]
    pub policy: gepetto::Policy,
}

/// What the strategy last decided. Written by the operator, only when it changed.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GepettoPolicyStatus {
    /// The last plan that did something, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_plan: Option<String>,
    /// Idle GPUs by reason, in one line such as `3 NoChuteFits, 1 ServerHeld`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<String>,
    /// `Planning`: plans are made; false with the reason (paused, blind, Postgres down).
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// The generation of the spec this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}
