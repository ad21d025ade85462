//! The calls made with a launch token: claim, proof, activation. validator-protocol 1.8 and 3.1 to 3.3.

use std::{collections::BTreeMap, net::IpAddr};

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{World, instances::Instance, nodes::Node};
use crate::{
    catalogue,
    clock::{naive, seconds},
    http::refusal::Refusal,
};

/// The proof may take this many times the GPU's estimate.
const PROOF_SLACK: f64 = 2.15;

/// Which verification a claim chose by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Graval,
    Tee,
}

/// Body of a claim.
#[derive(Debug, Deserialize)]
pub(crate) struct ClaimArgs {
    gpus: Vec<Value>,
    host: String,
    port_mappings: Vec<PortMapping>,
    /// Free form; when it is JSON with a `HOSTNAME`, the deployment is read from that.
    env: Value,
    #[serde(default)]
    deployment_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct PortMapping {
    internal_port: u32,
    external_port: u32,
    proto: String,
}

/// Body of a proof.
#[derive(Debug, Deserialize)]
pub(crate) struct ProofArgs {
    response: String,
    iv: String,
    proof: BTreeMap<String, WorkProduct>,
}

#[derive(Debug, Deserialize)]
struct WorkProduct {
    work_product: String,
}

impl ClaimArgs {
    fn deployment(&self) -> Option<String> {
        if let Some(id) = &self.deployment_id {
            return Some(id.clone());
        }
        let parsed: Value = serde_json::from_str(self.env.as_str()?).ok()?;
        let name = parsed["HOSTNAME"].as_str()?.strip_prefix("chute-")?;
        // `<uuid>` or `<uuid>-<what the Job adds>`
        Some(name.get(..36).unwrap_or(name).to_owned())
    }
}

impl World {
    /// A claim: works once for each launch config.
    pub(crate) fn claim(
        &mut self,
        authorization: Option<&str>,
        config_id: &str,
        mode: Mode,
        args: &ClaimArgs,
        nonce: Option<(&str, IpAddr)>,
    ) -> Result<Value, Refusal> {
        let launch = self.open_launch(authorization, config_id)?;
        if launch.retrieved_at.is_some() {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, format!("Launch config {config_id} has already been retrieved")));
        }
        let (hotkey, chute_id, job_id) = (launch.miner_hotkey.clone(), launch.chute_id.clone(), launch.job_id.clone());
        let now = self.now();
        if let Some(launch) = self.launches.get_mut(config_id) {
            launch.retrieved_at = Some(now);
            launch.deployment = args.deployment();
        }
        let checked = self.check_claim(&hotkey, &chute_id, job_id.as_deref(), mode, args, nonce);
        let (port, multiplier) = checked.map_err(|refusal| self.fail_launch(config_id, refusal))?;
        let instance = self.attach(config_id, &hotkey, &chute_id, args, port, multiplier, now);
        if let Some(job_id) = &job_id {
            self.attach_job(job_id, &instance, now);
        }
        let first = instance.gpus.first().and_then(|uuid| self.nodes.get(uuid)).map(|node| node.args.gpu_identifier.clone());
        let gpu = first.as_deref().and_then(|name| catalogue::find(self.rules.profile, name));
        let data = json!({
            "chute_id": chute_id, "gpu_count": instance.gpus.len(), "gpu_model_name": first, "miner_hotkey": hotkey,
            "instance_id": instance.instance_id, "config_id": config_id,
        });
        self.broadcast("instance_created", data, Some(&hotkey));
        let seed = self.ids.positive();
        let plaintext = format!("secret is {config_id} {seed}");
        if let Some(launch) = self.launches.get_mut(config_id) {
            launch.challenge = Some((seed, plaintext.clone()));
        }
        Ok(match mode {
            Mode::Tee => json!({"symmetric_key": self.ids.hex(32)}),
            Mode::Graval => json!({
                "seed": seed, "iterations": gpu.map_or(1, |gpu| gpu.iterations), "job_id": job_id,
                "symmetric_key": {
                    "ciphertext": STANDARD.encode(self.ids.hex(32)), "uuid": instance.gpus.first(), "response_plaintext": plaintext,
                },
            }),
        })
    }

    fn check_claim(
        &mut self,
        hotkey: &str,
        chute_id: &str,
        job_id: Option<&str>,
        mode: Mode,
        args: &ClaimArgs,
        nonce: Option<(&str, IpAddr)>,
    ) -> Result<(u16, f64), Refusal> {
        let chute = self.chutes.get(chute_id).ok_or_else(|| Refusal::not_found(format!("chute_id='{chute_id}' not found")))?.clone();
        match (mode, chute.spec.tee) {
            (Mode::Graval, true) => return Err(Refusal::bad("Can not claim a graval launch config for a TEE chute.")),
            (Mode::Tee, false) => return Err(Refusal::bad("Can not claim a TEE launch config for a non-TEE chute.")),
            _ => {}
        }
        if mode == Mode::Tee && !nonce.is_some_and(|(text, from)| self.spend_nonce(text, from)) {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "Invalid or expired nonce"));
        }
        match job_id {
            Some(job_id) => self.check_job_free(job_id)?,
            None => self.check_capacity(chute_id, hotkey)?,
        }
        self.check_gpus(
            hotkey,
            args,
            chute.spec.selector.gpu_count as usize,
            &crate::selector::supported(self.rules.profile, &chute.spec.selector),
        )?;
        let port = self.check_ports(args)?;
        Ok((port, chute.multiplier(self.rules.profile)))
    }

    /// The rules of 3.1 on GPUs, and that each is the device that was advertised.
    fn check_gpus(&self, hotkey: &str, args: &ClaimArgs, wanted: usize, supported: &[String]) -> Result<(), Refusal> {
        let mut seen: Vec<&str> = Vec::new();
        for device in &args.gpus {
            let uuid = device["uuid"].as_str().ok_or_else(|| Refusal::malformed("every GPU needs a uuid"))?;
            if seen.contains(&uuid) {
                return Err(Refusal::bad("Duplicate GPU uuids in launch config"));
            }
            seen.push(uuid);
            let node = self.nodes.get(uuid).filter(|node| node.miner_hotkey == hotkey);
            let node = node.ok_or_else(|| Refusal::not_found(format!("GPU {uuid} was not found in your inventory")))?;
            self.check_gpu(node, device, args, supported)?;
        }
        if seen.len() != wanted {
            return Err(Refusal::bad(format!("Expected {wanted} GPUs, got {}", seen.len())));
        }
        Ok(())
    }

    fn check_gpu(&self, node: &Node, device: &Value, args: &ClaimArgs, supported: &[String]) -> Result<(), Refusal> {
        let uuid = &node.args.uuid;
        if node.verified_at.is_none() {
            return Err(Refusal::bad(format!("GPU {uuid} is not verified")));
        }
        if let Some(instance) = &node.instance_id {
            return Err(Refusal::new(StatusCode::CONFLICT, format!("GPU {uuid} is already assigned to instance {instance}")));
        }
        if !supported.contains(&node.args.gpu_identifier) {
            return Err(Refusal::bad(format!("GPU {uuid} is a {}, which the chute does not support", node.args.gpu_identifier)));
        }
        if node.args.verification_host != args.host {
            return Err(Refusal::bad(format!(
                "Instance host {} does not match verification_host {}",
                args.host, node.args.verification_host
            )));
        }
        let row = node.row();
        let fields = [
            "name",
            "memory",
            "major",
            "minor",
            "processors",
            "sxm",
            "clock_rate",
            "max_threads_per_processor",
            "concurrent_kernels",
            "ecc",
        ];
        for field in fields {
            if row[field] != device[field] {
                return Err(Refusal::bad(format!("GPU {uuid}: {field} is {}, advertised {}", device[field], row[field])));
            }
        }
        Ok(())
    }

    fn check_ports(&self, args: &ClaimArgs) -> Result<u16, Refusal> {
        let mut primary = None;
        for mapping in &args.port_mappings {
            for port in [mapping.internal_port, mapping.external_port] {
                if !(22..=65535).contains(&port) {
                    return Err(Refusal::malformed(format!("port {port} is outside 22 to 65535")));
                }
            }
            if !["tcp", "udp", "http"].contains(&mapping.proto.to_lowercase().as_str()) {
                return Err(Refusal::malformed(format!("proto {:?} is none of tcp, udp, http", mapping.proto)));
            }
            let external = u16::try_from(mapping.external_port).expect("just checked the range");
            if mapping.internal_port == 8000 {
                primary = Some(external);
            }
            if let Some(other) = self.instances.values().find(|other| other.host == args.host && other.ports.contains(&external)) {
                let detail = format!("{}:{external} is already in use by instance {}", args.host, other.instance_id);
                return Err(Refusal::new(StatusCode::CONFLICT, detail));
            }
        }
        primary.ok_or_else(|| Refusal::bad("port_mappings lacks the primary port 8000"))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one row, known only after every check")]
    fn attach(
        &mut self,
        config_id: &str,
        hotkey: &str,
        chute_id: &str,
        args: &ClaimArgs,
        port: u16,
        multiplier: f64,
        now: Timestamp,
    ) -> Instance {
        let chute = &self.chutes[chute_id];
        let gpus: Vec<String> = args.gpus.iter().filter_map(|gpu| gpu["uuid"].as_str().map(str::to_owned)).collect();
        let instance = Instance {
            config_id: config_id.to_owned(),
            chute_id: chute_id.to_owned(),
            chute_name: chute.spec.name.clone(),
            public: chute.spec.public,
            version: chute.version.clone(),
            chutes_version: chute.spec.chutes_version.clone(),
            miner_hotkey: hotkey.to_owned(),
            deployment: args.deployment(),
            host: args.host.clone(),
            port,
            ports: args.port_mappings.iter().filter_map(|m| u16::try_from(m.external_port).ok()).collect(),
            port_mappings: args
                .port_mappings
                .iter()
                .map(|m| json!({"internal_port": m.internal_port, "external_port": m.external_port, "proto": m.proto.to_lowercase()}))
                .collect(),
            gpus: gpus.clone(),
            created_at: now,
            updated_at: now,
            verified_at: None,
            activated_at: None,
            deleted: None,
            multiplier,
            segments: Vec::new(),
            instance_id: self.ids.uuid(),
        };
        for gpu in &gpus {
            if let Some(node) = self.nodes.get_mut(gpu) {
                node.instance_id = Some(instance.instance_id.clone());
            }
        }
        if let Some(launch) = self.launches.get_mut(config_id) {
            launch.instance_id = Some(instance.instance_id.clone());
        }
        self.instances.insert(instance.instance_id.clone(), instance.clone());
        instance
    }

    /// The proof after a claim. May be repeated.
    pub(crate) fn prove(&mut self, authorization: Option<&str>, config_id: &str, proof: Option<&ProofArgs>) -> Result<Value, Refusal> {
        let launch = self.open_launch(authorization, config_id)?;
        let (Some(retrieved_at), Some(instance_id)) = (launch.retrieved_at, launch.instance_id.clone()) else {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "Launch config has not been claimed."));
        };
        let (chute_id, challenge) = (launch.chute_id.clone(), launch.challenge.clone());
        let instance =
            self.instances.get(&instance_id).ok_or_else(|| Refusal::not_found("Instance associated with launch config not found"))?.clone();
        let tee = self.chutes.get(&chute_id).is_some_and(|chute| chute.spec.tee);
        let first = instance.verified_at.is_none();
        if first {
            let checked = match (proof, tee) {
                (None, true) => Ok(()),
                (Some(proof), false) => self.check_proof(&instance, retrieved_at, challenge, proof),
                _ => Err(Refusal::bad("This launch config is verified in another way.")),
            };
            checked.map_err(|refusal| {
                self.end_instance(&instance_id, &refusal.detail);
                self.fail_launch(config_id, refusal)
            })?;
        }
        let now = self.now();
        let verified_at = instance.verified_at.unwrap_or(now);
        if first {
            if let Some(launch) = self.launches.get_mut(config_id) {
                launch.verified_at = Some(now);
            }
            if let Some(instance) = self.instances.get_mut(&instance_id) {
                instance.verified_at = Some(now);
                instance.updated_at = now;
            }
            let data = json!({"instance_id": instance_id, "miner_hotkey": instance.miner_hotkey});
            self.broadcast("instance_verified", data, Some(&instance.miner_hotkey));
        }
        let mut reply = json!({
            "chute_id": chute_id, "instance_id": instance_id, "verified_at": naive(verified_at),
            "activation_url": format!("{}/instances/launch_config/{config_id}/activate", self.rules.public_url),
            "secrets": {},
        });
        if tee {
            reply["code"] = json!("");
            reply["fs_key"] = json!(format!("{}:{}", now.as_second(), self.ids.hex(64)));
        }
        Ok(reply)
    }

    /// Relaxation `plain-proof`: the response is the challenge's plain text in base64, where the original
    /// wants it enciphered with a key that only the GPU can recover. Everything around it is checked.
    fn check_proof(
        &self,
        instance: &Instance,
        retrieved_at: Timestamp,
        challenge: Option<(i64, String)>,
        proof: &ProofArgs,
    ) -> Result<(), Refusal> {
        let refused = |detail: String| Err(Refusal::new(StatusCode::FORBIDDEN, detail));
        let gpu = instance.gpus.first().and_then(|uuid| self.nodes.get(uuid));
        let estimate = gpu.and_then(|node| catalogue::find(self.rules.profile, &node.args.gpu_identifier)).map_or(60, |gpu| gpu.estimate_s);
        let took = seconds(retrieved_at, self.now());
        if took >= f64::from(estimate) * PROOF_SLACK {
            return refused(format!(
                "PoVW encryption/decryption took {took:.0} s, expected less than {:.0} s",
                f64::from(estimate) * PROOF_SLACK
            ));
        }
        if proof.iv.len() != 32 || hex::decode(&proof.iv).is_err() {
            return refused("iv must be 32 hex digits".to_owned());
        }
        let right = challenge.is_some_and(|(_, text)| STANDARD.decode(&proof.response).is_ok_and(|response| response == text.as_bytes()));
        if !right {
            return refused("Launch config verification failed: challenge response is wrong".to_owned());
        }
        for uuid in &instance.gpus {
            if proof.proof.get(uuid).is_none_or(|product| product.work_product.is_empty()) {
                return refused(format!("PoVW proof of GPU {uuid} is missing"));
            }
        }
        Ok(())
    }

    /// The instance serves from now on. May be repeated.
    pub(crate) fn activate(&mut self, authorization: Option<&str>, config_id: &str) -> Result<Value, Refusal> {
        let launch = self.open_launch(authorization, config_id)?;
        if launch.verified_at.is_none() {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "Launch config has not been verified."));
        }
        let instance_id = launch.instance_id.clone().unwrap_or_default();
        let Some(instance) = self.instances.get(&instance_id) else {
            return Err(Refusal::not_found("Instance not found"));
        };
        if instance.activated_at.is_some() {
            return Ok(json!({"ok": true}));
        }
        let instance = instance.clone();
        if !instance.public && self.private_is_full(&instance) {
            self.end_instance(&instance_id, "private chute is already at target capacity");
            return Err(Refusal::new(
                StatusCode::LOCKED,
                format!("Private chute {} already has >= its target of active instances", instance.chute_id),
            ));
        }
        let now = self.now();
        if let Some(instance) = self.instances.get_mut(&instance_id) {
            instance.activated_at = Some(now);
            instance.updated_at = now;
            instance.segments.push((now, instance.multiplier));
        }
        if let Some(launch) = self.launches.get_mut(config_id) {
            launch.activated_at = Some(now);
        }
        self.claim_bounty(&instance.chute_id);
        let data = json!({
            "chute_id": instance.chute_id, "miner_hotkey": instance.miner_hotkey, "instance_id": instance_id, "config_id": config_id,
        });
        self.broadcast("instance_activated", data, Some(&instance.miner_hotkey));
        Ok(json!({"ok": true}))
    }

    fn private_is_full(&self, instance: &Instance) -> bool {
        let active = self.instances.values().filter(|other| other.chute_id == instance.chute_id && other.activated_at.is_some()).count();
        self.chutes.get(&instance.chute_id).is_some_and(|chute| active >= chute.spec.target as usize)
    }
}
