//! Buying a token of the miner API, over TLS that trusts the pinned authority and nobody else.

use crate::enrolment::Enrolment;
use crate::identity::Identity;
use jiff::Timestamp;
use protocol::sign::{Signed, four_part_headers};
use serde::{Deserialize, Serialize};
use service::redact::Redacted;
use std::time::Duration;
use url::Url;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(15);
/// No answer of ours is longer.
const LONGEST_ANSWER: usize = 256 * 1024;

/// A bearer token of the control cluster.
pub type Token = Redacted<String>;

/// What a token is good for. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The server it was granted to.
    pub server: String,
    /// The miner API that granted it.
    pub control_url: Url,
    /// When it was bought, by our clock.
    pub bought_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The control cluster's API server.
    pub api_server: String,
    /// PEM of the certificate authority of that.
    pub ca_pem: String,
    /// The server's own namespace there.
    pub namespace: String,
}

/// The miner API's answer.
#[derive(Deserialize)]
struct Answer {
    token: String,
    expires_at: Timestamp,
    api_server: String,
    ca_pem: String,
    namespace: String,
}

/// The miner API's words when it refuses.
#[derive(Deserialize)]
struct Complaint {
    detail: String,
    code: Option<String>,
}

/// The code of a refusal for good: the node key is not the one that is pinned for the server.
const REPLACED: &str = "NodeKeyNotPinned";

/// Why no token was bought. Never holds one.
#[derive(Debug, thiserror::Error)]
pub enum BuyError {
    /// The miner API cannot be reached, or it is not the one we pinned.
    #[error("the control plane at {url} cannot be reached: {why}")]
    Transport {
        /// Where.
        url: String,
        /// What went wrong.
        why: String,
    },
    /// It refused.
    #[error("the control plane refused a token ({status}): {detail}")]
    Refused {
        /// Its HTTP status.
        status: u16,
        /// Its words.
        detail: String,
        /// Its reason for programs, if it gave one.
        code: Option<String>,
    },
    /// Its answer makes no sense.
    #[error("the control plane's answer makes no sense: {0}")]
    Answer(String),
    /// It was bought, but could not be put where clients read it.
    #[error("a token was bought but could not be kept: {0}")]
    Kept(String),
}

impl BuyError {
    /// Whether the control plane knows this server by another node key: no waiting helps.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        matches!(self, Self::Refused { code: Some(code), .. } if code == REPLACED)
    }
}

/// Buys tokens for one enrolment.
pub struct Buyer {
    http: reqwest::Client,
    url: Url,
    enrolment: Enrolment,
    identity: Identity,
}

impl Buyer {
    /// A buyer that trusts the enrolment's authority and nobody else.
    ///
    /// # Errors
    /// The enrolment's URL or certificate cannot be used.
    pub fn new(enrolment: Enrolment, identity: Identity) -> Result<Self, BuyError> {
        let unusable = |why: String| BuyError::Transport { url: enrolment.control_url.to_string(), why };
        let roots = reqwest::Certificate::from_pem_bundle(enrolment.ca_pem.as_bytes()).map_err(|error| unusable(text(&error)))?;
        let http = reqwest::Client::builder()
            .https_only(true)
            .tls_certs_only(roots)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(LIMIT)
            .build()
            .map_err(|error| unusable(text(&error)))?;
        let mut url = enrolment.control_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["nodes", enrolment.server.as_str(), "token"]);
        }
        Ok(Self { http, url, enrolment, identity })
    }

    /// Buys a token.
    ///
    /// # Errors
    /// No connection, a refusal, or an answer that makes no sense.
    pub async fn buy(&self, now: Timestamp) -> Result<(Grant, Token), BuyError> {
        let body = serde_json::json!({ "node_key": self.identity.address() }).to_string();
        let headers = four_part_headers(self.identity.key(), &self.enrolment.miner, Signed::Body(body.as_bytes()), now.as_second());
        let mut request = self.http.post(self.url.clone()).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.body(body).send().await.map_err(|error| self.transport(&error))?;
        let status = response.status().as_u16();
        let answer = self.read(response).await?;
        if status != 200 {
            let Complaint { detail, code } = complaint(&answer);
            return Err(BuyError::Refused { status, detail, code });
        }
        self.grant(&answer, now)
    }

    fn grant(&self, answer: &[u8], now: Timestamp) -> Result<(Grant, Token), BuyError> {
        // The parser's error may quote the answer, which holds the token: only where it failed is told.
        let answer: Answer = serde_json::from_slice(answer)
            .map_err(|error| BuyError::Answer(format!("not the JSON that is wanted, line {} column {}", error.line(), error.column())))?;
        let wanted = crd::node_namespace(self.enrolment.server.as_str());
        if answer.namespace != wanted {
            return Err(BuyError::Answer(format!("a token for namespace {} where {wanted} is ours", answer.namespace)));
        }
        let grant = Grant {
            server: self.enrolment.server.to_string(),
            control_url: self.enrolment.control_url.clone(),
            bought_at: now,
            expires_at: answer.expires_at,
            api_server: answer.api_server,
            ca_pem: answer.ca_pem,
            namespace: answer.namespace,
        };
        Ok((grant, Token::new(answer.token)))
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Vec<u8>, BuyError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport(&error))? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(BuyError::Answer("it does not end".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn transport(&self, error: &reqwest::Error) -> BuyError {
        BuyError::Transport { url: self.enrolment.control_url.to_string(), why: text(error) }
    }
}

/// An error with its causes: the first line of reqwest's alone says next to nothing.
fn text(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn complaint(answer: &[u8]) -> Complaint {
    let read = serde_json::from_slice(answer);
    let mut complaint = read.unwrap_or_else(|_| Complaint { detail: String::from_utf8_lossy(answer).into_owned(), code: None });
    complaint.detail = complaint.detail.chars().take(500).collect();
    complaint
}

#[cfg(test)]
#[path = "buy_tests.rs"]
mod tests;
