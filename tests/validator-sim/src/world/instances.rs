//! Instances: their rows, their ends, their worth.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::World;
use crate::{Profile, clock::iso, http::refusal::Refusal};

/// An instance that is not active after this is deleted (October 2025).
const STUCK: SignedDuration = SignedDuration::from_mins(90);

/// One running copy of a chute, as the validator knows it.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) instance_id: String,
    pub(crate) config_id: String,
    pub(crate) chute_id: String,
    pub(crate) chute_name: String,
    pub(crate) public: bool,
    pub(crate) version: String,
    pub(super) chutes_version: String,
    pub(crate) miner_hotkey: String,
    pub(crate) deployment: Option<String>,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(super) ports: Vec<u16>,
    pub(super) port_mappings: Vec<Value>,
    pub(crate) gpus: Vec<String>,
    pub(crate) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(crate) verified_at: Option<Timestamp>,
    pub(crate) activated_at: Option<Timestamp>,
    /// End and its reason.
    pub(crate) deleted: Option<(Timestamp, String)>,
    pub(crate) multiplier: f64,
    /// Start and multiplier of each stretch since activation.
    pub(crate) segments: Vec<(Timestamp, f64)>,
}

impl Instance {
    /// The row of the stream. validator-protocol 1.6.1.
    pub(crate) fn row(&self, profile: Profile) -> Value {
        let mut row = json!({
            "instance_id": self.instance_id, "chute_id": self.chute_id,
            "version": self.version, "miner_uid": 1, "miner_hotkey": self.miner_hotkey, "miner_coldkey": self.miner_hotkey,
            "region": "n/a", "active": self.activated_at.is_some(), "verified": self.verified_at.is_some(),
            "last_queried_at": null, "created_at": iso(self.created_at), "updated_at": iso(self.updated_at),
            "activated_at": self.activated_at.map(iso), "last_verified_at": self.verified_at.map(iso), "stop_billing_at": null,
            "billed_to": null, "verification_error": null, "consecutive_failures": 0, "chutes_version": self.chutes_version,
            "config_id": self.config_id, "cacert": null,
            "hourly_rate": self.multiplier * 4.5, "compute_multiplier": self.multiplier,
        });
        if profile == Profile::Oct25 {
            // Where the instance is reached is the validator's own business since 2026.
            row["host"] = json!(self.host);
            row["port"] = json!(self.port);
            row["port_mappings"] = json!(self.port_mappings);
            row["symmetric_key"] = Value::Null;
        }
        row
    }
}

impl World {
    /// Ends an instance: GPUs free, event out, row kept among the ended.
    pub(crate) fn end_instance(&mut self, instance_id: &str, reason: &str) -> bool {
        let Some(mut instance) = self.instances.remove(instance_id) else {
            return false;
        };
        for gpu in &instance.gpus {
            if let Some(node) = self.nodes.get_mut(gpu) {
                node.instance_id = None;
            }
        }
        instance.deleted = Some((self.now(), reason.to_owned()));
        let data = json!({
            "chute_id": instance.chute_id, "miner_hotkey": instance.miner_hotkey, "instance_id": instance_id,
            "config_id": instance.config_id,
        });
        let hotkey = instance.miner_hotkey.clone();
        self.fail_job_of(&instance);
        self.ended.push(instance);
        self.broadcast("instance_deleted", data, Some(&hotkey));
        true
    }

    /// The miner gives an instance up.
    pub(crate) fn delete_instance(&mut self, hotkey: &str, chute_id: &str, instance_id: &str) -> Result<(), Refusal> {
        self.check_owner(hotkey, chute_id, instance_id)?;
        self.end_instance(instance_id, "miner initialized");
        Ok(())
    }

    /// The miner takes an instance out of routing.
    pub(crate) fn disable_instance(&mut self, hotkey: &str, chute_id: &str, instance_id: &str) -> Result<(), Refusal> {
        self.check_owner(hotkey, chute_id, instance_id)?;
        let config_id = self.instances.get(instance_id).map(|instance| instance.config_id.clone());
        let data = json!({"chute_id": chute_id, "miner_hotkey": hotkey, "instance_id": instance_id, "config_id": config_id});
        self.broadcast("instance_disabled", data, Some(hotkey));
        Ok(())
    }

    fn check_owner(&self, hotkey: &str, chute_id: &str, instance_id: &str) -> Result<(), Refusal> {
        let mine = self.instances.get(instance_id).is_some_and(|i| i.miner_hotkey == hotkey && i.chute_id == chute_id);
        if !mine {
            let detail = format!("Instance with chute_id={chute_id} instance_id={instance_id} associated with hotkey={hotkey} not found");
            return Err(Refusal::not_found(detail));
        }
        Ok(())
    }

    /// A new multiplier from now on.
    pub(crate) fn set_multiplier(&mut self, instance_id: &str, multiplier: f64) -> Result<(), Refusal> {
        let now = self.now();
        let instance = self.instances.get_mut(instance_id).ok_or_else(|| Refusal::not_found(format!("no instance {instance_id}")))?;
        instance.multiplier = multiplier;
        instance.updated_at = now;
        if instance.activated_at.is_some() {
            instance.segments.push((now, multiplier));
        }
        Ok(())
    }

    pub(super) fn purge_stuck(&mut self, now: Timestamp) {
        let stuck: Vec<String> = self
            .instances
            .values()
            .filter(|instance| instance.activated_at.is_none() && now.duration_since(instance.created_at) > STUCK)
            .map(|instance| instance.instance_id.clone())
            .collect();
        for instance in stuck {
            self.end_instance(&instance, "instance was not activated in time");
        }
    }
}
