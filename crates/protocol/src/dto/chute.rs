//! Chutes and images, rows of the streams `/miner/chutes/` and `/miner/images/`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{JobSpec, null_is_default};
use crate::catalogue::{Era, NodeSelector};
use crate::ids::{ChuteId, ChuteVersion, GpuRef, ImageId};
use crate::time::WireTime;

/// A chute as a miner sees it. What people see only (read-me, logo, code) is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChuteRow {
    /// Its id.
    pub chute_id: ChuteId,
    /// Changes with image or code.
    pub version: ChuteVersion,
    /// Display name, path-like.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// Owner.
    #[serde(default)]
    pub user_id: Option<String>,
    /// Name in URLs.
    #[serde(default)]
    pub slug: Option<String>,
    /// Image id.
    #[serde(default)]
    pub image_id: Option<ImageId>,
    /// What to pull: `user/name:tag` and perhaps a patch suffix, without a registry.
    #[serde(default)]
    pub image: Option<String>,
    /// Whether everybody may call it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub public: bool,
    /// A hint: `vllm`, `diffusion`, `tei`, `embedding`.
    #[serde(default)]
    pub standard_template: Option<String>,
    /// Its HTTP methods, untouched.
    #[serde(default, deserialize_with = "null_is_default")]
    pub cords: Vec<Value>,
    /// Its job methods.
    #[serde(default, deserialize_with = "null_is_default")]
    pub jobs: Vec<JobSpec>,
    /// Which GPUs it wants.
    #[serde(default, deserialize_with = "null_is_default")]
    pub node_selector: NodeSelector,
    /// Which GPUs suit, says the validator.
    #[serde(default)]
    pub supported_gpus: Option<Vec<GpuRef>>,
    /// Source code; a placeholder since library 0.3.61, absent since 2026.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Name of the source file.
    #[serde(default)]
    pub filename: Option<String>,
    /// `module:variable` in the source.
    #[serde(default)]
    pub ref_str: Option<String>,
    /// Version of the library in the image.
    #[serde(default)]
    pub chutes_version: Option<String>,
    /// Parallel requests.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// Urgency of the autoscaler.
    #[serde(default)]
    pub boost: Option<f64>,
    /// Model revision.
    #[serde(default)]
    pub revision: Option<String>,
    /// Most instances, for private chutes.
    #[serde(default)]
    pub max_instances: Option<u32>,
    /// Idle time after which a private chute is stopped.
    #[serde(default)]
    pub shutdown_after_seconds: Option<u64>,
    /// Whether an instance may be stopped in favour of another chute.
    #[serde(default)]
    pub preemptible: Option<bool>,
    /// Runs on confidential servers only.
    #[serde(default, deserialize_with = "null_is_default")]
    pub tee: bool,
    /// Whether it may reach the internet.
    #[serde(default)]
    pub allow_external_egress: Option<bool>,
    /// Whether its file system is encrypted.
    #[serde(default)]
    pub encrypted_fs: Option<bool>,
    /// Whether its Python modules are locked.
    #[serde(default)]
    pub lock_modules: Option<bool>,
    /// Switched off by the validator.
    #[serde(default, deserialize_with = "null_is_default")]
    pub disabled: bool,
    /// Expected multiplier of an instance just now.
    #[serde(default)]
    pub effective_compute_multiplier: Option<f64>,
    /// What that multiplier is made of.
    #[serde(default)]
    pub compute_multiplier_factors: Option<Value>,
    /// Open bounty.
    #[serde(default)]
    pub bounty: Option<f64>,
    /// When it was created.
    #[serde(default)]
    pub created_at: Option<WireTime>,
    /// When it was changed.
    #[serde(default)]
    pub updated_at: Option<WireTime>,
}

impl ChuteRow {
    /// The models that suit: what the validator says, or what the rules of the era give where it says nothing.
    pub fn supported_gpus(&self, era: Era) -> Vec<GpuRef> {
        let said = self.supported_gpus.as_ref().or(self.node_selector.supported_gpus.as_ref());
        said.cloned().unwrap_or_else(|| self.node_selector.supported(era))
    }
}

/// A container image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageRow {
    /// Its id.
    pub image_id: ImageId,
    /// Name; small letters only since 2026.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// Tag; small letters only since 2026.
    #[serde(default, deserialize_with = "null_is_default")]
    pub tag: String,
    /// Owner's name.
    #[serde(default)]
    pub username: Option<String>,
    /// `pending build`, `building`, `built and pushed`, `error`, `error: ...`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub status: String,
    /// Whether everybody may use it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub public: bool,
    /// Version of the library in it.
    #[serde(default)]
    pub chutes_version: Option<String>,
    /// Suffix of a patched build.
    #[serde(default)]
    pub patch_version: Option<String>,
    /// When it was created.
    #[serde(default)]
    pub created_at: Option<WireTime>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_row_is_enough() {
        let row: ChuteRow = serde_json::from_str(r#"{"chute_id":"c1","version":"v1"}"#).unwrap();
        assert_eq!(row.node_selector, NodeSelector::default());
        assert!(!row.tee && row.jobs.is_empty());
    }

    #[test]
    fn nulls_and_unknown_fields_do_no_harm() {
        let row: ChuteRow = serde_json::from_value(serde_json::json!({
            "chute_id": "c1", "version": "v1", "name": null, "jobs": null, "cords": null, "tee": null,
            "disabled": null, "node_selector": { "gpu_count": 8, "include": null, "dynamic": false }, "news": [1],
            "bounty": null, "openrouter": true, "created_at": "2026-11-20T23:52:07.859741+00:00",
        }))
        .unwrap();
        assert_eq!(row.node_selector.gpu_count, 8);
        assert!(row.created_at.is_some());
    }

    #[test]
    fn the_validators_own_answer_on_gpus_wins() {
        let row: ChuteRow = serde_json::from_value(serde_json::json!({
            "chute_id": "c1", "version": "v1", "supported_gpus": ["h200", "not_known_yet"],
        }))
        .unwrap();
        let gpus: Vec<String> = row.supported_gpus(Era::Tee).into_iter().map(String::from).collect();
        assert_eq!(gpus, ["h200", "not_known_yet"]);
    }
}
