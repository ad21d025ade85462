//! Which GPUs a chute accepts.

use serde::{Deserialize, Serialize};

use super::{Era, GpuSpec, catalogue};
use crate::ids::GpuRef;

/// Without an explicit choice, models dearer than this many times the cheapest one left are dropped.
const MAX_PRICE_RATIO_TENTHS: u32 = 25;

/// A chute's wishes for its GPUs. All GPUs of one instance are of one model, on one server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct NodeSelector {
    /// Exact number of GPUs of one instance, 1 to 8.
    pub gpu_count: u32,
    /// Least memory of one GPU, in GB as sold.
    pub min_vram_gb_per_gpu: u32,
    /// Only these models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<GpuRef>>,
    /// Not these models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Vec<GpuRef>>,
    /// No model dearer than this, in US dollars an hour (2026).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_hourly_price_per_gpu: Option<f64>,
    /// The validator's own sum, added to what it sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compute_multiplier: Option<f64>,
    /// The validator's own answer, added to what it sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supported_gpus: Option<Vec<GpuRef>>,
}

impl Default for NodeSelector {
    fn default() -> Self {
        Self {
            gpu_count: 1,
            min_vram_gb_per_gpu: 16,
            include: None,
            exclude: None,
            max_hourly_price_per_gpu: None,
            compute_multiplier: None,
            supported_gpus: None,
        }
    }
}

impl NodeSelector {
    /// The models that suit, in the catalogue's order, by the era's rules. Does not look at what the validator sent as
    /// `supported_gpus`.
    pub fn supported(&self, era: Era) -> Vec<GpuRef> {
        let include = self.include.as_deref().unwrap_or_default();
        let exclude = self.exclude.as_deref().unwrap_or_default();
        let names = |list: &[GpuRef], spec: &GpuSpec| list.iter().any(|gpu| gpu.as_str() == spec.name);
        let mut left: Vec<&GpuSpec> = catalogue(era)
            .iter()
            .filter(|spec| include.is_empty() || names(include, spec))
            .filter(|spec| !names(exclude, spec))
            .filter(|spec| spec.memory_gb >= self.min_vram_gb_per_gpu)
            .collect();
        if era == Era::Tee {
            left = self.rules_of_2026(left, include.is_empty());
        }
        left.into_iter().map(GpuSpec::gpu_ref).collect()
    }

    fn rules_of_2026<'a>(&self, mut left: Vec<&'a GpuSpec>, free_choice: bool) -> Vec<&'a GpuSpec> {
        if let Some(limit) = self.max_hourly_price_per_gpu {
            left.retain(|spec| spec.hourly_usd() <= limit);
        }
        if free_choice && let Some(cheapest) = left.iter().map(|spec| spec.hourly_cents).min() {
            let limit_tenths = cheapest * MAX_PRICE_RATIO_TENTHS;
            left.retain(|spec| spec.hourly_cents * 10 <= limit_tenths || spec.name == "pro_6000");
        }
        if left.iter().any(|spec| spec.name != "mi300x") {
            left.retain(|spec| spec.name != "mi300x");
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supported(selector: serde_json::Value, era: Era) -> Vec<String> {
        let selector: NodeSelector = serde_json::from_value(selector).unwrap();
        selector.supported(era).into_iter().map(String::from).collect()
    }

    #[test]
    fn an_empty_selector_is_one_gpu_of_sixteen_gb() {
        let selector: NodeSelector = serde_json::from_str("{}").unwrap();
        assert_eq!(selector, NodeSelector::default());
        assert_eq!(selector.supported(Era::Graval).len(), 26);
    }

    #[test]
    fn include_exclude_and_memory_narrow_the_choice() {
        let selector = serde_json::json!({ "include": ["h100", "h200", "4090", "unheard_of"], "exclude": ["h100"],
            "min_vram_gb_per_gpu": 80 });
        assert_eq!(supported(selector, Era::Graval), ["h200"]);
        assert_eq!(supported(serde_json::json!({ "include": [], "min_vram_gb_per_gpu": 192 }), Era::Graval), ["mi300x", "b200"]);
    }

    #[test]
    fn dear_models_drop_out_of_a_free_choice_in_2026() {
        let gpus = supported(serde_json::json!({ "min_vram_gb_per_gpu": 80 }), Era::Tee);
        // The cheapest of 80 GB is a100 or h20 at 1.20, so up to 3.00 remains.
        assert!(gpus.contains(&"h200".into()) && gpus.contains(&"pro_6000".into()), "{gpus:?}");
        assert!(!gpus.contains(&"b200".into()) && !gpus.contains(&"mi300x".into()), "{gpus:?}");
        let cheap = supported(serde_json::json!({}), Era::Tee);
        assert!(cheap.contains(&"pro_6000".into()), "named as an exception: {cheap:?}");
        assert!(!cheap.contains(&"l40".into()), "{cheap:?}");
    }

    #[test]
    fn a_named_choice_keeps_dear_models() {
        let selector = serde_json::json!({ "include": ["4090", "b200", "mi300x"] });
        assert_eq!(supported(selector, Era::Tee), ["4090", "b200"]);
        assert_eq!(supported(serde_json::json!({ "include": ["mi300x"] }), Era::Tee), ["mi300x"]);
    }

    #[test]
    fn the_price_limit_counts_in_2026_only() {
        let selector = serde_json::json!({ "include": ["4090", "b200"], "max_hourly_price_per_gpu": 0.4 });
        assert_eq!(supported(selector.clone(), Era::Tee), ["4090"]);
        assert_eq!(supported(selector, Era::Graval), ["4090", "b200"]);
    }
}
