//! What a person may ask of the strategy. This type *is* the spec of the GepettoPolicy custom resource.

use protocol::ids::ChuteId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether plans are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Plan, and do what the plan says.
    #[default]
    Active,
    /// Plan and record the plan, launch and stop nothing of our own accord.
    Shadow,
    /// Do not plan. Running chutes go on; what the validator ends is still cleaned up.
    Paused,
}

/// The operator's wishes and limits. An empty policy is a sensible one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Policy {
    /// `Active` carries plans out, `Shadow` only records them, `Paused` does not plan.
    pub mode: Mode,
    /// Limits on how much may change and how much may run.
    pub limits: Limits,
    /// Chutes never to launch, by id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub banned_chutes: Vec<ChuteId>,
}

/// Limits of the whole fleet. Absent means the default in its description.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Most launches decided in one plan (default 8).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub launches_per_plan: Option<u32>,
    /// Most launches that may be under way (not yet Active) at once (default 32).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10000))]
    pub launches_in_flight: Option<u32>,
    /// Most deployments of one chute across the fleet (default: as many as the validator wants).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub deployments_per_chute: Option<u32>,
    /// Lowest expected gain over cost, as a ratio, at which a chute is worth launching (default 0: any).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub min_gain_percent: Option<u32>,
    /// How long a chute waits after a failed launch, in seconds; twice as long after each further one (default 60).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub retry_after_seconds: Option<u32>,
    /// How long it waits at most, in seconds (default 3600).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 604800))]
    pub retry_at_most_seconds: Option<u32>,
}

impl Limits {
    /// Most launches decided in one plan.
    #[must_use]
    pub fn launches_per_plan(&self) -> usize {
        self.launches_per_plan.unwrap_or(8) as usize
    }

    /// Most launches under way at once.
    #[must_use]
    pub fn launches_in_flight(&self) -> usize {
        self.launches_in_flight.unwrap_or(32) as usize
    }

    /// Wait after a first failure, in seconds.
    #[must_use]
    pub fn retry_after_seconds(&self) -> u64 {
        u64::from(self.retry_after_seconds.unwrap_or(60))
    }

    /// Longest wait after failures, in seconds.
    #[must_use]
    pub fn retry_at_most_seconds(&self) -> u64 {
        u64::from(self.retry_at_most_seconds.unwrap_or(3600))
    }
}
