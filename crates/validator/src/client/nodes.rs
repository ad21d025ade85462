//! The GPU catalogue, and GPUs advertised for proof by work.

use std::collections::BTreeMap;

use protocol::device::ServerAdvert;
use protocol::dto::{SupportedGpu, Verification, VerificationStatus};
use protocol::ids::{GpuRef, GpuUuid};
use protocol::sign::Purpose;
use serde::{Deserialize, Serialize};

use super::http::{Call, Sign};
use super::{Deletion, ValidatorClient};
use crate::ValidatorError;
use crate::error::says_absent;

/// The task id of a validator that does not check GPUs. It cannot be polled.
const NO_CHECK: &str = "skip";

/// An accepted advert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// What to ask [`ValidatorClient::verification_status`] about.
    pub task_id: String,
    /// Seed of the GPU proof, the same for all GPUs of the advert.
    pub seed: u64,
}

#[derive(Deserialize)]
struct AdvertReply {
    nodes: Vec<SeedOfNode>,
    task_id: String,
}

#[derive(Deserialize)]
struct SeedOfNode {
    seed: u64,
}

#[derive(Deserialize)]
struct DeletedReply {
    #[serde(default)]
    deleted: Option<bool>,
}

impl ValidatorClient {
    /// The validator's own GPU catalogue.
    pub async fn supported_gpus(&self) -> Result<BTreeMap<GpuRef, SupportedGpu>, ValidatorError> {
        let call = Call { sign: Sign::Not, ..Call::get("supported GPUs", &["nodes", "supported"], Purpose::Nodes) };
        self.http.json(call, 200).await
    }

    /// Advertises a server's GPUs for proof by work. There is no update: a change is [`delete_node`] and a new advert.
    ///
    /// [`delete_node`]: ValidatorClient::delete_node
    pub async fn advertise(&self, server: &ServerAdvert) -> Result<Advertised, ValidatorError> {
        const NAME: &str = "advertise GPUs";
        if server.nodes.is_empty() {
            // The validator would accept it and start a job about nothing.
            return Err(ValidatorError::Refused { call: NAME, reason: "the advert names no GPU" });
        }
        let reply: AdvertReply = self.http.json(Call::post(NAME, &["nodes", ""], to_json(server)), 202).await?;
        let nonsense = |reason: String| ValidatorError::Nonsense { call: NAME, reason };
        if reply.nodes.len() != server.nodes.len() {
            return Err(nonsense(format!("{} GPUs advertised, {} accepted", server.nodes.len(), reply.nodes.len())));
        }
        let seed = reply.nodes[0].seed;
        if reply.nodes.iter().any(|node| node.seed != seed) {
            return Err(nonsense("the GPUs of one advert got different seeds".to_owned()));
        }
        Ok(Advertised { task_id: reply.task_id, seed })
    }

    /// How the verification of an advert stands.
    pub async fn verification_status(&self, task_id: &str) -> Result<Verification, ValidatorError> {
        if task_id == NO_CHECK {
            return Ok(Verification::Verified);
        }
        let mut call = Call::get("verification status", &["nodes", "verification_status"], Purpose::Graval);
        let query = [("task_id", task_id)];
        call.query = &query;
        let status: VerificationStatus = self.http.json(call, 200).await?;
        Ok(status.into())
    }

    /// De-registers a GPU. Its instances end.
    pub async fn delete_node(&self, gpu: &GpuUuid) -> Result<Deletion, ValidatorError> {
        self.delete(Call::delete("delete a GPU", &["nodes", gpu.as_str()], Purpose::Nodes)).await
    }

    /// Deletes, and believes only a plain answer.
    pub(super) async fn delete(&self, call: Call<'_>) -> Result<Deletion, ValidatorError> {
        let name = call.name;
        match self.http.json::<Option<DeletedReply>>(call, 200).await {
            Ok(Some(DeletedReply { deleted: Some(false) })) => {
                Err(ValidatorError::Nonsense { call: name, reason: "status 200, but it says not deleted".to_owned() })
            }
            Ok(_) => Ok(Deletion::Deleted),
            Err(error) if says_absent(&error) => Ok(Deletion::NotFound),
            Err(error) => Err(error),
        }
    }
}

/// Compact JSON; the bytes that are signed are the bytes that are sent.
pub(super) fn to_json<T: Serialize>(body: &T) -> Vec<u8> {
    serde_json::to_vec(body).expect("plain structures of text and numbers are always JSON")
}
