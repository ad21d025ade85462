//! The calls to an agent, signed by the hotkey.

use crate::ports::agents::{AgentStatus, Agents, EnrolError, EnrolOrder, EnrolReply};
use async_trait::async_trait;
use protocol::{
    key::Keypair,
    sign::{Purpose, Signed, management_headers},
};
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};

const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(30);
/// An agent's reply is a few thousand bytes.
const LONGEST_REPLY: usize = 64 * 1024;

/// Talks to agents over HTTP.
#[derive(Debug)]
pub struct AgentClient {
    key: Arc<Keypair>,
    http: reqwest::Client,
}

impl AgentClient {
    /// A client that signs with the hotkey.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(key: Arc<Keypair>) -> Result<Self, reqwest::Error> {
        // No redirects: the signature is for this agent, and a redirect would carry it elsewhere.
        let http =
            reqwest::Client::builder().connect_timeout(CONNECT).timeout(TOTAL).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { key, http })
    }
}

#[async_trait]
impl Agents for AgentClient {
    async fn look(&self, agent_api: &str) -> Result<AgentStatus, EnrolError> {
        self.ask(self.http.get(url(agent_api, "status")), Signed::Purpose(Purpose::Management)).await
    }

    async fn enrol(&self, agent_api: &str, order: &EnrolOrder) -> Result<EnrolReply, EnrolError> {
        let body = serde_json::to_vec(order).map_err(|error| EnrolError::Unreachable(error.to_string()))?;
        let request = self.http.post(url(agent_api, "enroll")).header("content-type", "application/json").body(body.clone());
        self.ask(request, Signed::Body(&body)).await
    }
}

fn url(agent_api: &str, path: &str) -> String {
    format!("{}/{path}", agent_api.trim_end_matches('/'))
}

impl AgentClient {
    /// Signs a request, sends it and reads the answer.
    async fn ask<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder, what: Signed<'_>) -> Result<T, EnrolError> {
        let unreachable = |cause: String| EnrolError::Unreachable(cause);
        let headers = management_headers(&self.key, what, jiff::Timestamp::now().as_second());
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let mut answer = request.send().await.map_err(|error| unreachable(cause(&error)))?;
        let status = answer.status();
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(cause(&error)))? {
            if text.len() + chunk.len() > LONGEST_REPLY {
                return Err(unreachable("the reply is too long for an agent's: is this the agent's port?".to_owned()));
            }
            text.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            return Err(EnrolError::Refused { status: status.as_u16(), detail: detail(&text) });
        }
        serde_json::from_slice(&text).map_err(|_| unreachable("the reply is not an agent's: is this the agent's port?".to_owned()))
    }
}

/// The whole chain of causes; the first link alone says only that sending failed.
fn cause(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

/// The words of a refusal, short and printable.
fn detail(body: &[u8]) -> String {
    let parsed: Option<String> = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|value| value.get("detail").and_then(|detail| detail.as_str().map(str::to_owned)));
    let text = parsed.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}
