//! How many copies of each chute the validator wants (`GET /chutes/utilization`, public).

use serde::{Deserialize, Deserializer, Serialize};

use crate::ids::ChuteId;

/// Demand of one chute. Loads, rates and counters of its requests are left out.
///
/// The counts behind it are the validator's own at the moment of the answer, its target too. Validators of 2025 compare all
/// instances with the target and say `update_in_progress`; those of 2026 compare the active ones and do not have that field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UtilizationRow {
    /// The chute.
    pub chute_id: ChuteId,
    /// Whether there are fewer instances than the target.
    #[serde(default)]
    pub scalable: Option<bool>,
    /// How many instances are missing to the target, never less than 0.
    #[serde(default, deserialize_with = "whole")]
    pub scale_allowance: Option<u32>,
    /// Whether the chute is being moved to another version (2025).
    #[serde(default)]
    pub update_in_progress: Option<bool>,
}

impl UtilizationRow {
    /// How many more instances the validator takes; nothing if it does not say. Of two words the lesser one counts.
    #[must_use]
    pub fn allowance(&self) -> Option<u32> {
        let none = self.scalable == Some(false) || self.update_in_progress == Some(true);
        if none { Some(0) } else { self.scale_allowance }
    }

    /// Whether instances that are claimed and not yet active are among those that the allowance has counted.
    #[must_use]
    pub fn counts_pending(&self) -> bool {
        self.update_in_progress.is_some()
    }
}

/// Validators compute it in Python, where a whole number may come as `3.0`; below 0 is none, a fraction is no instance.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let number = Option::<f64>::deserialize(deserializer)?;
    // The cast saturates at both ends.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what is wanted here")]
    Ok(number.map(|number| number.floor() as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(fields: serde_json::Value) -> Result<UtilizationRow, serde_json::Error> {
        let mut row = json!({ "chute_id": "c", "name": "n", "utilization_1h": 0.4, "timestamp": "2026-02-23T10:30:00Z" });
        row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(row)
    }

    fn allowance(fields: serde_json::Value) -> Option<u32> {
        row(fields).unwrap().allowance()
    }

    #[test]
    fn the_lesser_word_counts_and_silence_is_no_number() {
        assert_eq!(allowance(json!({ "scalable": true, "scale_allowance": 3 })), Some(3));
        assert_eq!(allowance(json!({ "scalable": false, "scale_allowance": 3 })), Some(0));
        assert_eq!(allowance(json!({ "scalable": true, "scale_allowance": 3, "update_in_progress": true })), Some(0));
        assert_eq!(allowance(json!({ "scalable": false })), Some(0));
        assert_eq!(allowance(json!({ "scalable": true })), None);
        assert_eq!(allowance(json!({ "scalable": null, "scale_allowance": null })), None);
        assert_eq!(allowance(json!({})), None);
    }

    #[test]
    fn any_number_is_taken_for_the_whole_one_in_it_and_nothing_else_is() {
        for (told, meant) in [(json!(4.0), 4), (json!(3.9), 3), (json!(-2), 0), (json!(1e300), u32::MAX)] {
            assert_eq!(allowance(json!({ "scale_allowance": told })), Some(meant));
        }
        for told in [json!("4"), json!([4]), json!(true)] {
            assert!(row(json!({ "scale_allowance": told })).is_err());
        }
        assert!(row(json!({ "scalable": 1 })).is_err());
    }

    #[test]
    fn the_eras_differ_in_whom_they_count() {
        assert!(row(json!({ "update_in_progress": false })).unwrap().counts_pending());
        assert!(!row(json!({ "effective_multiplier": 1.0 })).unwrap().counts_pending());
    }
}
