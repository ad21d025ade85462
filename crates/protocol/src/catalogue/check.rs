//! Whether a GPU looks like the model it is sold as, by the rules validators apply to an advert.

use super::{GpuSpec, identify};
use crate::device::NodeArgs;

/// One way in which a GPU does not look like its model. The text says what was wanted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpecMismatch {
    /// The name is of another model, or of none.
    #[error("{name:?} is {found}, not {wanted}")]
    Model {
        /// The driver's name.
        name: String,
        /// The model of that name.
        found: &'static str,
        /// The model claimed.
        wanted: &'static str,
    },
    /// Too little or too much memory.
    #[error("{found} GB of memory, wanted {low} to {high:.1}")]
    Memory {
        /// Memory in GB, rounded down.
        found: u64,
        /// Least.
        low: u64,
        /// Most.
        high: f64,
    },
    /// Another number of processors.
    #[error("{found} processors, wanted {wanted}")]
    Processors {
        /// What the driver says.
        found: u32,
        /// What the model has.
        wanted: u32,
    },
    /// Clocked outside the model's range.
    #[error("clocked at {found:.0} MHz, wanted {low} to {high:.0}")]
    Clock {
        /// MHz.
        found: f64,
        /// Least.
        low: u32,
        /// Most.
        high: f64,
    },
}

impl GpuSpec {
    /// Everything about the GPU that a validator would refuse; empty if nothing.
    pub fn mismatches(&self, node: &NodeArgs) -> Vec<SpecMismatch> {
        let device = &node.device;
        let mut found = Vec::new();
        let model = identify(&device.name).map_or("no model of the catalogue", |spec| spec.name);
        if model != self.name {
            found.push(SpecMismatch::Model { name: device.name.clone(), found: model, wanted: self.name });
        }
        let memory = device.memory / 1_000_000_000;
        let (low, high) = (u64::from(self.memory_gb) - 1, f64::from(self.memory_gb) * 1.073_741_824 + 1.0);
        if memory < low || memory as f64 > high {
            found.push(SpecMismatch::Memory { found: memory, low, high });
        }
        if let Some(processors) = device.processors.filter(|n| *n != self.processors) {
            found.push(SpecMismatch::Processors { found: processors, wanted: self.processors });
        }
        let (mhz, high) = (device.clock_rate / 1000.0, f64::from(self.boost_mhz) * 1.1);
        if !(f64::from(self.base_mhz)..=high).contains(&mhz) {
            found.push(SpecMismatch::Clock { found: mhz, low: self.base_mhz, high });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::find;

    fn node() -> NodeArgs {
        serde_json::from_value(serde_json::json!({
            "uuid": "0123456789abcdef0123456789abcdef", "name": "NVIDIA GeForce RTX 4090", "memory": 25_386_352_640u64,
            "processors": 128, "clock_rate": 2_520_000.0, "device_index": 0, "gpu_identifier": "4090",
            "verification_host": "203.0.113.10", "verification_port": 31234,
        }))
        .unwrap()
    }

    fn spec() -> &'static GpuSpec {
        find(&"4090".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_true_gpu_passes() {
        assert_eq!(spec().mismatches(&node()), []);
    }

    #[test]
    fn every_lie_is_named() {
        let mut node = node();
        node.device.name = "NVIDIA GeForce RTX 3090".into();
        node.device.memory = 12_000_000_000;
        node.device.processors = Some(82);
        node.device.clock_rate = f64::NAN;
        let found = spec().mismatches(&node);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].to_string().contains("is 3090, not 4090"));
        assert!(found[1].to_string().contains("wanted 23 to"));
    }

    #[test]
    fn the_edges_of_the_windows_are_inside() {
        let mut node = node();
        node.device.clock_rate = 2_235_000.0;
        node.device.memory = 23_000_000_000;
        assert_eq!(spec().mismatches(&node), []);
        node.device.memory = 22_999_999_999;
        assert_eq!(spec().mismatches(&node).len(), 1);
    }
}
