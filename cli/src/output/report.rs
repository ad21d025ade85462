//! The report of `GET /status`, read tolerantly: a newer miner API may say more, an older one less.

use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Report {
    pub(crate) problems: Vec<Problem>,
    pub(crate) servers: Vec<Server>,
    pub(crate) deployments: Deployments,
    pub(crate) validators: Vec<Validator>,
    pub(crate) gepetto: Gepetto,
    pub(crate) ledger: Ledger,
    pub(crate) chain: Option<Chain>,
}

/// How the hotkey stands on the chain.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Chain {
    pub(crate) registered: Option<bool>,
    pub(crate) netuid: Option<u16>,
    pub(crate) uid: Option<u16>,
    pub(crate) stake: Option<f64>,
    pub(crate) incentive: Option<f64>,
    pub(crate) rank: Option<u32>,
    pub(crate) miners: Option<u32>,
    pub(crate) registrations_to_eviction: Option<u32>,
    pub(crate) immune_for_blocks: Option<u64>,
    pub(crate) age_s: Option<i64>,
}

impl Chain {
    /// In a sentence.
    pub(crate) fn line(&self) -> String {
        let netuid = self.netuid.map_or_else(|| "?".to_owned(), |netuid| netuid.to_string());
        let age = self.age_s.map_or_else(String::new, |age| format!(", read {} ago", super::span(age)));
        match (self.registered, self.uid) {
            (Some(true), Some(uid)) => {
                let rank = self.rank.zip(self.miners).map_or_else(String::new, |(rank, miners)| format!(", miner {rank} of {miners}"));
                let immune = self.immune_for_blocks.filter(|blocks| *blocks > 0);
                let immune = immune.map_or_else(String::new, |blocks| format!(", immune for {blocks} blocks"));
                let lost = self.registrations_to_eviction.map_or_else(String::new, |nth| format!(", lost to registration {nth} from now"));
                let incentive = self.incentive.map_or_else(|| "unknown".to_owned(), |incentive| format!("{incentive:.5}"));
                let stake = self.stake.map_or_else(String::new, |stake| format!(", stake {stake:.3}"));
                format!("UID {uid} on subnet {netuid}: incentive {incentive}{rank}{stake}{immune}{lost}{age}")
            }
            (Some(true), None) => format!("registered on subnet {netuid}{age}"),
            (Some(false), _) => format!("not registered on subnet {netuid}{age}"),
            (None, _) => "not read yet".to_owned(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    pub(crate) severity: String,
    pub(crate) subject: String,
    pub(crate) what: String,
    pub(crate) command: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) phase: String,
    pub(crate) model: String,
    pub(crate) gpus: usize,
    pub(crate) busy: usize,
    pub(crate) idle: Vec<Idle>,
    pub(crate) holds: Vec<String>,
    pub(crate) hourly_cost_per_gpu: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Idle {
    pub(crate) reason: String,
}

impl Server {
    /// The reasons of its idle GPUs with how many each has.
    pub(crate) fn why_idle(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for idle in &self.idle {
            *counts.entry(&idle.reason).or_default() += 1;
        }
        if counts.is_empty() {
            "-".to_owned()
        } else {
            counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>().join(", ")
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Deployments {
    pub(crate) by_phase: BTreeMap<String, usize>,
    pub(crate) items: Vec<Deployment>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Deployment {
    pub(crate) chute: String,
    pub(crate) server: String,
    pub(crate) gpus: usize,
    pub(crate) phase: String,
    pub(crate) reason: Option<String>,
    pub(crate) seconds: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Validator {
    pub(crate) name: String,
    pub(crate) connected: Finding,
    pub(crate) in_sync: Finding,
    pub(crate) chutes: usize,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Finding {
    pub(crate) state: String,
    pub(crate) reason: String,
}

impl Finding {
    pub(crate) fn short(&self) -> String {
        match self.state.as_str() {
            "True" => "ok".to_owned(),
            "False" => format!("NOT ok ({})", self.reason),
            _ => "unknown".to_owned(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Gepetto {
    pub(crate) mode: String,
    pub(crate) last_plan: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Ledger {
    pub(crate) available: bool,
    pub(crate) hours: u32,
    pub(crate) gpu_seconds_by_server: BTreeMap<String, f64>,
    pub(crate) idle_seconds_by_reason: BTreeMap<String, f64>,
    pub(crate) cost_usd: f64,
}
