//! The calls with the launch token: validator-protocol 1.8. A claim is made once; proof and activation repeat.

use std::{thread, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use ureq::{Agent, RequestBuilder, typestate::WithBody};

use super::{settings::Settings, token::Token};

/// Patience with one call.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Tries of a call that may be repeated, and the pause between them.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);
/// At capacity: the runtime gives up at once.
const LOCKED: u16 = 423;

/// The claim's answer, as far as the proof needs it.
pub(super) struct Claimed {
    challenge: String,
}

/// Status and body, or why there was none.
type Reply = Result<(u16, Value), ureq::Error>;

/// The calls of one launch.
pub(super) struct Calls<'a> {
    token: &'a Token,
    settings: &'a Settings,
    agent: Agent,
}

impl<'a> Calls<'a> {
    pub(super) fn new(token: &'a Token, settings: &'a Settings) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT)).proxy(None).build();
        Self { token, settings, agent: config.into() }
    }

    /// Claims the launch config. Only a connection that was never made is tried again.
    pub(super) fn claim(&self, gpus: &[Value]) -> Result<Claimed, String> {
        let ports = self.settings.ports.iter();
        let ports: Vec<Value> = ports
            .map(|(internal, external, proto)| {
                json!({"internal_port": internal, "external_port": external, "proto": proto, "default": *internal == 8000})
            })
            .collect();
        let mut body = json!({
            "gpus": gpus, "host": self.settings.external_host, "port_mappings": ports,
            "env": json!({"HOSTNAME": self.settings.hostname}).to_string(), "code": null,
        });
        let mut request_nonce = None;
        if self.token.tee {
            body["deployment_id"] = json!(self.settings.deployment());
            request_nonce = Some(self.nonce()?);
        }
        let mut tries = TRIES;
        loop {
            let mut request = self.agent.post(self.claim_url());
            if let Some(nonce) = &request_nonce {
                request = request.header("X-Chutes-Nonce", nonce);
            }
            match self.send(request, &body) {
                Ok((200, reply)) => {
                    let challenge = reply["symmetric_key"]["response_plaintext"].as_str().unwrap_or_default().to_owned();
                    if challenge.is_empty() && !self.token.tee {
                        return Err("the claim's answer has no challenge".to_owned());
                    }
                    return Ok(Claimed { challenge });
                }
                Ok((status, reply)) => return Err(refused("claim", status, &reply)),
                Err(ureq::Error::ConnectionFailed) if tries > 1 => again(&mut tries),
                Err(ureq::Error::Io(why)) if tries > 1 && why.kind() == std::io::ErrorKind::ConnectionRefused => again(&mut tries),
                Err(why) => return Err(format!("claim: {why}")),
            }
        }
    }

    /// Proves the claim. Returns where to activate.
    pub(super) fn verify(&self, claimed: &Claimed, gpus: &[Value]) -> Result<String, String> {
        let products: Map<String, Value> = gpus
            .iter()
            .filter_map(|gpu| gpu["uuid"].as_str())
            .map(|uuid| (uuid.to_owned(), json!({"work_product": format!("fake:{uuid}")})))
            .collect();
        let body = match self.token.tee {
            true => json!({}),
            false => json!({"response": STANDARD.encode(&claimed.challenge), "iv": "0".repeat(32), "proof": products}),
        };
        let reply = self.repeat("verify", || self.send(self.agent.put(self.claim_url()), &body))?;
        reply["activation_url"].as_str().map(str::to_owned).ok_or_else(|| "the proof's answer has no activation_url".to_owned())
    }

    /// Tells the validator that requests may come.
    pub(super) fn activate(&self, url: &str) -> Result<(), String> {
        let call = || {
            let request = self.agent.get(url).header("Authorization", &self.token.text);
            let mut response = request.call()?;
            let status = response.status().as_u16();
            Ok((status, body(&response.body_mut().read_to_string()?)))
        };
        self.repeat("activate", call).map(drop)
    }

    fn claim_url(&self) -> String {
        let tee = if self.token.tee { "/tee" } else { "" };
        format!("{}{tee}", self.token.url)
    }

    fn nonce(&self) -> Result<String, String> {
        let call = || {
            let mut response = self.agent.get(format!("{}/instances/nonce", self.token.origin())).call()?;
            let status = response.status().as_u16();
            Ok((status, body(&response.body_mut().read_to_string()?)))
        };
        let reply = self.repeat("nonce", call)?;
        reply.as_str().map(str::to_owned).ok_or_else(|| "the nonce is no text".to_owned())
    }

    fn send(&self, request: RequestBuilder<WithBody>, json: &Value) -> Reply {
        let request = request.header("Authorization", &self.token.text).header("Content-Type", "application/json");
        let mut response = request.send(json.to_string())?;
        let status = response.status().as_u16();
        Ok((status, body(&response.body_mut().read_to_string()?)))
    }

    /// Repeats a call over lost answers and server errors. A refusal ends it, as 423 always does.
    fn repeat(&self, what: &str, call: impl Fn() -> Reply) -> Result<Value, String> {
        let mut tries = TRIES;
        loop {
            let why = match call() {
                Ok((200, reply)) => return Ok(reply),
                Ok((LOCKED, reply)) => return Err(format!("{} (at capacity, giving up)", refused(what, LOCKED, &reply))),
                Ok((status, reply)) if status < 500 => return Err(refused(what, status, &reply)),
                Ok((status, reply)) => refused(what, status, &reply),
                Err(why) => format!("{what}: {why}"),
            };
            if tries <= 1 {
                return Err(why);
            }
            eprintln!("chutes: {why}; trying again");
            again(&mut tries);
        }
    }
}

fn again(tries: &mut u32) {
    *tries -= 1;
    thread::sleep(PAUSE);
}

fn body(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn refused(what: &str, status: u16, reply: &Value) -> String {
    format!("{what} was refused with {status}: {}", reply.get("detail").unwrap_or(reply))
}
