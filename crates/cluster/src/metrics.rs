//! What controllers count and how old watches are, for whoever serves metrics.

use crate::{controller::Stats, watch::Freshness};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Controllers and watches to show. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// By the server they are about; empty for those of the program itself.
    parts: Mutex<BTreeMap<String, Part>>,
    shown: AtomicU64,
}

#[derive(Clone, Default)]
struct Part {
    number: u64,
    controllers: BTreeMap<&'static str, Arc<Stats>>,
    watches: Vec<Freshness>,
}

/// What was shown is no longer shown when this is dropped.
#[derive(Debug)]
#[must_use = "what is shown is shown until this is dropped"]
pub struct Shown {
    inner: Arc<Inner>,
    server: String,
    number: u64,
}

impl Drop for Shown {
    fn drop(&mut self) {
        let mut parts = self.inner.parts();
        // A successor may be shown already.
        if parts.get(&self.server).is_some_and(|part| part.number == self.number) {
            parts.remove(&self.server);
        }
    }
}

impl Inner {
    fn parts(&self) -> MutexGuard<'_, BTreeMap<String, Part>> {
        // Each change is one insertion or removal.
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.parts().keys()).finish()
    }
}

impl Looks {
    /// Registers what is shown now or later: `reconciles`, `reconcile_failures`, `reconcile_panics`, `reconciles_waiting`,
    /// `reconciles_running` and `reconciles_failing` by `controller`; `watch_age_seconds` and `watch_failures` by `watch`.
    pub fn register(registry: &mut Registry) -> Self {
        let looks = Self::default();
        registry.register_collector(Box::new(looks.clone()));
        looks
    }

    /// The counters of one of the program's own controllers.
    #[must_use]
    pub fn stats(&self, controller: &'static str) -> Arc<Stats> {
        Arc::clone(self.inner.parts().entry(String::new()).or_default().controllers.entry(controller).or_default())
    }

    /// Shows the program's own watches.
    pub fn watches(&self, watches: Vec<Freshness>) {
        self.inner.parts().entry(String::new()).or_default().watches = watches;
    }

    /// Shows a controller and its watches with the label `server`, in place of what was shown for that server before.
    pub fn show(&self, server: &str, controller: &'static str, stats: Arc<Stats>, watches: Vec<Freshness>) -> Shown {
        let number = self.inner.shown.fetch_add(1, Relaxed);
        let part = Part { number, controllers: BTreeMap::from([(controller, stats)]), watches };
        self.inner.parts().insert(server.to_owned(), part);
        Shown { inner: Arc::clone(&self.inner), server: server.to_owned(), number }
    }
}

/// Labels; the one of the server only where there is one.
fn labels<'a>(server: &'a str, name: &'static str, value: &'a str) -> Vec<(&'static str, &'a str)> {
    let server = Some(("server", server)).filter(|(_, server)| !server.is_empty());
    [(name, value)].into_iter().chain(server).collect()
}

type Count = (&'static str, &'static str, fn(&Stats) -> u64);
type Depth = (&'static str, &'static str, fn(&Stats) -> usize);

const COUNTS: [Count; 3] = [
    ("reconciles", "Reconciles by controller", Stats::reconciles),
    ("reconcile_failures", "Failed reconciles by controller", Stats::failures),
    ("reconcile_panics", "Reconciles that panicked, by controller", Stats::panics),
];

const DEPTHS: [Depth; 3] = [
    ("reconciles_waiting", "Objects that wait to be looked at, at once or later, by controller", Stats::waiting),
    ("reconciles_running", "Objects that are being looked at, by controller", Stats::running),
    ("reconciles_failing", "Objects whose last reconcile failed, by controller", Stats::failing),
];

impl Collector for Looks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let parts = self.inner.parts().clone();
        let controllers = || {
            let each = |(server, part): (_, &'_ Part)| -> Vec<_> {
                part.controllers.iter().map(|(name, stats)| (labels(server, "controller", name), Arc::clone(stats))).collect()
            };
            parts.iter().flat_map(|(server, part)| each((server.as_str(), part))).collect::<Vec<_>>()
        };
        for (name, help, read) in COUNTS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (labels, stats) in controllers() {
                ConstCounter::new(read(&stats)).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, read) in DEPTHS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (labels, stats) in controllers() {
                let depth = i64::try_from(read(&stats)).unwrap_or(i64::MAX);
                ConstGauge::new(depth).encode(family.encode_family(&labels)?)?;
            }
        }
        let watches = || parts.iter().flat_map(|(server, part)| part.watches.iter().map(move |watch| (server.as_str(), watch)));
        let mut family = encoder.encode_descriptor("watch_age_seconds", "Time since a watch was last heard of", None, MetricType::Gauge)?;
        for (server, watch) in watches() {
            ConstGauge::new(watch.age().as_secs_f64()).encode(family.encode_family(&labels(server, "watch", watch.name()))?)?;
        }
        let mut family = encoder.encode_descriptor("watch_failures", "Failed attempts of a watch", None, MetricType::Counter)?;
        for (server, watch) in watches() {
            ConstCounter::new(watch.failures()).encode(family.encode_family(&labels(server, "watch", watch.name()))?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    fn rendered(registry: &Registry) -> String {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn what_is_shown_is_rendered_until_it_is_no_longer_shown() {
        let mut registry = Registry::default();
        let looks = Looks::register(&mut registry);
        let own = looks.stats("chute");
        own.begun();
        looks.watches(vec![Freshness::new("Chute".into())]);
        let stats = Arc::new(Stats::default());
        stats.depth(3, 2, 1);
        let first = looks.show("gpu-0", "realize", Arc::clone(&stats), vec![Freshness::new("Pod".into())]);
        stats.begun();
        let text = rendered(&registry);
        for line in [
            r#"reconciles_total{controller="chute"} 1"#,
            r#"reconciles_total{controller="realize",server="gpu-0"} 1"#,
            r#"reconciles_waiting{controller="realize",server="gpu-0"} 3"#,
            r#"reconciles_running{controller="realize",server="gpu-0"} 2"#,
            r#"reconciles_failing{controller="realize",server="gpu-0"} 1"#,
            r#"watch_age_seconds{watch="Chute"} "#,
            r#"watch_failures_total{watch="Pod",server="gpu-0"} 0"#,
        ] {
            assert!(text.lines().any(|l| l.starts_with(line)), "no {line} in\n{text}");
        }

        let second = looks.show("gpu-0", "realize", Arc::default(), Vec::new());
        drop(first);
        let text = rendered(&registry);
        assert!(text.contains(r#"reconciles_total{controller="realize",server="gpu-0"} 0"#), "the successor stays:\n{text}");
        drop(second);
        let text = rendered(&registry);
        assert!(!text.contains("gpu-0") && text.contains(r#"controller="chute""#), "{text}");
    }
}
