//! What the programs' metrics are made of, so that all of them count in the same words. [`crate::admin`] serves them.

use prometheus_client::metrics::family::Family;
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
