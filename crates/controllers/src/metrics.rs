//! What the operator counts.

use std::sync::Arc;

use cluster::controller::Stats;
use cluster::metrics::Looks;
use gepetto::Plan;
use service::metrics::{Counters, Gauge, Gauges, Registry, result};

use crate::context::Watches;

/// Counters and gauges of the operator. Clones share them.
#[derive(Clone, Default)]
pub struct Metrics {
    plans: Counters<1>,
    actions: Counters<2>,
    moves: Counters<2>,
    refusals: Counters<1>,
    idle: Gauges<1>,
    leading: Gauge,
    looks: Looks,
}

impl Metrics {
    /// Registers everything.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self { looks: Looks::register(registry), ..Self::default() };
        registry.register("gepetto_plans", "Plans by result", metrics.plans.clone());
        registry.register("gepetto_actions", "Actions of plans by kind and result", metrics.actions.clone());
        registry.register("gepetto_idle_gpus", "GPUs that stand idle, by reason", metrics.idle.clone());
        registry.register("deployment_moves", "Moves of deployments, by phase and reason", metrics.moves.clone());
        registry.register("launch_refusals", "Launch tokens not granted, by kind", metrics.refusals.clone());
        registry.register("operator_leading", "1 while this replica leads", metrics.leading.clone());
        metrics
    }

    /// The counters of one controller.
    #[must_use]
    pub fn stats(&self, controller: &'static str) -> Arc<Stats> {
        self.looks.stats(controller)
    }

    /// Shows the age of these watches.
    pub fn watch(&self, watches: &Watches) {
        self.looks.watches(watches.freshness().into_iter().cloned().collect());
    }

    /// Where realizers show theirs.
    pub(crate) fn looks(&self) -> Looks {
        self.looks.clone()
    }

    /// Whether this replica leads.
    pub fn leading(&self, leading: bool) {
        self.leading.set(i64::from(leading));
    }

    pub(crate) fn planned(&self, ok: bool) {
        self.plans.get_or_create(&[result(ok)]).inc();
    }

    pub(crate) fn action(&self, kind: &str, ok: bool) {
        self.actions.get_or_create(&[("action", kind.to_owned()), result(ok)]).inc();
    }

    pub(crate) fn moved(&self, phase: &str, reason: &str) {
        self.moves.get_or_create(&[("phase", phase.to_owned()), ("reason", reason.to_owned())]).inc();
    }

    pub(crate) fn launch_refused(&self, kind: &str) {
        self.refusals.get_or_create(&[("kind", kind.to_owned())]).inc();
    }

    pub(crate) fn idle(&self, plan: &Plan) {
        self.idle.clear();
        for (reason, count) in plan.idle_by_reason() {
            self.idle.get_or_create(&[("reason", reason.code().to_owned())]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}
