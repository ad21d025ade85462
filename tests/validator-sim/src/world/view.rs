//! The state as the admin side sees it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{World, instances::Instance, launches::Launch};
use crate::{
    clock::{iso, seconds},
    model::{Counters, InstanceView, LaunchCounts, LaunchState, LaunchView, Segment, Snapshot},
};

impl World {
    /// Everything at this moment.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = self.now();
        let chute = |chute: &super::chutes::Chute| {
            let mut row = chute.row(self.rules.profile);
            row["target"] = json!(chute.spec.target);
            row
        };
        let node = |node: &super::nodes::Node| {
            let mut row = node.row();
            row["instance_id"] = json!(node.instance_id);
            row
        };
        Snapshot {
            now: iso(now),
            validator_hotkey: self.validator.address().to_owned(),
            miners: self.miners.keys().cloned().collect(),
            chutes: self.chutes.values().map(chute).collect(),
            nodes: self.nodes.values().map(node).collect(),
            servers: self.servers.values().map(super::servers::Server::row).collect(),
            launches: self.launches.values().map(|launch| launch_view(launch, now)).collect(),
            instances: self.instances.values().map(|instance| instance_view(instance, now)).collect(),
            ended: self.ended.iter().map(|instance| instance_view(instance, now)).collect(),
            jobs: self.jobs.values().map(|job| self.job_row(job)).collect(),
            sockets: self.sockets.view(),
        }
    }

    /// Every count.
    pub(crate) fn counters(&self) -> Counters {
        let now = self.now();
        let mut launches = LaunchCounts { granted: self.launches.len() as u64, ..LaunchCounts::default() };
        let mut claims_by_deployment = std::collections::BTreeMap::new();
        for launch in self.launches.values() {
            match launch.state(now) {
                LaunchState::Created => launches.created += 1,
                LaunchState::Expired => launches.expired += 1,
                LaunchState::Failed => launches.failed += 1,
                LaunchState::Claimed | LaunchState::Verified | LaunchState::Active => {}
            }
            if launch.instance_id.is_some() {
                launches.claimed += 1;
                if let Some(deployment) = &launch.deployment {
                    *claims_by_deployment.entry(deployment.clone()).or_default() += 1;
                }
            }
        }
        launches.abandoned = launches.created + launches.expired;
        Counters {
            requests: self.journal.requests.clone(),
            refusals: self.journal.refusals.clone(),
            launches,
            claims_by_deployment,
            events: self.journal.events.clone(),
            unexpected: self.journal.unexpected_total,
        }
    }

    /// `GET /miner/inventory`: only GPUs that hold an instance.
    pub(crate) fn inventory(&self, hotkey: &str) -> Vec<Value> {
        let mine = self.nodes.values().filter(|node| node.miner_hotkey == hotkey);
        mine.filter_map(|node| {
            let instance = self.instances.get(node.instance_id.as_deref()?)?;
            Some(json!({
                "gpu_id": node.args.uuid, "last_verified_at": instance.verified_at.map(iso), "verification_error": node.verification_error,
                "active": instance.activated_at.is_some(), "chute_id": instance.chute_id, "chute_name": instance.chute_name,
            }))
        })
        .collect()
    }
}

fn launch_view(launch: &Launch, now: Timestamp) -> LaunchView {
    LaunchView {
        config_id: launch.config_id.clone(),
        chute_id: launch.chute_id.clone(),
        miner_hotkey: launch.miner_hotkey.clone(),
        server_id: launch.server_id.clone(),
        job_id: launch.job_id.clone(),
        deployment: launch.deployment.clone(),
        state: launch.state(now),
        error: launch.error.clone(),
        created_at: iso(launch.created_at),
        claimed_at: launch.retrieved_at.map(iso),
    }
}

fn instance_view(instance: &Instance, now: Timestamp) -> InstanceView {
    let end = instance.deleted.as_ref().map_or(now, |(at, _)| *at);
    let segment = |(index, (from, multiplier)): (usize, &(Timestamp, f64))| {
        let next = instance.segments.get(index + 1).map(|(at, _)| *at);
        let to = next.or(instance.deleted.as_ref().map(|(at, _)| *at));
        Segment { from: iso(*from), to: to.map(iso), seconds: seconds(*from, to.unwrap_or(now)), multiplier: *multiplier }
    };
    let segments: Vec<Segment> = instance.segments.iter().enumerate().map(segment).collect();
    InstanceView {
        instance_id: instance.instance_id.clone(),
        config_id: instance.config_id.clone(),
        chute_id: instance.chute_id.clone(),
        chute_name: instance.chute_name.clone(),
        version: instance.version.clone(),
        miner_hotkey: instance.miner_hotkey.clone(),
        deployment: instance.deployment.clone(),
        host: instance.host.clone(),
        port: instance.port,
        gpus: instance.gpus.clone(),
        created_at: iso(instance.created_at),
        verified_at: instance.verified_at.map(iso),
        activated_at: instance.activated_at.map(iso),
        deleted_at: instance.deleted.as_ref().map(|(at, _)| iso(*at)),
        deletion_reason: instance.deleted.as_ref().map(|(_, reason)| reason.clone()),
        seconds_created: seconds(instance.created_at, end),
        seconds_active: instance.activated_at.map_or(0.0, |at| seconds(at, end)),
        compute_units: segments.iter().map(|segment| segment.seconds * segment.multiplier).sum(),
        segments,
    }
}
