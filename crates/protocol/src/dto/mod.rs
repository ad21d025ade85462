//! Messages of a validator's HTTP API. Unknown fields are ignored; what some era leaves out is optional.

use serde::Deserialize;

mod chute;
mod instance;
mod job;
mod launch;
mod listing;
mod node;
mod pod;
mod utilization;

pub use chute::{ChuteRow, ImageRow};
pub use instance::InstanceRow;
pub use job::{JobPort, JobRow, JobSpec};
pub use launch::{LaunchConfig, LaunchToken, TokenClaims};
pub use listing::{ActiveInstance, InventoryRow, MinerServer, MinerServerGpu, SupportedGpu, Verification, VerificationStatus};
pub use node::NodeRow;
pub use pod::{Activated, ClaimBody, ClaimReply, PortMapping, Proof, SymmetricKey, TeeClaimReply, VerifyBody, VerifyReply};
pub use utilization::UtilizationRow;

/// Fields that validators sometimes send as `null` and sometimes leave out mean the same.
pub(crate) fn null_is_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + serde::Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A field that is only shown or counted: what cannot be read of it is as if it were absent, so that it costs nobody the row.
pub(crate) fn lenient<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: serde::de::DeserializeOwned,
    D: serde::Deserializer<'de>,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).ok())
}
