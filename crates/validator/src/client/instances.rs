//! Launch configs, instances, jobs.

use protocol::dto::LaunchConfig;
use protocol::ids::{ChuteId, InstanceId, JobId, ServerId};
use protocol::sign::Purpose;

use super::http::Call;
use super::{Deletion, ValidatorClient};
use crate::{LaunchError, ValidatorError};

impl ValidatorClient {
    /// Asks for the permission to launch one instance. It cannot be given back; for a job, asking is already the one
    /// attempt this hotkey has. Confidential launches name the server.
    pub async fn launch_config(
        &self,
        chute: &ChuteId,
        job: Option<&JobId>,
        server: Option<&ServerId>,
    ) -> Result<LaunchConfig, LaunchError> {
        let mut query = vec![("chute_id", chute.as_str())];
        query.extend(job.map(|job| ("job_id", job.as_str())));
        query.extend(server.map(|server| ("server_id", server.as_str())));
        let mut call = Call::get("launch config", &["instances", "launch_config"], Purpose::Launch);
        call.query = &query;
        Ok(self.http.json(call, 200).await?)
    }

    /// Ends an instance, at any state.
    pub async fn delete_instance(&self, chute: &ChuteId, instance: &InstanceId) -> Result<Deletion, ValidatorError> {
        let path = ["instances", chute.as_str(), instance.as_str()];
        self.delete(Call::delete("delete an instance", &path, Purpose::Instances)).await
    }

    /// Gives a job up, so that others may try.
    pub async fn delete_job(&self, job: &JobId) -> Result<Deletion, ValidatorError> {
        self.delete(Call::delete("give a job up", &["miner", "jobs", job.as_str()], Purpose::Miner)).await
    }
}
