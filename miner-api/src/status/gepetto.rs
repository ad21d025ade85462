//! The strategy: its mode and its last plan.

use crate::ports::fleet::View;
use crd::conditions;
use serde::Serialize;

/// The strategy in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gepetto {
    /// `Active`, `Shadow` or `Paused`; the default mode if there is no policy.
    pub mode: String,
    /// Whether a policy resource exists.
    pub policy: bool,
    /// The last plan that did something.
    pub last_plan: Option<String>,
    /// Idle GPUs by reason.
    pub idle: Option<String>,
    /// Whether plans are made: `True`, `False`, `Unknown`.
    pub planning: String,
    /// Why not.
    pub why: Option<String>,
}

pub(super) fn of(view: &View) -> Gepetto {
    let policy = view.policy.as_ref().map(|policy| policy.spec.policy.clone()).unwrap_or_default();
    let status = view.policy.as_ref().and_then(|policy| policy.status.clone()).unwrap_or_default();
    let planning = conditions::get(&status.conditions, "Planning");
    Gepetto {
        // The mode's own spelling in YAML.
        mode: serde_json::to_value(policy.mode).ok().and_then(|mode| mode.as_str().map(str::to_owned)).unwrap_or_default(),
        policy: view.policy.is_some(),
        last_plan: status.last_plan,
        idle: status.idle,
        planning: planning.map_or_else(|| "Unknown".to_owned(), |found| found.status.clone()),
        why: planning.filter(|found| found.status != "True").map(|found| format!("{}: {}", found.reason, found.message)),
    }
}
