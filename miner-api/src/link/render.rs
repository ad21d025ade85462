//! A validator's row made into a Chute's spec. Pure.

use crd::{ChuteSpec, chute::Listing};
use protocol::{catalogue::Era, dto::ChuteRow, ids::Ss58};

/// Longest texts the resource takes, in characters.
const NAME: usize = 256;

/// The spec, or why nothing can be made of the row. Such a chute is still listed.
///
/// # Errors
/// What is missing, for the log.
pub(super) fn spec(row: &ChuteRow, validator: &Ss58) -> Result<ChuteSpec, String> {
    let image = row.image.as_deref().filter(|image| !image.is_empty() && image.len() <= 512).ok_or("it names no usable image")?;
    let gpu_count =
        u8::try_from(row.node_selector.gpu_count).ok().filter(|count| (1..=8).contains(count)).ok_or("it wants other than 1 to 8 GPUs")?;
    let ref_str = row.ref_str.as_deref().unwrap_or_default();
    if ref_str.len() > NAME {
        return Err("its ref_str is too long".to_owned());
    }
    // The validator sends a set in any order: without sorting every list would look like a change.
    let mut supported_gpus = row.supported_gpus(Era::default());
    supported_gpus.sort();
    supported_gpus.dedup();
    supported_gpus.truncate(64);
    Ok(ChuteSpec {
        validator: validator.clone(),
        chute_id: row.chute_id.clone(),
        version: row.version.clone(),
        name: row.name.chars().take(NAME).collect(),
        image: image.to_owned(),
        ref_str: ref_str.to_owned(),
        chutes_version: row.chutes_version.clone().filter(|version| !version.is_empty() && version.len() <= 64),
        gpu_count,
        supported_gpus,
        tee: row.tee,
        public: row.public,
        disk_gib: None,
        listing: Listing::Listed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(extra: serde_json::Value) -> ChuteRow {
        let mut row = json!({ "chute_id": "c1", "version": "v1", "name": "a/b", "image": "u/i:1", "ref_str": "m:v", "public": true,
            "node_selector": { "gpu_count": 2 }, "supported_gpus": ["h200", "a100", "h200"] });
        row.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value(row).unwrap()
    }

    fn render(extra: serde_json::Value) -> Result<ChuteSpec, String> {
        spec(&row(extra), &"5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj".parse().unwrap())
    }

    #[test]
    fn the_order_in_which_gpus_are_listed_makes_no_difference() {
        assert_eq!(render(json!({})), render(json!({ "supported_gpus": ["a100", "h200"] })));
        // What changes every minute is not in the spec at all.
        assert_eq!(render(json!({})), render(json!({ "bounty": 7, "effective_compute_multiplier": 3.5, "boost": 2.0 })));
    }

    #[test]
    fn a_row_that_no_pod_can_be_made_of_is_refused_with_the_reason() {
        assert!(render(json!({ "image": null })).unwrap_err().contains("image"));
        assert!(render(json!({ "node_selector": { "gpu_count": 16 } })).unwrap_err().contains("GPUs"));
        assert!(render(json!({ "node_selector": { "gpu_count": 0 } })).is_err());
    }
}
