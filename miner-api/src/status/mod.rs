//! The report behind `chutes-miner status`: problems first, each with the command that helps. Pure.

mod chain;
mod deployments;
mod gepetto;
mod launches;
mod ledger;
mod operator;
mod problems;
mod servers;
mod validators;

use crate::{
    ports::{
        fleet::{FleetError, OperatorSigns, Source, View},
        ledger::{LedgerDown, Sums},
    },
    rows::wire,
};
use jiff::Timestamp;
use protocol::ids::Ss58;
use serde::Serialize;

pub use chain::{ChainLine, Seen};
pub use deployments::Deployments;
pub use gepetto::Gepetto;
pub use ledger::LedgerReport;
pub use operator::Operator;
pub use problems::{Problem, Severity};
pub use servers::{IdleGpu, ServerLine};
pub use validators::ValidatorLine;

/// Everything a person wants to know first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Version of this shape; grows only when a field changes its meaning.
    pub version: u32,
    /// When the report was made.
    pub at: String,
    /// What is wrong, worst first.
    pub problems: Vec<Problem>,
    /// The servers.
    pub servers: Vec<ServerLine>,
    /// The deployments, by phase.
    pub deployments: Deployments,
    /// The links to the validators.
    pub validators: Vec<ValidatorLine>,
    /// Whether the operator lives and plans.
    pub operator: Operator,
    /// The strategy.
    pub gepetto: Gepetto,
    /// Sums of the ledger, if Postgres answered.
    pub ledger: LedgerReport,
    /// How the hotkey stands on the chain, if that is watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainLine>,
    /// How old each source of this report is.
    pub sources: Vec<Source>,
}

/// Makes the report.
#[must_use]
pub fn report(view: &View, operator: &Result<OperatorSigns, FleetError>, sums: Result<Sums, LedgerDown>, now: Timestamp) -> Report {
    let idle_now = sums.as_ref().map(|sums| sums.idle_now.clone()).unwrap_or_default();
    let servers = servers::lines(view, &idle_now, now);
    let validators = validators::lines(view);
    let gepetto = gepetto::of(view);
    let ledger = ledger::of(sums);
    let deployments = deployments::of(view, now);
    let (operator, unwell) = operator::of(operator, now);
    let mut problems = problems::find(view, &servers, &validators, &gepetto, &ledger, unwell);
    problems.extend(launches::failing(view, &ledger.sums.failing, now));
    problems.extend(launches::stuck(&deployments));
    problems.sort_by_key(|one| one.severity);
    Report {
        version: 1,
        at: wire(now),
        problems,
        servers,
        deployments,
        validators,
        operator,
        gepetto,
        ledger,
        chain: None,
        sources: view.sources.clone(),
    }
}

impl Report {
    /// The same with how the hotkey stands on the chain, if that is watched.
    #[must_use]
    pub fn with_chain(mut self, hotkey: &Ss58, seen: Option<&Seen>) -> Self {
        if let Some(seen) = seen {
            let (line, found) = chain::of(hotkey, seen);
            self.chain = Some(line);
            self.problems.extend(found);
            self.problems.sort_by_key(|one| one.severity);
        }
        self
    }
}

#[cfg(test)]
mod tests;
