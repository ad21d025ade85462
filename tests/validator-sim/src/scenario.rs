//! The scenario file: who is registered and which chutes exist at start, and the same shapes for the
//! admin API. Unknown keys are refused, a misspelt one would silently test nothing.

use serde::{Deserialize, Serialize};

use crate::Profile;

/// A scenario file, YAML.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Overrides the era given on the command line.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// Hotkeys registered on the subnet, ss58.
    #[serde(default)]
    pub miners: Vec<String>,
    /// Overrides the time an advertised GPU stays pending.
    #[serde(default)]
    pub node_verify_seconds: Option<f64>,
    /// Chutes that exist at start.
    #[serde(default)]
    pub chutes: Vec<ChuteSpec>,
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// Text with the place of the first mistake.
    pub fn parse(yaml: &str) -> Result<Self, String> {
        serde_saphyr::from_str(yaml).map_err(|why| format!("scenario: {why}"))
    }
}

/// Which GPUs a chute wants: validator-protocol 6.2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selector {
    /// Exact number of GPUs of an instance, 1 to 8.
    pub gpu_count: u32,
    /// Least memory of each, in GB of the catalogue.
    pub min_vram_gb_per_gpu: u32,
    /// Only these short references.
    pub include: Option<Vec<String>>,
    /// None of these short references.
    pub exclude: Option<Vec<String>>,
    /// Dearest GPU allowed, in dollars an hour (2026).
    pub max_hourly_price_per_gpu: Option<f64>,
}

impl Default for Selector {
    fn default() -> Self {
        Self { gpu_count: 1, min_vram_gb_per_gpu: 16, include: None, exclude: None, max_hourly_price_per_gpu: None }
    }
}

/// A chute to create.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChuteSpec {
    /// Name, unique for its owner.
    pub name: String,
    /// Owner's name.
    pub username: String,
    /// GPUs wanted.
    pub selector: Selector,
    /// Version of the library inside, which gates features.
    pub chutes_version: String,
    /// Scale target of the autoscaler.
    pub target: u32,
    /// Public, or private with a paying owner.
    pub public: bool,
    /// For confidential machines only.
    pub tee: bool,
    /// Image as `name:tag`; the owner's name goes before it.
    pub image: String,
    /// `module:variable`.
    pub ref_str: String,
    /// Parallel requests.
    pub concurrency: u32,
    /// Autoscaler urgency.
    pub boost: Option<f64>,
}

impl Default for ChuteSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            username: "tester".to_owned(),
            selector: Selector::default(),
            chutes_version: "0.3.20".to_owned(),
            target: 1,
            public: true,
            tee: false,
            image: "fake-chute:1".to_owned(),
            ref_str: "chute:chute".to_owned(),
            concurrency: 1,
            boost: None,
        }
    }
}

impl ChuteSpec {
    /// A public chute of this name with everything else at its default.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// What of a chute to change; absent means as it was.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChutePatch {
    /// New scale target. Alone it makes no new version and no event.
    pub target: Option<u32>,
    /// New urgency. Alone it makes no new version and no event.
    pub boost: Option<f64>,
    /// New selector.
    pub selector: Option<Selector>,
    /// New library version.
    pub chutes_version: Option<String>,
    /// New image, as `name:tag`.
    pub image: Option<String>,
    /// Public or not.
    pub public: Option<bool>,
    /// Confidential or not.
    pub tee: Option<bool>,
    /// Make a new version even if nothing else changes, as new code does.
    pub new_version: bool,
    /// Ask every miner to replace its instances of the old version.
    pub rolling_update: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_reads_with_defaults() {
        let text = "miners: [abc]\nnode_verify_seconds: 0.5\nchutes:\n  - {name: small, selector: {gpu_count: 2, include: [h100_sxm]}, target: 3}\n";
        let scenario = Scenario::parse(text).expect("good");
        assert_eq!(scenario.chutes[0].selector.gpu_count, 2);
        assert_eq!(scenario.chutes[0].selector.min_vram_gb_per_gpu, 16);
        assert_eq!(scenario.chutes[0].target, 3);
        assert!(scenario.chutes[0].public && !scenario.chutes[0].tee);
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let why = Scenario::parse("chutes: [{name: a, targets: 3}]").expect_err("misspelt");
        assert!(why.contains("targets"), "{why}");
    }
}
