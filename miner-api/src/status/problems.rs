//! What is wrong, worst first, each with the command that helps.

use super::{Gepetto, LedgerReport, ServerLine, ValidatorLine};
use crate::ports::fleet::View;
use crd::{
    conditions,
    gpu_server::{GpuHealth, condition},
};
use serde::Serialize;

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Money is being lost now, or nothing can be decided.
    Critical,
    /// Something needs a person soon.
    Warning,
    /// Worth knowing.
    Info,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// With what, such as `server gpu-1`.
    pub subject: String,
    /// What.
    pub what: String,
    /// What to run.
    pub command: String,
}

pub(super) fn find(
    view: &View,
    servers: &[ServerLine],
    validators: &[ValidatorLine],
    gepetto: &Gepetto,
    ledger: &LedgerReport,
    operator: Option<Problem>,
) -> Vec<Problem> {
    let mut found = Vec::new();
    sources(view, &mut found);
    let unwell = operator.is_some();
    found.extend(operator);
    if !ledger.available {
        let why = ledger.error.as_deref().unwrap_or_default();
        found.push(problem(
            Severity::Critical,
            "postgres",
            format!("not available: nothing new is launched, changes are refused ({why})"),
            "kubectl -n chutes get pods",
        ));
    }
    links(validators, &mut found);
    for (resource, line) in view.servers.iter().zip(servers) {
        server(resource, line, &mut found);
    }
    // What an operator that is unwell wrote there last is no news, or the same news.
    if gepetto.planning == "False" && !unwell {
        let why = gepetto.why.clone().unwrap_or_default();
        found.push(problem(
            Severity::Warning,
            "gepetto",
            format!("does not plan: {why}"),
            "kubectl -n chutes describe gepettopolicy default",
        ));
    } else if gepetto.mode != "Active" {
        found.push(problem(
            Severity::Info,
            "gepetto",
            format!("mode is {}: no plan is carried out", gepetto.mode),
            "kubectl -n chutes edit gepettopolicy default",
        ));
    }
    found
}

pub(super) fn problem(severity: Severity, subject: impl Into<String>, what: String, command: impl Into<String>) -> Problem {
    Problem { severity, subject: subject.into(), what, command: command.into() }
}

fn sources(view: &View, found: &mut Vec<Problem>) {
    for source in &view.sources {
        let what = match source.age_s {
            None => "was never read from the control cluster: this report may lack most of it".to_owned(),
            Some(_) if !source.is_old() => continue,
            Some(age) => format!("was last heard of {age} s ago: this report may be old"),
        };
        let command = format!("kubectl get {} -A", source.name);
        found.push(problem(Severity::Critical, format!("watch {}", source.name), what, command));
    }
}

fn links(validators: &[ValidatorLine], found: &mut Vec<Problem>) {
    if validators.is_empty() {
        found.push(problem(
            Severity::Critical,
            "validators",
            "none is configured: nobody to earn from".to_owned(),
            "kubectl apply -f validator.yaml",
        ));
    }
    for line in validators {
        let describe = format!("kubectl -n chutes describe validator {}", line.name);
        if line.in_sync.state != "True" {
            let what = format!("its chute list is not in sync ({}) {}", line.in_sync.reason, line.in_sync.message);
            found.push(problem(Severity::Critical, format!("validator {}", line.name), what.trim_end().to_owned(), describe.clone()));
        }
        if line.connected.state != "True" {
            let what = format!("its events do not arrive ({}) {}; lists go on", line.connected.reason, line.connected.message);
            found.push(problem(Severity::Warning, format!("validator {}", line.name), what, describe));
        }
    }
}

fn server(resource: &crd::GpuServer, line: &ServerLine, found: &mut Vec<Problem>) {
    let subject = format!("server {}", line.name);
    let describe = format!("kubectl -n chutes describe gpuserver {}", line.name);
    let status = resource.status.clone().unwrap_or_default();
    if resource.metadata.deletion_timestamp.is_some() {
        let why = conditions::get(&status.conditions, condition::DELETABLE).filter(|one| one.status != "True");
        let confirmed =
            resource.metadata.annotations.as_ref().and_then(|marks| marks.get(crd::annotations::CONFIRM_DELETE)) == Some(&line.name);
        match (confirmed, why) {
            (false, _) => found.push(problem(
                Severity::Warning,
                subject,
                "its deletion waits for a confirmation".to_owned(),
                format!("chutes-miner delete-node --name {}", line.name),
            )),
            (true, Some(why)) => found.push(problem(Severity::Info, subject, format!("is being deleted: {}", why.message), describe)),
            (true, None) => {}
        }
        return;
    }
    for gpu in status.reported.iter().flat_map(|reported| &reported.gpus).filter(|gpu| gpu.health != GpuHealth::Ok) {
        let detail = gpu.detail.as_deref().unwrap_or("no details");
        found.push(problem(
            Severity::Warning,
            subject.clone(),
            format!("GPU {} ({}) is {}: {detail}", gpu.index, gpu.uuid, gpu.health),
            describe.clone(),
        ));
    }
    // The first step that did not succeed explains all later ones.
    let order =
        [condition::PROVISIONED, condition::ENROLLED, condition::INVENTORIED, condition::ADVERTISED, condition::VERIFIED, condition::READY];
    let first = order.iter().filter_map(|kind| conditions::get(&status.conditions, kind)).find(|one| one.status != "True");
    if let Some(fault) = first {
        let severity = if fault.type_ == condition::READY || line.busy > 0 { Severity::Critical } else { Severity::Warning };
        let what = format!("{} is {} ({}) {}", fault.type_, fault.status, fault.reason, fault.message);
        found.push(problem(severity, subject.clone(), what.trim_end().to_owned(), describe));
    }
    if line.holds.iter().any(|owner| owner == crd::gpu_server::PERSON) && !line.idle.is_empty() {
        let what = format!("locked by a person, {} of {} GPUs idle", line.idle.len(), line.gpus);
        found.push(problem(Severity::Info, subject, what, format!("chutes-miner unlock --name {}", line.name)));
    }
}
