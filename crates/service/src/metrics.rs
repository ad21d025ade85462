//! What the programs' metrics are made of, so that all of them count in the same words. [`crate::admin`] serves them.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use std::fmt;
use std::sync::atomic::AtomicU64;

pub use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
pub use prometheus_client::registry::Registry;

/// Labels: names and values.
pub type Labels<const N: usize> = [(&'static str, String); N];
/// One counter for each set of labels.
pub type Counters<const N: usize> = Family<Labels<N>, Counter>;
/// One gauge of a whole number for each set of labels.
pub type Gauges<const N: usize> = Family<Labels<N>, Gauge>;
/// One gauge of a fraction for each set of labels.
pub type Fractions<const N: usize> = Family<Labels<N>, Gauge<f64, AtomicU64>>;

/// The label of what can fail: `result`, which is `ok` or `error`.
#[must_use]
pub fn result(ok: bool) -> (&'static str, String) {
    ("result", if ok { "ok" } else { "error" }.to_owned())
}

/// Registers a counter that somebody else keeps. `read` is called when the metrics are asked for, and gives the values of
/// `label` with the counts.
pub fn counted_elsewhere(
    registry: &mut Registry,
    name: &'static str,
    help: &'static str,
    label: &'static str,
    read: impl Fn() -> Vec<(String, u64)> + Send + Sync + 'static,
) {
    let read = move || read().into_iter().map(|(value, count)| (value, ConstCounter::new(count))).collect();
    registry.register_collector(Box::new(Elsewhere { name, help, label, read }));
}

/// As [`counted_elsewhere`], for a gauge.
pub fn measured_elsewhere(
    registry: &mut Registry,
    name: &'static str,
    help: &'static str,
    label: &'static str,
    read: impl Fn() -> Vec<(String, f64)> + Send + Sync + 'static,
) {
    let read = move || read().into_iter().map(|(value, number)| (value, ConstGauge::new(number))).collect();
    registry.register_collector(Box::new(Elsewhere { name, help, label, read }));
}

struct Elsewhere<F> {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    read: F,
}

impl<F> fmt::Debug for Elsewhere<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Elsewhere").field(&self.name).finish()
    }
}

impl<F, M> Collector for Elsewhere<F>
where
    F: Fn() -> Vec<(String, M)> + Send + Sync + 'static,
    M: EncodeMetric + TypedMetric,
{
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let kind: MetricType = M::TYPE;
        let mut family = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        for (value, metric) in (self.read)() {
            metric.encode(family.encode_family(&[(self.label, value)])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn what_others_keep_is_read_when_it_is_asked_for() {
        let kept = std::sync::Arc::new(AtomicU64::new(1));
        let mut registry = Registry::default();
        let count = kept.clone();
        counted_elsewhere(&mut registry, "looks", "Looks", "at", move || {
            vec![("door".to_owned(), count.load(std::sync::atomic::Ordering::Relaxed))]
        });
        measured_elsewhere(&mut registry, "age_seconds", "Age", "of", || vec![("door".to_owned(), 1.5)]);
        let results = Counters::<1>::default();
        results.get_or_create(&[result(false)]).inc();
        registry.register("knocks", "Knocks", results);
        kept.store(7, std::sync::atomic::Ordering::Relaxed);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "# TYPE looks counter",
            r#"looks_total{at="door"} 7"#,
            "# TYPE age_seconds gauge",
            r#"age_seconds{of="door"} 1.5"#,
            r#"knocks_total{result="error"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
