//! What a validator broadcasts to miners on the socket. Events are hints: they can be lost, doubled, or early.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dto::null_is_default;
use crate::ids::{ChuteId, ChuteVersion, ConfigId, GpuUuid, ImageId, InstanceId, JobId, Ss58};

/// The payload of a `miner_broadcast`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Broadcast {
    /// What happened.
    pub reason: String,
    /// To what.
    #[serde(default)]
    pub data: Value,
    /// Words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Hotkeys it was meant for; everybody's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_recipients: Option<Vec<String>>,
}

/// A broadcast, understood.
#[derive(Debug, Clone, PartialEq)]
pub enum MinerEvent {
    /// A GPU passed its proof.
    GpuVerified(GpuVerified),
    /// A pod claimed its launch config.
    InstanceCreated(InstanceEvent),
    /// An instance passed its proof. Names neither chute nor launch config.
    InstanceVerified(InstanceEvent),
    /// An instance takes requests.
    InstanceActivated(InstanceEvent),
    /// An instance is gone.
    InstanceDeleted(InstanceEvent),
    /// An instance takes no more requests, but is still there (2026).
    InstanceDisabled(InstanceEvent),
    /// An instance must be replaced by one of a newer version.
    RollingUpdate(RollingUpdate),
    /// A chute is new.
    ChuteCreated(ChuteEvent),
    /// A chute has a new version.
    ChuteUpdated(ChuteEvent),
    /// A chute is gone.
    ChuteDeleted(ChuteEvent),
    /// An image is new.
    ImageCreated(ImageEvent),
    /// An image was rebuilt.
    ImageUpdated(ImageEvent),
    /// An image is gone.
    ImageDeleted(ImageEvent),
    /// A chute's bounty changed.
    BountyChange(BountyChange),
    /// A job is to be had.
    JobCreated(JobCreated),
    /// A job was called off.
    JobDeleted(JobDeleted),
    /// A reason this build does not know, or data it cannot read: still a sign that something changed.
    Unknown {
        /// The reason.
        reason: String,
        /// The data as it came.
        data: Value,
    },
}

/// Data of [`MinerEvent::GpuVerified`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuVerified {
    /// The GPU.
    pub gpu_id: GpuUuid,
    /// Its owner.
    #[serde(default)]
    pub miner_hotkey: Option<Ss58>,
}

/// Data of the events about one instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceEvent {
    /// The instance.
    pub instance_id: InstanceId,
    /// Its chute.
    #[serde(default)]
    pub chute_id: Option<ChuteId>,
    /// Its launch config.
    #[serde(default)]
    pub config_id: Option<ConfigId>,
    /// Its owner.
    #[serde(default)]
    pub miner_hotkey: Option<Ss58>,
    /// Number of its GPUs.
    #[serde(default)]
    pub gpu_count: Option<u32>,
    /// Model of its GPUs, the driver's name.
    #[serde(default)]
    pub gpu_model_name: Option<String>,
}

/// Data of [`MinerEvent::RollingUpdate`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RollingUpdate {
    /// The chute.
    pub chute_id: ChuteId,
    /// The instance to replace.
    pub instance_id: InstanceId,
    /// Its owner.
    #[serde(default)]
    pub miner_hotkey: Option<Ss58>,
    /// The version it runs.
    #[serde(default)]
    pub old_version: Option<ChuteVersion>,
    /// The version wanted.
    #[serde(default)]
    pub new_version: Option<ChuteVersion>,
    /// Words for people.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Data of the events about a chute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChuteEvent {
    /// The chute.
    pub chute_id: ChuteId,
    /// Its version.
    #[serde(default)]
    pub version: Option<ChuteVersion>,
    /// Whether it has job methods only.
    #[serde(default, deserialize_with = "null_is_default")]
    pub job_only: bool,
}

/// Data of the events about an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageEvent {
    /// The image.
    pub image_id: ImageId,
    /// Its name in the registry.
    #[serde(default)]
    pub image: Option<String>,
    /// `name:tag` of it.
    #[serde(default)]
    pub short_tag: Option<String>,
    /// Suffix of a patched build.
    #[serde(default)]
    pub patch_version: Option<String>,
    /// Version of the library in it.
    #[serde(default)]
    pub chutes_version: Option<String>,
    /// Chutes that use it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub chute_ids: Vec<ChuteId>,
}

/// Data of [`MinerEvent::BountyChange`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BountyChange {
    /// The chute.
    pub chute_id: ChuteId,
    /// Its bounty now.
    #[serde(default)]
    pub bounty: Option<f64>,
    /// Multiplier an instance would have now.
    #[serde(default)]
    pub effective_multiplier: Option<f64>,
    /// Factor the bounty adds.
    #[serde(default)]
    pub bounty_boost: Option<f64>,
    /// `cold`, `scaling` or `critical`.
    #[serde(default)]
    pub urgency: Option<String>,
}

/// Data of [`MinerEvent::JobCreated`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobCreated {
    /// The job.
    pub job_id: JobId,
    /// Its chute.
    pub chute_id: ChuteId,
    /// Job method.
    #[serde(default)]
    pub method: Option<String>,
    /// Its image.
    #[serde(default)]
    pub image_id: Option<ImageId>,
    /// Number of GPUs it wants.
    #[serde(default)]
    pub gpu_count: Option<u32>,
    /// Its multiplier.
    #[serde(default)]
    pub compute_multiplier: Option<f64>,
    /// Hotkeys that need not try. The existing miner looks for `excluded`; validators send `exclude`.
    #[serde(default, alias = "excluded", deserialize_with = "null_is_default")]
    pub exclude: Vec<String>,
    /// Disk it needs in GB; absent when a job is offered again.
    #[serde(default)]
    pub disk_gb: Option<u32>,
}

/// Data of [`MinerEvent::JobDeleted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobDeleted {
    /// The job.
    pub job_id: JobId,
    /// Its instance.
    #[serde(default)]
    pub instance_id: Option<InstanceId>,
}

impl MinerEvent {
    /// Understands a broadcast; never fails.
    pub fn from_broadcast(broadcast: Broadcast) -> Self {
        let Broadcast { reason, data, .. } = broadcast;
        Self::decode(&reason, &data).unwrap_or(Self::Unknown { reason, data })
    }

    /// Understands the payload of a `miner_broadcast` event; never fails. A payload that is no broadcast at all is
    /// unknown, with an empty reason.
    pub fn parse(payload: Value) -> Self {
        match Broadcast::deserialize(&payload) {
            Ok(broadcast) => Self::from_broadcast(broadcast),
            Err(_) => Self::Unknown { reason: String::new(), data: payload },
        }
    }

    fn decode(reason: &str, data: &Value) -> Option<Self> {
        fn read<'de, T: Deserialize<'de>>(data: &'de Value) -> Option<T> {
            T::deserialize(data).ok()
        }
        Some(match reason {
            "gpu_verified" => Self::GpuVerified(read(data)?),
            "instance_created" => Self::InstanceCreated(read(data)?),
            "instance_verified" => Self::InstanceVerified(read(data)?),
            "instance_activated" => Self::InstanceActivated(read(data)?),
            "instance_deleted" => Self::InstanceDeleted(read(data)?),
            "instance_disabled" => Self::InstanceDisabled(read(data)?),
            "rolling_update" => Self::RollingUpdate(read(data)?),
            "chute_created" => Self::ChuteCreated(read(data)?),
            "chute_updated" => Self::ChuteUpdated(read(data)?),
            "chute_deleted" => Self::ChuteDeleted(read(data)?),
            "image_created" => Self::ImageCreated(read(data)?),
            "image_updated" => Self::ImageUpdated(read(data)?),
            "image_deleted" => Self::ImageDeleted(read(data)?),
            "bounty_change" => Self::BountyChange(read(data)?),
            "job_created" => Self::JobCreated(read(data)?),
            "job_deleted" => Self::JobDeleted(read(data)?),
            _ => return None,
        })
    }

    /// The reason as the validator spells it.
    pub fn reason(&self) -> &str {
        match self {
            Self::GpuVerified(_) => "gpu_verified",
            Self::InstanceCreated(_) => "instance_created",
            Self::InstanceVerified(_) => "instance_verified",
            Self::InstanceActivated(_) => "instance_activated",
            Self::InstanceDeleted(_) => "instance_deleted",
            Self::InstanceDisabled(_) => "instance_disabled",
            Self::RollingUpdate(_) => "rolling_update",
            Self::ChuteCreated(_) => "chute_created",
            Self::ChuteUpdated(_) => "chute_updated",
            Self::ChuteDeleted(_) => "chute_deleted",
            Self::ImageCreated(_) => "image_created",
            Self::ImageUpdated(_) => "image_updated",
            Self::ImageDeleted(_) => "image_deleted",
            Self::BountyChange(_) => "bounty_change",
            Self::JobCreated(_) => "job_created",
            Self::JobDeleted(_) => "job_deleted",
            Self::Unknown { reason, .. } => reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_reason_is_read_and_names_itself() {
        let data = json!({
            "gpu_id": "0123456789abcdef0123456789abcdef", "instance_id": "i1", "chute_id": "c1", "image_id": "m1",
            "job_id": "j1", "config_id": null, "extra": {},
        });
        for reason in [
            "gpu_verified",
            "instance_created",
            "instance_verified",
            "instance_activated",
            "instance_deleted",
            "instance_disabled",
            "rolling_update",
            "chute_created",
            "chute_updated",
            "chute_deleted",
            "image_created",
            "image_updated",
            "image_deleted",
            "bounty_change",
            "job_created",
            "job_deleted",
        ] {
            let event = MinerEvent::parse(json!({ "reason": reason, "data": data }));
            assert!(!matches!(event, MinerEvent::Unknown { .. }), "{reason}");
            assert_eq!(event.reason(), reason);
        }
    }

    #[test]
    fn what_is_not_understood_is_kept() {
        let event = MinerEvent::parse(json!({ "reason": "instance_hot", "data": { "a": 1 } }));
        assert_eq!(event, MinerEvent::Unknown { reason: "instance_hot".into(), data: json!({ "a": 1 }) });
        let broken = MinerEvent::parse(json!({ "reason": "instance_deleted" }));
        assert_eq!(broken, MinerEvent::Unknown { reason: "instance_deleted".into(), data: Value::Null });
        assert!(matches!(MinerEvent::parse(json!("?")), MinerEvent::Unknown { reason, .. } if reason.is_empty()));
    }

    #[test]
    fn a_job_names_who_need_not_try_in_both_spellings() {
        for key in ["exclude", "excluded"] {
            let mut data = json!({ "job_id": "j", "chute_id": "c" });
            data[key] = json!(["5x"]);
            let MinerEvent::JobCreated(job) = MinerEvent::parse(json!({ "reason": "job_created", "data": data })) else {
                panic!("not a job");
            };
            assert_eq!((job.exclude, job.disk_gb), (vec!["5x".to_owned()], None));
        }
    }
}
