//! Money and history, from what was seen to what is written: compute intervals, multipliers, costs, idle GPUs.
//!
//! Writing the same again does no harm in the ledger; what was written last is remembered here only to spare it the question.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crd::{ChuteDeployment, GpuServer};
use jiff::Timestamp;
use protocol::dto::InstanceRow;
use protocol::ids::{GpuUuid, InstanceId, ServerName};
use store::{GpuFacts, IdleGpu, InstanceRecord, ServerFacts, Store};

use crate::Result;
use crate::validator_view::View;

/// Writes money and history.
pub struct Ledger {
    store: Store,
    written: Mutex<BTreeMap<String, String>>,
}

impl Ledger {
    /// A ledger over this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, written: Mutex::default() }
    }

    /// Whether this fact about this subject is news.
    fn is_news(&self, subject: &str, fact: &str) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.get(subject).is_none_or(|known| known != fact)
    }

    fn remember(&self, subject: String, fact: String) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(subject, fact);
    }

    /// Writes what the validator says of a deployment's instance.
    ///
    /// # Errors
    /// The store's.
    pub async fn instance(&self, deployment: &ChuteDeployment, row: &InstanceRow, private: bool) -> Result<()> {
        let record = record(deployment, row, private);
        let subject = format!("instance/{}", row.instance_id);
        let fact = format!("{record:?} {:?}", row.compute_multiplier);
        if !self.is_news(&subject, &fact) {
            return Ok(());
        }
        self.store.record_instance(&record).await?;
        if let (Some(multiplier), Some(_)) = (row.compute_multiplier.and_then(micro), record.activated_at) {
            self.store.record_multiplier(&row.instance_id, multiplier, "instances", Timestamp::now()).await?;
        }
        self.remember(subject, fact);
        Ok(())
    }

    /// Closes the books of an instance. The validator's own time of the end is in no list: `at` is when its absence was proven.
    ///
    /// # Errors
    /// The store's.
    pub async fn instance_ended(&self, instance: &InstanceId, reason: &str, at: Timestamp) -> Result<()> {
        if let Some(record) = self.store.instance(instance).await?
            && record.deleted_at.is_none()
        {
            let deletion_reason = Some(reason.to_owned());
            self.store.record_instance(&InstanceRecord { deleted_at: Some(at), deletion_reason, ..record }).await?;
        }
        self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(&format!("instance/{instance}"));
        Ok(())
    }

    /// Writes what is known of a server, and what it costs.
    ///
    /// # Errors
    /// The store's.
    pub async fn server(&self, name: &ServerName, server: &GpuServer) -> Result<()> {
        let spec = &server.spec;
        let reported = server.status.as_ref().and_then(|status| status.reported.clone()).unwrap_or_default();
        let facts = ServerFacts {
            name: name.clone(),
            server_id: reported.node_uid.as_deref().and_then(|uid| uid.parse().ok()),
            validator: spec.validator.clone(),
            gpu_ref: spec.gpu_ref.clone(),
            gpu_count: u32::from(spec.gpu_count),
            address: Some(spec.address.clone()),
        };
        let gpus: Vec<GpuFacts> = reported.gpus.iter().map(|gpu| GpuFacts { uuid: gpu.uuid.clone(), model: gpu.name.clone() }).collect();
        let cost = micro(spec.hourly_cost_per_gpu).unwrap_or(0);
        let (subject, fact) = (format!("server/{name}"), format!("{facts:?} {gpus:?} {cost}"));
        if !self.is_news(&subject, &fact) {
            return Ok(());
        }
        self.store.see_server(&facts).await?;
        self.store.see_gpus(name, &gpus).await?;
        self.store.record_cost(name, cost, facts.gpu_count, Timestamp::now()).await?;
        self.remember(subject, fact);
        Ok(())
    }

    /// Closes the books of a server.
    ///
    /// # Errors
    /// The store's.
    pub async fn server_removed(&self, name: &ServerName) -> Result<()> {
        let now = Timestamp::now();
        self.store.record_idle(name, &[], now).await?;
        self.store.end_cost(name, now).await?;
        self.store.remove_server(name).await?;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.remove(&format!("server/{name}"));
        written.remove(&format!("idle/{name}"));
        Ok(())
    }

    /// Writes which of a server's GPUs stand idle, and why.
    ///
    /// # Errors
    /// The store's.
    pub async fn idle(&self, server: &ServerName, idle: &[(GpuUuid, &'static str)], at: Timestamp) -> Result<()> {
        let (subject, fact) = (format!("idle/{server}"), format!("{idle:?}"));
        if !self.is_news(&subject, &fact) {
            return Ok(());
        }
        let rows: Vec<IdleGpu> = idle.iter().map(|(gpu, code)| IdleGpu { gpu: gpu.clone(), reason_code: (*code).to_owned() }).collect();
        self.store.record_idle(server, &rows, at).await?;
        self.remember(subject, fact);
        Ok(())
    }
}

/// Whether the owner of an instance's chute pays for it alone.
#[must_use]
pub fn private(view: &View, row: &InstanceRow) -> bool {
    view.offers.get(&row.chute_id).is_some_and(|chute| !chute.public)
}

fn record(deployment: &ChuteDeployment, row: &InstanceRow, private: bool) -> InstanceRecord {
    let spec = &deployment.spec;
    let time = |time: Option<protocol::time::WireTime>| time.map(protocol::time::WireTime::timestamp);
    InstanceRecord {
        instance: row.instance_id.clone(),
        deployment: Some(spec.deployment_id.clone()),
        config: row.config_id.clone(),
        validator: spec.validator.clone(),
        chute_id: spec.chute.id.clone(),
        version: spec.chute.version.clone(),
        server: spec.server.clone(),
        gpu_count: u32::from(spec.gpu_count),
        private,
        created_at: time(row.created_at)
            .or(deployment.metadata.creation_timestamp.as_ref().map(|at| at.0))
            .unwrap_or(Timestamp::UNIX_EPOCH),
        // The list's time moves with every later proof; the first one told is the one that stays written.
        verified_at: time(row.last_verified_at).filter(|_| row.verified),
        activated_at: time(row.activated_at),
        deleted_at: None,
        deletion_reason: None,
    }
}

/// Millionths, if the number is one that can be counted so.
#[must_use]
pub fn micro(value: f64) -> Option<i64> {
    let micro = (value * 1_000_000.0).round();
    (micro.is_finite() && (0.0..9.0e18).contains(&micro)).then_some(micro as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_numbers_are_no_money() {
        assert_eq!(micro(1.25), Some(1_250_000));
        for odd in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert_eq!(micro(odd), None, "{odd}");
        }
    }
}
