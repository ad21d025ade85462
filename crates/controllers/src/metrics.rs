//! What the operator counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cluster::controller::Stats;
use gepetto::Plan;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
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
    controllers: Arc<Mutex<BTreeMap<&'static str, Arc<Stats>>>>,
    watches: Arc<Mutex<Option<Watches>>>,
}

impl Metrics {
    /// Registers everything.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("gepetto_plans", "Plans by result", metrics.plans.clone());
        registry.register("gepetto_actions", "Actions of plans by kind and result", metrics.actions.clone());
        registry.register("gepetto_idle_gpus", "GPUs that stand idle, by reason", metrics.idle.clone());
        registry.register("deployment_moves", "Moves of deployments, by phase and reason", metrics.moves.clone());
        registry.register("launch_refusals", "Launch tokens not granted, by kind", metrics.refusals.clone());
        registry.register("operator_leading", "1 while this replica leads", metrics.leading.clone());
        registry.register_collector(Box::new(Looks { metrics: metrics.clone() }));
        metrics
    }

    /// The counters of one controller.
    #[must_use]
    pub fn stats(&self, controller: &'static str) -> Arc<Stats> {
        let mut all = self.controllers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(controller).or_default())
    }

    /// Shows the age of these watches.
    pub fn watch(&self, watches: &Watches) {
        *self.watches.lock().unwrap_or_else(PoisonError::into_inner) = Some(watches.clone());
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

/// What others count, read when asked.
struct Looks {
    metrics: Metrics,
}

impl std::fmt::Debug for Looks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Looks")
    }
}

impl Collector for Looks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let controllers = self.metrics.controllers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        type Read = fn(&Stats) -> u64;
        let counters: [(&str, &str, Read); 2] = [
            ("reconciles", "Reconciles by controller", Stats::reconciles),
            ("reconcile_failures", "Failed reconciles by controller", Stats::failures),
        ];
        for (name, help, read) in counters {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (controller, stats) in &controllers {
                ConstCounter::new(read(stats)).encode(family.encode_family(&[("controller", *controller)])?)?;
            }
        }
        let Some(watches) = self.metrics.watches.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return Ok(()) };
        let help = "Time since a watch was last heard of";
        let mut family = encoder.encode_descriptor("watch_age_seconds", help, None, MetricType::Gauge)?;
        for freshness in watches.freshness() {
            ConstGauge::new(freshness.age().as_secs_f64()).encode(family.encode_family(&[("watch", freshness.name())])?)?;
        }
        Ok(())
    }
}
