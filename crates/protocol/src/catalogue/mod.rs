//! The GPU catalogue: which models the network knows, what they must look like and what they earn.
//!
//! The table is the validators' own, in their order: the first row whose pattern is found in a GPU's name fixes its
//! model.

mod pattern;
mod rows;
mod selector;

use serde_json::{Value, json};

pub use pattern::Pattern;
pub use selector::NodeSelector;

use crate::ids::GpuRef;

/// Which state of the network's rules to follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Era {
    /// October 2025: GPUs prove themselves by work; 26 models.
    Graval,
    /// March 2026 and later: confidential servers; 27 models.
    #[default]
    Tee,
}

/// One model of the catalogue. `None` where the network's own table has no value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GpuSpec {
    /// Short name, see [`GpuSpec::gpu_ref`].
    pub name: &'static str,
    /// What the driver's name for the GPU must contain.
    pub pattern: Pattern,
    /// Memory in GB, as sold.
    pub memory_gb: u32,
    /// CUDA capability.
    pub capability: Option<(u32, u32)>,
    /// Streaming multiprocessors (compute units on AMD).
    pub processors: u32,
    /// Base clock in MHz.
    pub base_mhz: u32,
    /// Boost clock in MHz.
    pub boost_mhz: u32,
    /// Tensor cores.
    pub tensor_cores: Option<u32>,
    /// Threads per processor.
    pub max_threads_per_processor: u32,
    /// Whether memory corrects errors.
    pub ecc: Option<bool>,
    /// Whether it sits on an SXM board.
    pub sxm: Option<bool>,
    /// Rate in US cents an hour.
    pub hourly_cents: u32,
    /// Rounds of the GPU proof.
    pub graval_iterations: u32,
    /// Expected duration of the GPU proof in seconds.
    pub graval_estimate_s: u32,
}

/// The largest hourly rate in cents; rates divided by it are compute multipliers.
pub const PRICE_BASIS_CENTS: u32 = 450;

impl GpuSpec {
    /// The short name as an id.
    pub fn gpu_ref(&self) -> GpuRef {
        self.name.parse().expect("short names of the table are well formed")
    }

    /// Rate in US dollars an hour.
    pub fn hourly_usd(&self) -> f64 {
        f64::from(self.hourly_cents) / 100.0
    }

    /// Compute multiplier of one GPU, 1.0 for the dearest model.
    pub fn multiplier(&self) -> f64 {
        f64::from(self.hourly_cents) / f64::from(PRICE_BASIS_CENTS)
    }

    /// The row as validators publish it; a key without a value is absent.
    pub fn to_json(&self) -> Value {
        let mut row = json!({
            "model_name_check": self.pattern.to_regex(),
            "memory": self.memory_gb,
            "processors": self.processors,
            "clock_rate": { "base": self.base_mhz, "boost": self.boost_mhz },
            "max_threads_per_processor": self.max_threads_per_processor,
            "hourly_rate": self.hourly_usd(),
            "graval": { "iterations": self.graval_iterations, "estimate": self.graval_estimate_s },
        });
        let optional = [
            ("major", self.capability.map(|c| json!(c.0))),
            ("minor", self.capability.map(|c| json!(c.1))),
            ("tensor_cores", self.tensor_cores.map(|n| json!(n))),
            ("concurrent_kernels", self.capability.map(|_| json!(true))),
            ("ecc", self.ecc.map(|yes| json!(yes))),
            ("sxm", self.sxm.map(|yes| json!(yes))),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                row[key] = value;
            }
        }
        row
    }
}

/// The catalogue of an era, in the validators' order.
pub fn catalogue(era: Era) -> &'static [GpuSpec] {
    match era {
        Era::Graval => &rows::GRAVAL,
        Era::Tee => &rows::TEE,
    }
}

/// The model of a short name, in the newest catalogue.
pub fn find(gpu: &GpuRef) -> Option<&'static GpuSpec> {
    find_in(Era::Tee, gpu)
}

/// The model of a short name, in an era's catalogue.
pub fn find_in(era: Era, gpu: &GpuRef) -> Option<&'static GpuSpec> {
    catalogue(era).iter().find(|spec| spec.name == gpu.as_str())
}

/// The model of a GPU by the driver's name for it: the first row that matches, as validators decide.
pub fn identify(name: &str) -> Option<&'static GpuSpec> {
    catalogue(Era::Tee).iter().find(|spec| spec.pattern.is_in(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_names_are_identified() {
        for (name, wanted) in [
            ("NVIDIA GeForce RTX 3090", Some("3090")),
            ("NVIDIA GeForce RTX 4090", Some("4090")),
            ("NVIDIA RTX A4000", Some("a4000")),
            ("NVIDIA RTX 4000 Ada Generation", Some("a4000_ada")),
            ("NVIDIA RTX A6000", Some("a6000")),
            ("NVIDIA RTX 6000 Ada Generation", Some("a6000_ada")),
            ("NVIDIA RTX PRO 6000 Blackwell Server Edition", Some("pro_6000")),
            ("NVIDIA L4", Some("l4")),
            ("NVIDIA L40", Some("l40")),
            ("NVIDIA L40S", Some("l40s")),
            ("NVIDIA A10", Some("a10")),
            ("NVIDIA A10G", None),
            ("NVIDIA A40", Some("a40")),
            ("NVIDIA A100-PCIE-40GB", Some("a100_40gb")),
            ("NVIDIA A100-SXM4-40GB", Some("a100_40gb_sxm")),
            ("NVIDIA A100 80GB PCIe", Some("a100")),
            ("NVIDIA A100-SXM4-80GB", Some("a100_sxm")),
            ("NVIDIA H100 PCIe", Some("h100")),
            ("NVIDIA H100 NVL", Some("h100_nvl")),
            ("NVIDIA H100 80GB HBM3", Some("h100_sxm")),
            ("NVIDIA H800 PCIe", Some("h800")),
            ("NVIDIA H20", Some("h20")),
            ("NVIDIA H20-3e", None),
            ("NVIDIA H200", Some("h200")),
            ("NVIDIA B200", Some("b200")),
            ("NVIDIA B300 SXM6 AC", Some("b300")),
            ("NVIDIA GeForce GTX 1080", None),
            ("", None),
        ] {
            assert_eq!(identify(name).map(|s| s.name), wanted, "{name}");
        }
    }

    #[test]
    fn the_eras_differ_where_the_network_changed() {
        let get = |era, name: &str| find_in(era, &name.parse().unwrap());
        assert_eq!((catalogue(Era::Graval).len(), catalogue(Era::Tee).len()), (26, 27));
        assert!(get(Era::Graval, "b300").is_none());
        assert!(get(Era::Tee, "b300").is_some());
        let rate = |era| get(era, "h20").unwrap().hourly_cents;
        assert_eq!((rate(Era::Graval), rate(Era::Tee)), (60, 120));
        let estimate = |era| get(era, "pro_6000").unwrap().graval_estimate_s;
        assert_eq!((estimate(Era::Graval), estimate(Era::Tee)), (103, 167));
    }

    #[test]
    fn multipliers_follow_the_dearest_rate() {
        for era in [Era::Graval, Era::Tee] {
            let dearest = catalogue(era).iter().map(|s| s.hourly_cents).max();
            assert_eq!(dearest, Some(PRICE_BASIS_CENTS));
        }
        let multiplier = |name: &str| find(&name.parse().unwrap()).unwrap().multiplier();
        assert!((multiplier("h200") - 0.6111).abs() < 1e-4);
        assert!((multiplier("a4000") - 0.0444).abs() < 1e-4);
    }

    #[test]
    fn every_row_is_found_by_its_own_name_once() {
        for spec in catalogue(Era::Tee) {
            assert_eq!(find(&spec.gpu_ref()), Some(spec));
            assert_eq!(catalogue(Era::Tee).iter().filter(|s| s.name == spec.name).count(), 1);
        }
    }

    #[test]
    fn a_published_row_leaves_out_what_has_no_value() {
        let row = find(&"b200".parse().unwrap()).unwrap().to_json();
        assert_eq!(row["memory"], 192);
        assert_eq!(row["model_name_check"], " B200");
        assert!(row.get("major").is_none() && row.get("ecc").is_none());
        let row = find(&"l4".parse().unwrap()).unwrap().to_json();
        assert_eq!((row["model_name_check"].as_str(), row["major"].as_u64()), (Some("L4(?!0)"), Some(8)));
    }

    proptest::proptest! {
        #[test]
        fn identifying_never_panics(name in ".*") {
            let _ = identify(&name);
        }
    }
}
