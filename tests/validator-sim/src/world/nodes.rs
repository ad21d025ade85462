//! Advertised GPUs: the checks of `POST /nodes/`, the pending time, the rows. In the validator's words a
//! node is one GPU.

use std::{net::IpAddr, time::Duration};

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::World;
use crate::{catalogue, clock::iso, http::refusal::Refusal};

/// The poll says `verified` this much after the event went out: the event comes first, as was seen.
const POLL_LAG: Duration = Duration::from_millis(150);
/// Window and limits of the rule against GPUs that hop between hotkeys.
const HOP_WINDOW_HOURS: i64 = 24;
const HOP_USES: usize = 2;

/// One GPU of an advert.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct NodeArgs {
    pub(crate) uuid: String,
    pub(crate) name: String,
    pub(crate) memory: u64,
    #[serde(default)]
    pub(crate) major: Option<u32>,
    #[serde(default)]
    pub(crate) minor: Option<u32>,
    #[serde(default)]
    pub(crate) processors: Option<u32>,
    #[serde(default)]
    pub(crate) sxm: Option<bool>,
    pub(crate) clock_rate: f64,
    #[serde(default)]
    pub(crate) max_threads_per_processor: Option<u32>,
    #[serde(default)]
    pub(crate) concurrent_kernels: Option<bool>,
    #[serde(default)]
    pub(crate) ecc: Option<bool>,
    pub(crate) device_index: u32,
    pub(crate) gpu_identifier: String,
    pub(crate) verification_host: String,
    pub(crate) verification_port: u32,
}

/// A GPU that the validator knows.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) args: NodeArgs,
    pub(crate) miner_hotkey: String,
    pub(crate) server_id: String,
    seed: i64,
    created_at: Timestamp,
    pub(crate) verified_at: Option<Timestamp>,
    pub(crate) verification_error: Option<String>,
    /// The instance that holds it.
    pub(crate) instance_id: Option<String>,
}

/// A check of the GPUs of one advert.
#[derive(Debug)]
pub(crate) struct Task {
    uuids: Vec<String>,
    due: Timestamp,
    fail: Option<String>,
    done: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) struct Use {
    uuid: String,
    hotkey: String,
    at: Timestamp,
}

impl Node {
    /// The row of the stream.
    pub(crate) fn row(&self) -> Value {
        let a = &self.args;
        json!({
            "uuid": a.uuid, "name": a.name, "memory": a.memory, "major": a.major, "minor": a.minor,
            "processors": a.processors, "sxm": a.sxm, "clock_rate": a.clock_rate,
            "max_threads_per_processor": a.max_threads_per_processor, "concurrent_kernels": a.concurrent_kernels,
            "ecc": a.ecc, "seed": self.seed, "miner_hotkey": self.miner_hotkey, "gpu_identifier": a.gpu_identifier,
            "device_index": a.device_index, "server_id": self.server_id, "created_at": iso(self.created_at),
            "verification_host": a.verification_host, "verification_port": a.verification_port,
            "verification_error": self.verification_error, "verified_at": self.verified_at.map(iso),
        })
    }
}

impl World {
    /// Takes an advert of proof-of-work GPUs. The reply's rows and the task to poll.
    pub(crate) fn advertise(&mut self, hotkey: &str, server_id: &str, nodes: Vec<NodeArgs>) -> Result<(Vec<Value>, String), Refusal> {
        self.check_blacklist(hotkey)?;
        for node in &nodes {
            if node.processors.is_none() || node.max_threads_per_processor.is_none() {
                return Err(Refusal::malformed("processors and max_threads_per_processor are required"));
            }
        }
        self.check_adverts(hotkey, &nodes)?;
        let seed = self.ids.positive();
        let uuids: Vec<String> = nodes.iter().map(|node| node.uuid.clone()).collect();
        let rows = self.insert_nodes(hotkey, server_id, nodes, seed, None);
        let rows = rows
            .into_iter()
            .map(|mut row| {
                let gpu = row["gpu_identifier"].as_str().and_then(|name| catalogue::find(self.rules.profile, name));
                row["_gpu_key"] = row["gpu_identifier"].clone();
                row["_gpu_specs"] = gpu.as_ref().map_or(Value::Null, catalogue::Gpu::row);
                row["tensor_cores"] = json!(gpu.and_then(|gpu| gpu.tensor_cores));
                row["instance"] = Value::Null;
                row
            })
            .collect();
        let task_id = format!("{hotkey}::{}", self.ids.uuid());
        let due = self.now().saturating_add(self.rules.node_verify).unwrap_or(Timestamp::MAX);
        let fail = self.fail_next_check.take();
        self.tasks.insert(task_id.clone(), Task { uuids, due, fail, done: None });
        Ok((rows, task_id))
    }

    /// Every check of an advert, before anything is stored.
    pub(super) fn check_adverts(&self, hotkey: &str, nodes: &[NodeArgs]) -> Result<(), Refusal> {
        if nodes.len() > 10 {
            return Err(Refusal::bad("Maximum of 10 GPUs per request"));
        }
        for (index, node) in nodes.iter().enumerate() {
            if self.nodes.contains_key(&node.uuid) || nodes[..index].iter().any(|other| other.uuid == node.uuid) {
                return Err(Refusal::new(StatusCode::CONFLICT, format!("GPU {} already exists in the inventory", node.uuid)));
            }
            self.check_advert(node).map_err(|why| Refusal::bad(format!("GPU parameter validation error: {}: {why}", node.uuid)))?;
            if !self.rules.allow_private_hosts && !is_public(&node.verification_host) {
                return Err(Refusal::bad(format!("Invalid verification_host: {}", node.verification_host)));
            }
            if self.hopped(hotkey, &node.uuid) {
                return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, format!("GPU {} has been used by several hotkeys", node.uuid)));
            }
        }
        Ok(())
    }

    fn check_advert(&self, node: &NodeArgs) -> Result<(), String> {
        if node.uuid.len() != 32 || !node.uuid.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err("uuid must be 32 lower case hex digits, without GPU- and dashes".to_owned());
        }
        let gpu = catalogue::identify(self.rules.profile, &node.name).ok_or_else(|| format!("{:?} is no supported GPU", node.name))?;
        if gpu.short_ref != node.gpu_identifier {
            return Err(format!("{:?} is a {}, not a {}", node.name, gpu.short_ref, node.gpu_identifier));
        }
        let memory_gb = node.memory as f64 / 1e9;
        let memory_gb = memory_gb.floor();
        let spec_gb = f64::from(gpu.memory_gb);
        if memory_gb < spec_gb - 1.0 || memory_gb > spec_gb * 1.073_741_824 + 1.0 {
            return Err(format!("memory of {memory_gb} GB does not suit {spec_gb} GB"));
        }
        if node.processors.is_some_and(|processors| processors != gpu.processors) {
            return Err(format!("processors must be {}", gpu.processors));
        }
        let mhz = node.clock_rate / 1000.0;
        let (base, boost) = (f64::from(gpu.clock_mhz.0), f64::from(gpu.clock_mhz.1));
        if mhz < base || mhz > boost * 1.1 {
            return Err(format!("clock_rate of {mhz} MHz is outside {base} to {}", boost * 1.1));
        }
        if !(80..=65535).contains(&node.verification_port) {
            return Err(format!("verification_port {} is outside 80 to 65535", node.verification_port));
        }
        if node.device_index > 9 {
            return Err(format!("device_index {} is outside 0 to 9", node.device_index));
        }
        Ok(())
    }

    fn hopped(&self, hotkey: &str, uuid: &str) -> bool {
        let since = self.now().saturating_sub(jiff::SignedDuration::from_hours(HOP_WINDOW_HOURS)).unwrap_or(Timestamp::MIN);
        let recent: Vec<&Use> = self.gpu_uses.iter().filter(|used| used.uuid == uuid && used.at >= since).collect();
        recent.len() >= HOP_USES && recent.iter().any(|used| used.hotkey != hotkey)
    }

    pub(super) fn insert_nodes(
        &mut self,
        hotkey: &str,
        server_id: &str,
        nodes: Vec<NodeArgs>,
        seed: i64,
        verified_at: Option<Timestamp>,
    ) -> Vec<Value> {
        let now = self.now();
        let mut rows = Vec::new();
        for args in nodes {
            self.gpu_uses.push(Use { uuid: args.uuid.clone(), hotkey: hotkey.to_owned(), at: now });
            let node = Node {
                miner_hotkey: hotkey.to_owned(),
                server_id: server_id.to_owned(),
                seed,
                created_at: now,
                verified_at,
                verification_error: None,
                instance_id: None,
                args,
            };
            rows.push(node.row());
            self.nodes.insert(node.args.uuid.clone(), node);
        }
        rows
    }

    /// Ends the checks whose time has come: rows first, then events, then what polls see.
    pub(super) fn finish_checks(&mut self, now: Timestamp) {
        let due: Vec<(String, Vec<String>, Option<String>)> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.done.is_none() && task.due <= now)
            .map(|(id, task)| (id.clone(), task.uuids.clone(), task.fail.clone()))
            .collect();
        for (id, uuids, fail) in due {
            for uuid in uuids {
                let Some(node) = self.nodes.get_mut(&uuid) else { continue };
                if let Some(why) = &fail {
                    node.verification_error = Some(why.clone());
                    continue;
                }
                node.verified_at = Some(now);
                let hotkey = node.miner_hotkey.clone();
                self.broadcast("gpu_verified", json!({"gpu_id": uuid, "miner_hotkey": hotkey}), Some(&hotkey));
            }
            if let Some(task) = self.tasks.get_mut(&id) {
                task.done = Some(now.saturating_add(POLL_LAG).unwrap_or(Timestamp::MAX));
            }
        }
    }

    /// What a poll of a task says.
    pub(crate) fn task_status(&self, hotkey: &str, task_id: &str) -> Result<Value, Refusal> {
        if task_id.split("::").next() != Some(hotkey) {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "go away"));
        }
        let task = self.tasks.get(task_id).ok_or_else(|| Refusal::not_found(format!("Task {task_id} not found")))?;
        Ok(match task {
            Task { done: Some(done), fail, .. } if *done <= self.now() => match fail {
                None => json!({"status": "verified"}),
                Some(why) => json!({"status": "failed", "detail": why}),
            },
            _ => json!({"status": "pending"}),
        })
    }

    /// Forgets a GPU of this hotkey, with the instance that holds it.
    pub(crate) fn delete_node(&mut self, hotkey: &str, uuid: &str) -> Result<(), Refusal> {
        let node = self
            .nodes
            .get(uuid)
            .filter(|node| node.miner_hotkey == hotkey)
            .ok_or_else(|| Refusal::not_found(format!("Node {uuid} not found, or does not belong to you")))?;
        if let Some(instance) = node.instance_id.clone() {
            self.end_instance(&instance, "node has been deleted");
        }
        self.nodes.remove(uuid);
        Ok(())
    }

    /// Refuses a blacklisted hotkey.
    pub(super) fn check_blacklist(&self, hotkey: &str) -> Result<(), Refusal> {
        match self.miners.get(hotkey) {
            Some(Some(reason)) => Err(Refusal::new(StatusCode::FORBIDDEN, format!("Your hotkey has been blacklisted: {reason}"))),
            _ => Ok(()),
        }
    }
}

/// Whether a host can be reached from the internet, judged by its text.
pub(super) fn is_public(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => {
            let shared = ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]);
            let reserved = ip.octets()[0] == 0 || ip.octets()[0] >= 240;
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || ip.is_unspecified() || shared || reserved)
        }
        Ok(IpAddr::V6(ip)) => {
            !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || ip.is_unique_local() || ip.is_unicast_link_local())
        }
        Err(_) => {
            let labels: Vec<&str> = host.split('.').collect();
            let label = |l: &&str| !l.is_empty() && l.len() < 64 && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            let inner = ["local", "localhost", "internal", "svc"];
            labels.len() > 1 && labels.iter().all(label) && !labels.last().is_some_and(|last| inner.contains(last))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_public;

    #[test]
    fn hosts_that_the_internet_cannot_reach_are_told_apart() {
        for host in ["203.0.113.10", "8.8.8.8", "gpu.example.com", "2001:4860::8888"] {
            assert!(is_public(host), "{host}");
        }
        for host in
            ["10.1.2.3", "127.0.0.1", "169.254.1.1", "192.168.0.1", "0.0.0.0", "::1", "fd00::1", "localhost", "node.local", "", "a..b"]
        {
            assert!(!is_public(host), "{host}");
        }
    }
}
