//! The side channel's client, for tests and tools in another process.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{AdvanceBody, DetailBody, EmitBody, EndBody, JobBody, MinerBody, MultiplierBody};
use crate::{ChutePatch, ChuteSpec, Counters, EventFault, Fault, LoggedRequest, Snapshot, Unexpected};

/// Patience with one call.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why an admin call failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No answer, or none that can be read.
    #[error("validator-sim does not answer: {0}")]
    Transport(#[from] reqwest::Error),
    /// The simulator refused.
    #[error("validator-sim refused with {status}: {detail}")]
    Refused {
        /// Status.
        status: u16,
        /// Reason.
        detail: String,
    },
}

/// Client of the side channel.
#[derive(Debug, Clone)]
pub struct AdminClient {
    base: String,
    http: reqwest::Client,
}

type Done = Result<(), AdminError>;

impl AdminClient {
    /// For the admin base url, such as `http://127.0.0.1:9001`.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(base: &str) -> Result<Self, AdminError> {
        // The client wants a TLS provider even for plain http; a second installation is refused and harmless.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), http })
    }

    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/_sim/{path}", self.base))
    }

    async fn read<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, AdminError> {
        let response = request.send().await?;
        let status = response.status();
        if !status.is_success() {
            return Err(AdminError::Refused { status: status.as_u16(), detail: response.text().await.unwrap_or_default() });
        }
        Ok(response.json().await?)
    }

    async fn send(&self, method: Method, path: &str, body: &impl Serialize) -> Result<Value, AdminError> {
        Self::read(self.call(method, path).json(body)).await
    }

    async fn tell(&self, method: Method, path: &str, body: &impl Serialize) -> Done {
        self.send(method, path, body).await.map(drop)
    }

    /// Whether the simulator answers.
    pub async fn health(&self) -> Done {
        Self::read::<Value>(self.call(Method::GET, "health")).await.map(drop)
    }

    /// Everything at this moment.
    pub async fn snapshot(&self) -> Result<Snapshot, AdminError> {
        Self::read(self.call(Method::GET, "state")).await
    }

    /// Every count.
    pub async fn counters(&self) -> Result<Counters, AdminError> {
        Self::read(self.call(Method::GET, "counters")).await
    }

    /// The latest requests, oldest first.
    pub async fn requests(&self) -> Result<Vec<LoggedRequest>, AdminError> {
        Self::read(self.call(Method::GET, "requests")).await
    }

    /// Payloads of the latest events that were due.
    pub async fn events(&self) -> Result<Vec<Value>, AdminError> {
        Self::read(self.call(Method::GET, "events")).await
    }

    /// Requests that nobody should have made.
    pub async fn unexpected(&self) -> Result<Vec<Unexpected>, AdminError> {
        Self::read(self.call(Method::GET, "unexpected")).await
    }

    /// Forgets the unexpected requests.
    pub async fn clear_unexpected(&self) -> Done {
        self.tell(Method::DELETE, "unexpected", &json!({})).await
    }

    /// Registers a hotkey on the subnet.
    pub async fn register_miner(&self, hotkey: &str) -> Done {
        self.tell(Method::POST, "miners", &MinerBody { hotkey: hotkey.to_owned(), blacklisted: None }).await
    }

    /// Blacklists a hotkey with a reason, or forgives it.
    pub async fn blacklist(&self, hotkey: &str, reason: Option<&str>) -> Done {
        let body = MinerBody { hotkey: hotkey.to_owned(), blacklisted: reason.map(str::to_owned) };
        self.tell(Method::POST, "miners", &body).await
    }

    /// Creates a chute; its row as miners see it.
    pub async fn create_chute(&self, spec: &ChuteSpec) -> Result<Value, AdminError> {
        self.send(Method::POST, "chutes", spec).await
    }

    /// Changes a chute, by id or name.
    pub async fn update_chute(&self, name: &str, patch: &ChutePatch) -> Result<Value, AdminError> {
        self.send(Method::PATCH, &format!("chutes/{name}"), patch).await
    }

    /// Deletes a chute with its instances, by id or name.
    pub async fn delete_chute(&self, name: &str) -> Done {
        self.tell(Method::DELETE, &format!("chutes/{name}"), &json!({})).await
    }

    /// Offers a bounty for a chute, by id or name.
    pub async fn offer_bounty(&self, chute: &str) -> Done {
        self.tell(Method::POST, &format!("chutes/{chute}/bounty"), &json!({})).await
    }

    /// Offers a job of a chute, by id or name. Its id.
    pub async fn create_job(&self, chute: &str, method: &str, disk_gb: u32) -> Result<String, AdminError> {
        let body = JobBody { chute: chute.to_owned(), method: method.to_owned(), disk_gb };
        let reply = self.send(Method::POST, "jobs", &body).await?;
        Ok(reply["job_id"].as_str().unwrap_or_default().to_owned())
    }

    /// A job is done; its instance ends.
    pub async fn finish_job(&self, job_id: &str) -> Done {
        self.tell(Method::POST, &format!("jobs/{job_id}/finish"), &json!({})).await
    }

    /// Ends an instance with a reason.
    pub async fn delete_instance(&self, instance_id: &str, reason: &str) -> Done {
        self.tell(Method::POST, &format!("instances/{instance_id}/delete"), &EndBody { reason: reason.to_owned() }).await
    }

    /// A new multiplier of an instance from now on.
    pub async fn set_multiplier(&self, instance_id: &str, multiplier: f64) -> Done {
        self.tell(Method::PUT, &format!("instances/{instance_id}/multiplier"), &MultiplierBody { multiplier }).await
    }

    /// The next GPU check fails with this detail.
    pub async fn fail_next_check(&self, detail: &str) -> Done {
        self.tell(Method::POST, "nodes/fail_next_check", &DetailBody { detail: detail.to_owned() }).await
    }

    /// Orders a fault.
    pub async fn fault(&self, fault: &Fault) -> Done {
        self.tell(Method::POST, "faults", fault).await
    }

    /// Orders an event fault.
    pub async fn event_fault(&self, fault: &EventFault) -> Done {
        self.tell(Method::POST, "event_faults", fault).await
    }

    /// Takes every fault back.
    pub async fn clear_faults(&self) -> Done {
        self.tell(Method::DELETE, "faults", &json!({})).await
    }

    /// Sends any payload as `miner_broadcast`.
    pub async fn emit(&self, payload: Value, recipient: Option<&str>) -> Done {
        self.tell(Method::POST, "emit", &EmitBody { payload, recipient: recipient.map(str::to_owned) }).await
    }

    /// Drops every socket.
    pub async fn drop_sockets(&self) -> Done {
        self.tell(Method::POST, "sockets/drop", &json!({})).await
    }

    /// Moves the simulator's clock forward.
    pub async fn advance(&self, by: Duration) -> Done {
        self.tell(Method::POST, "clock/advance", &AdvanceBody { seconds: by.as_secs_f64() }).await
    }

    /// Back to the state of start; sockets stay.
    pub async fn reset(&self) -> Done {
        self.tell(Method::POST, "reset", &json!({})).await
    }
}
