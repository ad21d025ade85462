//! Jobs: raced for by miners, run by one instance, given back at most once by each. validator-protocol 1.10 and 3.4.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{World, instances::Instance};
use crate::{clock::iso, http::refusal::Refusal};

/// Miners that may race for one job.
const RACERS: usize = 15;

/// A job of a chute.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) job_id: String,
    chute_id: String,
    method: String,
    disk_gb: u32,
    miner_hotkey: Option<String>,
    instance_id: Option<String>,
    /// Every hotkey that ever asked for it.
    miner_history: Vec<String>,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    status: &'static str,
}

impl World {
    /// Offers a job to everybody. Its id.
    pub(crate) fn create_job(&mut self, chute: &str, method: &str, disk_gb: u32) -> Result<String, Refusal> {
        let chute_id = self.find_chute(chute)?.chute_id.clone();
        let job_id = self.ids.uuid();
        let job = Job {
            job_id: job_id.clone(),
            chute_id,
            method: method.to_owned(),
            disk_gb,
            miner_hotkey: None,
            instance_id: None,
            miner_history: Vec::new(),
            created_at: self.now(),
            started_at: None,
            finished_at: None,
            status: "pending",
        };
        self.jobs.insert(job_id.clone(), job);
        self.announce_job(&job_id, true);
        Ok(job_id)
    }

    fn announce_job(&mut self, job_id: &str, first: bool) {
        let Some(job) = self.jobs.get(job_id) else { return };
        let Some(chute) = self.chutes.get(&job.chute_id) else { return };
        let row = chute.row(self.rules.profile);
        let mut data = json!({
            "job_id": job_id, "method": job.method, "chute_id": job.chute_id, "image_id": row["image_id"],
            "gpu_count": chute.spec.selector.gpu_count, "compute_multiplier": chute.multiplier(self.rules.profile),
            "exclude": job.miner_history,
        });
        // A job that comes back is announced without its disk size, as the original does.
        if first {
            data["disk_gb"] = json!(job.disk_gb);
        }
        self.broadcast("job_created", data, None);
    }

    /// Whether this miner may ask for the job; one try for each hotkey, for ever. Its disk size.
    pub(super) fn try_job(&mut self, hotkey: &str, chute_id: &str, job_id: &str) -> Result<u32, Refusal> {
        let job = self.jobs.get_mut(job_id).filter(|job| job.chute_id == chute_id && job.finished_at.is_none());
        let job = job.ok_or_else(|| Refusal::not_found(format!("job_id='{job_id}' not found")))?;
        if job.miner_history.iter().any(|tried| tried == hotkey) {
            return Err(Refusal::new(StatusCode::FORBIDDEN, format!("Your hotkey has already attempted to claim job {job_id}")));
        }
        if job.instance_id.is_some() {
            return Err(Refusal::new(StatusCode::CONFLICT, format!("Job {job_id} has already been claimed")));
        }
        if job.miner_history.len() >= RACERS {
            return Err(Refusal::new(StatusCode::LOCKED, format!("Job {job_id} is already being raced by {RACERS} miners")));
        }
        job.miner_history.push(hotkey.to_owned());
        Ok(job.disk_gb)
    }

    /// Another miner may have been quicker.
    pub(super) fn check_job_free(&self, job_id: &str) -> Result<(), Refusal> {
        match self.jobs.get(job_id) {
            Some(Job { instance_id: None, finished_at: None, .. }) => Ok(()),
            _ => Err(Refusal::new(StatusCode::CONFLICT, format!("Job {job_id} has already been claimed by another miner"))),
        }
    }

    /// The instance that claimed runs the job.
    pub(super) fn attach_job(&mut self, job_id: &str, instance: &Instance, now: Timestamp) {
        if let Some(job) = self.jobs.get_mut(job_id) {
            job.miner_hotkey = Some(instance.miner_hotkey.clone());
            job.instance_id = Some(instance.instance_id.clone());
            job.started_at = Some(now);
            job.status = "running";
        }
    }

    /// The job is done; its instance ends with it.
    pub(crate) fn finish_job(&mut self, job_id: &str) -> Result<(), Refusal> {
        let now = self.now();
        let job = self.jobs.get_mut(job_id).ok_or_else(|| Refusal::not_found(format!("job_id='{job_id}' not found")))?;
        job.finished_at = Some(now);
        job.status = "complete";
        if let Some(instance) = job.instance_id.take() {
            self.end_instance(&instance, "job has been completed");
        }
        Ok(())
    }

    /// A miner gives its job up; others may race for it again.
    pub(crate) fn release_job(&mut self, hotkey: &str, job_id: &str) -> Result<(), Refusal> {
        let mine = |job: &&mut Job| job.miner_hotkey.as_deref() == Some(hotkey) && job.finished_at.is_none();
        let job = self.jobs.get_mut(job_id).filter(mine);
        let job = job.ok_or_else(|| Refusal::not_found(format!("job_id='{job_id}' not found, or is not yours")))?;
        job.miner_hotkey = None;
        job.started_at = None;
        job.status = "pending";
        if let Some(instance) = job.instance_id.take() {
            self.end_instance(&instance, "miner released the job");
        }
        self.announce_job(job_id, false);
        Ok(())
    }

    /// An instance that ends fails the job it still holds.
    pub(super) fn fail_job_of(&mut self, instance: &Instance) {
        let now = self.now();
        let held = self.jobs.values_mut().find(|job| job.instance_id.as_deref() == Some(&instance.instance_id));
        if let Some(job) = held {
            job.instance_id = None;
            job.finished_at = Some(now);
            job.status = "error";
            let data = json!({"instance_id": instance.instance_id, "job_id": job.job_id});
            self.broadcast("job_deleted", data, Some(&instance.miner_hotkey));
        }
    }

    /// The stream: this miner's jobs that have no instance.
    pub(crate) fn job_rows(&self, hotkey: &str) -> Vec<Value> {
        let waiting = |job: &&Job| job.miner_hotkey.as_deref() == Some(hotkey) && job.instance_id.is_none();
        self.jobs.values().filter(waiting).map(|job| self.job_row(job)).collect()
    }

    /// One job with every column.
    pub(crate) fn job_row(&self, job: &Job) -> Value {
        let chute = self.chutes.get(&job.chute_id).map(|chute| chute.row(self.rules.profile)).unwrap_or_default();
        json!({
            "job_id": job.job_id, "user_id": chute["user_id"], "chute_id": job.chute_id, "version": chute["version"],
            "chutes_version": chute["chutes_version"], "method": job.method, "miner_uid": null, "miner_hotkey": job.miner_hotkey,
            "miner_coldkey": null, "instance_id": job.instance_id, "active": job.instance_id.is_some(), "verified": false,
            "last_queried_at": null, "created_at": iso(job.created_at), "updated_at": iso(job.created_at),
            "started_at": job.started_at.map(iso), "finished_at": job.finished_at.map(iso), "job_args": {},
            "node_selector": chute["node_selector"], "status": job.status, "result": null, "error_detail": null, "output_files": null,
            "miner_terminated": false, "port_mappings": null, "miner_history": job.miner_history,
            "compute_multiplier": chute["node_selector"]["compute_multiplier"],
        })
    }
}
