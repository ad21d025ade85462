//! Instances, rows of the stream `/miner/instances/`.

use serde::{Deserialize, Serialize};

use super::{lenient, null_is_default};
use crate::ids::{ChuteId, ChuteVersion, ConfigId, InstanceId, Ss58};
use crate::time::WireTime;

/// A running copy of a chute as the validator has it. Who it is and whether it runs must be readable, or the row counts as
/// unreadable; all else may be missing or odd. The validator's symmetric key of older eras is never read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceRow {
    /// Its id.
    pub instance_id: InstanceId,
    /// Its chute.
    pub chute_id: ChuteId,
    /// Its chute's version.
    #[serde(default, deserialize_with = "lenient")]
    pub version: Option<ChuteVersion>,
    /// The launch config it was claimed with: the link to our deployment.
    #[serde(default)]
    pub config_id: Option<ConfigId>,
    /// Owner.
    #[serde(default, deserialize_with = "lenient")]
    pub miner_hotkey: Option<Ss58>,
    /// Whether its proof was accepted.
    #[serde(default, deserialize_with = "null_is_default")]
    pub verified: bool,
    /// Whether it takes requests, and is paid.
    #[serde(default, deserialize_with = "null_is_default")]
    pub active: bool,
    /// Why its proof was refused.
    #[serde(default, deserialize_with = "lenient")]
    pub verification_error: Option<String>,
    /// Failed requests in a row.
    #[serde(default, deserialize_with = "lenient")]
    pub consecutive_failures: Option<u32>,
    /// Address, in older eras.
    #[serde(default, deserialize_with = "lenient")]
    pub host: Option<String>,
    /// Port, in older eras.
    #[serde(default, deserialize_with = "lenient")]
    pub port: Option<u16>,
    /// Its multiplier.
    #[serde(default, deserialize_with = "lenient")]
    pub compute_multiplier: Option<f64>,
    /// Its rate in US dollars an hour.
    #[serde(default, deserialize_with = "lenient")]
    pub hourly_rate: Option<f64>,
    /// Version of its library.
    #[serde(default, deserialize_with = "lenient")]
    pub chutes_version: Option<String>,
    /// When it was claimed.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<WireTime>,
    /// When its proof was last accepted.
    #[serde(default, deserialize_with = "lenient")]
    pub last_verified_at: Option<WireTime>,
    /// When it became active: paid from here on.
    #[serde(default, deserialize_with = "lenient")]
    pub activated_at: Option<WireTime>,
    /// When it was last called.
    #[serde(default, deserialize_with = "lenient")]
    pub last_queried_at: Option<WireTime>,
    /// When its owner stops paying.
    #[serde(default, deserialize_with = "lenient")]
    pub stop_billing_at: Option<WireTime>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_odd_value_in_a_field_that_decides_nothing_costs_only_that_field() {
        let row: InstanceRow = serde_json::from_value(json!({
            "instance_id": "i", "chute_id": "c", "config_id": "cfg", "active": true, "verified": true,
            "version": 7, "miner_hotkey": "nobody", "verification_error": {"why": 1}, "consecutive_failures": -1, "host": 5,
            "port": 70000, "compute_multiplier": "much", "hourly_rate": [], "chutes_version": 1, "created_at": "yesterday",
            "last_verified_at": 3, "activated_at": "2026-01-02T03:04:05", "last_queried_at": "", "stop_billing_at": false,
        }))
        .unwrap();
        assert!(row.active && row.verified && row.config_id.is_some());
        assert_eq!((row.port, row.created_at, row.compute_multiplier), (None, None, None));
        assert!(row.activated_at.is_some());
    }

    #[test]
    fn a_row_whose_identity_or_state_is_odd_is_no_row() {
        let good = json!({"instance_id": "i", "chute_id": "c", "config_id": "cfg", "active": true, "verified": true});
        assert!(serde_json::from_value::<InstanceRow>(good.clone()).is_ok());
        for (field, odd) in [
            ("instance_id", json!(1)),
            ("chute_id", json!(null)),
            ("config_id", json!(5)),
            ("active", json!("yes")),
            ("verified", json!(2)),
        ] {
            let mut row = good.clone();
            row[field] = odd;
            assert!(serde_json::from_value::<InstanceRow>(row).is_err(), "{field}");
        }
    }
}
