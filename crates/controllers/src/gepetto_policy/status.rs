//! The status of the policy: the last plan in short, idle GPUs by reason, whether plans are made. Written on change only.

use crd::conditions::{self, State};
use crd::{GepettoPolicy, GepettoPolicyStatus};
use gepetto::policy::Mode;
use gepetto::{Action, Plan, Policy, Reason};
use jiff::Timestamp;
use kube::Api;

use super::DEFAULT;
use crate::Context;
use crate::context::MANAGER;
use crate::sign::Planned;

/// Condition: plans are made.
const PLANNING: &str = "Planning";

/// Whether a plan is one, and why not.
pub(super) fn finding(policy: &Policy, plan: &Plan) -> Planned {
    let (made, reason, message) = match policy.mode {
        Mode::Paused => (false, "Paused", "the policy's mode is Paused"),
        _ if plan.blocked_servers.values().any(|reason| *reason == Reason::Blind) => {
            (false, "Blind", "a source is too old or incomplete to decide on: the validator's lists, or the API server")
        }
        Mode::Shadow => (true, "Shadow", "launches are planned and not carried out"),
        Mode::Active => (true, "Active", ""),
    };
    Planned { made, reason: reason.to_owned(), message: message.to_owned() }
}

pub(super) async fn planned(ctx: &Context, finding: &Planned, plan: &Plan) {
    let state = if finding.made { State::True } else { State::False };
    write(ctx, |status, now, generation| {
        conditions::set(&mut status.conditions, PLANNING, state, &finding.reason, &finding.message, generation, now);
        let idle: Vec<String> = plan.idle_by_reason().iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        status.idle = Some(if idle.is_empty() { "none".to_owned() } else { idle.join(", ") });
        if let Some(line) = in_short(ctx, plan) {
            status.last_plan = Some(line);
        }
    })
    .await;
}

pub(super) async fn not_planning(ctx: &Context, finding: &Planned) {
    write(ctx, |status, now, generation| {
        conditions::set(&mut status.conditions, PLANNING, State::False, &finding.reason, &finding.message, generation, now);
    })
    .await;
}

/// A plan that does something, in one line.
fn in_short(ctx: &Context, plan: &Plan) -> Option<String> {
    let name = |chute| {
        let object = ctx.watches.chutes.get(crd::FLEET_NAMESPACE, &crd::chute::resource_name(chute));
        object.map_or_else(|| chute.to_string(), |object| object.spec.name.clone())
    };
    let words: Vec<String> = plan
        .actions
        .iter()
        .map(|action| match action {
            Action::Launch(launch) => format!("launch {} on {}", name(&launch.chute), launch.server),
            Action::Stop(stop) => format!("stop {} ({})", stop.deployment, stop.reason),
        })
        .collect();
    (!words.is_empty()).then(|| words.join("; ").chars().take(500).collect())
}

async fn write(ctx: &Context, change: impl FnOnce(&mut GepettoPolicyStatus, Timestamp, Option<i64>)) {
    let Some(object) = ctx.watches.policies.get(crd::FLEET_NAMESPACE, DEFAULT) else { return };
    let before = object.status.clone().unwrap_or_default();
    let mut status = before.clone();
    change(&mut status, Timestamp::now(), object.metadata.generation);
    status.observed_generation = object.metadata.generation;
    if status == before {
        return;
    }
    let api: Api<GepettoPolicy> = Api::namespaced(ctx.client.clone(), crd::FLEET_NAMESPACE);
    let value = serde_json::to_value(&status).expect("a status is plain data");
    if let Err(error) = cluster::apply::ssa_status(&api, MANAGER, DEFAULT, value).await {
        tracing::warn!(%error, "the policy's status was not written");
    }
}
