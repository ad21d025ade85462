//! What `add-node` shows: the conditions of a GpuServer turned into the lines the existing miner's users and scripts know. Pure.

use crd::{GpuServer, conditions, gpu_server::Attestation, gpu_server::ServerPhase, gpu_server::condition};
use protocol::ids::Ss58;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a server may stand degraded before the stream gives up on it. The operator goes on trying.
const PATIENCE: Duration = Duration::from_secs(120);
/// The official command line hangs up after 900 s; we end before it.
const LONGEST: Duration = Duration::from_secs(890);

/// The lines of one step, and whether it was the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// New lines.
    pub lines: Vec<String>,
    /// Whether the stream ends here.
    pub done: bool,
}

/// What was shown so far.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    shown: BTreeMap<String, (String, String)>,
    degraded_since: Option<Duration>,
    awaits: Option<Ss58>,
}

impl Progress {
    /// Of a server that was there before and whose agent now has this node key: what was reached before is no news, and nothing is
    /// said before the operator has made the account for that key.
    #[must_use]
    pub fn of_known(server: &GpuServer, node_key: Ss58) -> Self {
        let known = server.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let lasting = [condition::INVENTORIED, condition::ADVERTISED, condition::VERIFIED];
        let reached = known.iter().filter(|found| found.status == "True" && lasting.contains(&found.type_.as_str()));
        let shown = reached.map(|found| (found.type_.clone(), (found.status.clone(), String::new()))).collect();
        Self { shown, degraded_since: None, awaits: Some(node_key) }
    }

    /// Compares the server as it is `elapsed` after the start with what was shown. `None`: it is gone.
    pub fn step(&mut self, server: Option<&GpuServer>, elapsed: Duration) -> Step {
        let Some(server) = server.filter(|server| server.metadata.deletion_timestamp.is_none()) else {
            return Step { lines: vec!["failed: the server was deleted meanwhile".to_owned()], done: true };
        };
        let status = server.status.clone().unwrap_or_default();
        let mut lines = Vec::new();
        if self.awaits.as_ref().is_some_and(|key| status.node_key.as_ref() != Some(key)) {
            let late = elapsed >= LONGEST;
            if late {
                lines.push(gave_up(&status.conditions, "time is up, and the operator has not made the account for the node key"));
            }
            return Step { lines, done: late };
        }
        for kind in [condition::PROVISIONED, condition::ENROLLED, condition::INVENTORIED, condition::ADVERTISED, condition::VERIFIED] {
            let Some(found) = conditions::get(&status.conditions, kind) else { continue };
            let now = (found.status.clone(), format!("{}: {}", found.reason, found.message));
            if self.shown.get(kind) == Some(&now) {
                continue;
            }
            let already_true = self.shown.get(kind).is_some_and(|(state, _)| state == "True");
            match found.status.as_str() {
                "True" if already_true => {}
                "True" => lines.extend(reached(kind, server)),
                _ if found.message.is_empty() => lines.push(format!("waiting: {kind} ({})", found.reason)),
                _ => lines.push(format!("waiting: {kind} ({}): {}", found.reason, found.message)),
            }
            self.shown.insert(kind.to_owned(), now);
        }
        if conditions::is_true(&status.conditions, condition::READY) {
            lines.push(format!("completed server bootstrapping in {:.2} seconds!", elapsed.as_secs_f64()));
            return Step { lines, done: true };
        }
        if status.phase == Some(ServerPhase::Degraded) {
            let since = *self.degraded_since.get_or_insert(elapsed);
            if elapsed.saturating_sub(since) >= PATIENCE {
                lines.push(gave_up(&status.conditions, "it needs attention"));
                return Step { lines, done: true };
            }
        } else {
            self.degraded_since = None;
        }
        if elapsed >= LONGEST {
            lines.push(gave_up(&status.conditions, "time is up"));
            return Step { lines, done: true };
        }
        Step { lines, done: false }
    }
}

fn gave_up(list: &[crd::Condition], why: &str) -> String {
    let order =
        [condition::VERIFIED, condition::ADVERTISED, condition::INVENTORIED, condition::ENROLLED, condition::PROVISIONED, condition::READY];
    let fault = order.iter().rev().filter_map(|kind| conditions::get(list, kind)).find(|found| found.status != "True");
    let fault = fault.map_or_else(
        || "nothing was reported yet".to_owned(),
        |found| format!("{} is {} ({}) {}", found.type_, found.status, found.reason, found.message),
    );
    format!(
        "failed: server bootstrapping did not complete, {why}: {}. The control plane goes on trying; see: chutes-miner status",
        fault.trim_end()
    )
}

/// The lines of the existing miner for a condition that became true.
fn reached(kind: &str, server: &GpuServer) -> Vec<String> {
    let spec = &server.spec;
    let name = server.metadata.name.as_deref().unwrap_or_default();
    let id = crate::rows::server_id(server);
    match kind {
        condition::PROVISIONED => vec![format!("server {name} has its namespace and account, waiting for its agent...")],
        condition::ENROLLED if spec.driver.remote.is_some() => vec![format!("Started monitoring server_id={id} through its kubeconfig...")],
        condition::ENROLLED => vec![format!("Started monitoring server_id={id}...")],
        condition::INVENTORIED => {
            let gpus = server
                .status
                .as_ref()
                .and_then(|status| status.reported.as_ref())
                .map(|reported| reported.gpus.as_slice())
                .unwrap_or_default();
            let model = gpus.first().map_or(spec.gpu_ref.as_str(), |gpu| gpu.name.as_str());
            let mut lines = Vec::new();
            if spec.attestation == Attestation::Tee {
                lines.push(format!("Verified attestation service is available for {name}[{}]", spec.address));
            }
            let count = if gpus.is_empty() { usize::from(spec.gpu_count) } else { gpus.len() };
            lines.push(format!("discovered {count} GPUs [model_name='{model}'] on node, advertising node to 1 validator(s)..."));
            lines
        }
        condition::ADVERTISED => vec![format!("Verifying server with {}...", spec.validator)],
        condition::VERIFIED => vec![format!("successfully verified server {name} to validator {}", spec.validator)],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crd::conditions::State;
    use jiff::Timestamp;
    use serde_json::json;

    fn server() -> GpuServer {
        let key = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";
        serde_json::from_value(json!({
            "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GpuServer", "metadata": { "name": "gpu-1", "namespace": "chutes" },
            "spec": { "nodeName": "gpu-1", "address": "203.0.113.7", "validator": key, "gpuRef": "h100", "gpuCount": 8,
                      "hourlyCostPerGpu": 2.5, "driver": { "agent": { "nodeKey": key } } },
            "status": { "serverId": "uid-1", "conditions": [] },
        }))
        .unwrap()
    }

    fn set(server: &mut GpuServer, kind: &str, state: State, reason: &str, message: &str) {
        let list = &mut server.status.as_mut().unwrap().conditions;
        conditions::set(list, kind, state, reason, message, None, Timestamp::UNIX_EPOCH);
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_good_run_shows_the_known_lines_in_order_and_ends_with_the_success_marker() {
        let (mut progress, mut server) = (Progress::default(), server());
        let mut all = progress.step(Some(&server), at(0)).lines;
        for kind in [condition::PROVISIONED, condition::ENROLLED, condition::INVENTORIED, condition::ADVERTISED, condition::VERIFIED] {
            set(&mut server, kind, State::True, "Done", "");
            all.extend(progress.step(Some(&server), at(1)).lines);
        }
        set(&mut server, condition::READY, State::True, "Done", "");
        let last = progress.step(Some(&server), at(12));
        assert!(last.done);
        all.extend(last.lines);
        let fragments = [
            "namespace",
            "Started monitoring server_id=uid-1",
            "discovered 8 GPUs",
            "Verifying server",
            "successfully verif",
            "completed server bootstrapping in 12.00 seconds!",
        ];
        assert_eq!(all.len(), fragments.len(), "{all:#?}");
        for (line, fragment) in all.iter().zip(fragments) {
            assert!(line.contains(fragment), "{line} lacks {fragment}");
        }
    }

    #[test]
    fn the_same_finding_is_shown_once() {
        let (mut progress, mut server) = (Progress::default(), server());
        set(&mut server, condition::VERIFIED, State::False, "Pending", "waiting for the validator");
        assert_eq!(progress.step(Some(&server), at(0)).lines.len(), 1);
        assert_eq!(progress.step(Some(&server), at(5)), Step { lines: vec![], done: false });
    }

    #[test]
    fn a_deleted_server_a_lasting_fault_and_the_end_of_time_end_the_stream_without_the_success_marker() {
        let mut server = server();
        set(&mut server, condition::VERIFIED, State::False, "Refused", "too slow");
        server.status.as_mut().unwrap().phase = Some(ServerPhase::Degraded);
        let mut progress = Progress::default();
        assert!(!progress.step(Some(&server), at(10)).done);
        assert!(!progress.step(Some(&server), at(100)).done);
        let ended = progress.step(Some(&server), at(131));
        assert!(
            ended.done && ended.lines[0].contains("too slow") && !ended.lines[0].contains("completed server bootstrapping"),
            "{ended:?}"
        );

        server.status.as_mut().unwrap().phase = Some(ServerPhase::Verifying);
        assert!(Progress::default().step(Some(&server), LONGEST).done);
        assert!(Progress::default().step(None, at(1)).done);
    }

    #[test]
    fn a_known_server_is_done_once_the_account_and_the_agent_are_those_of_the_new_key() {
        let (old, new) = (protocol::key::Keypair::generate().address().clone(), protocol::key::Keypair::generate().address().clone());
        let mut server = server();
        for kind in [
            condition::PROVISIONED,
            condition::ENROLLED,
            condition::INVENTORIED,
            condition::ADVERTISED,
            condition::VERIFIED,
            condition::READY,
        ] {
            set(&mut server, kind, State::True, "Done", "");
        }
        server.status.as_mut().unwrap().node_key = Some(old);
        let mut progress = Progress::of_known(&server, new.clone());
        assert_eq!(progress.step(Some(&server), at(1)), Step { lines: vec![], done: false }, "it still speaks of the old agent");
        server.status.as_mut().unwrap().node_key = Some(new.clone());
        set(&mut server, condition::ENROLLED, State::False, "WaitingForAgent", "waiting");
        set(&mut server, condition::READY, State::False, "WaitingForAgent", "waiting");
        let step = progress.step(Some(&server), at(2));
        assert!(!step.done && step.lines.len() == 2 && step.lines[1].contains("Enrolled"), "{step:?}");
        set(&mut server, condition::ENROLLED, State::True, "AgentReports", "");
        set(&mut server, condition::READY, State::True, "AllGood", "");
        let step = progress.step(Some(&server), at(3));
        assert!(step.done, "{step:?}");
        assert!(
            !step.lines.iter().any(|line| line.contains("discovered") || line.contains("Verifying")),
            "nothing is proven anew: {step:?}"
        );
        assert!(step.lines.last().unwrap().contains("completed server bootstrapping in 3.00 seconds!"));
        server.status.as_mut().unwrap().node_key = None;
        let late = Progress::of_known(&server, new).step(Some(&server), LONGEST);
        assert!(late.done && late.lines[0].contains("failed"), "{late:?}");
    }

    #[test]
    fn a_fault_that_passes_does_not_add_up() {
        let (mut progress, mut server) = (Progress::default(), server());
        for (phase, second) in
            [(ServerPhase::Degraded, 0), (ServerPhase::Verifying, 90), (ServerPhase::Degraded, 100), (ServerPhase::Degraded, 200)]
        {
            server.status.as_mut().unwrap().phase = Some(phase);
            assert!(!progress.step(Some(&server), at(second)).done, "{second}");
        }
    }
}
