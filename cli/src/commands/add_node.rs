//! `add-node`: sends what is wanted, shows the stream, and says in the exit code whether the server became ready, failed, or was lost
//! sight of while the control plane goes on with it.

use crate::{
    args::{AddNode, Attestation, Cluster, Driver, Output},
    client::Client,
    failure::{Failure, Kind},
    hotkey::expand,
    output,
    sse::{Event, Reader},
};
use serde_json::{Value, json};

/// What the miner API says last, and only, when all went well.
const SUCCESS: &str = "completed server bootstrapping in";
/// How its last line begins when it gave up. The existing miner API has no such mark; its last words tell of a failure otherwise.
const FAILED: &str = "failed";
/// What that line says when only the time for one stream was up.
const TIME_IS_UP: &str = "time is up";

pub(crate) async fn run(args: AddNode) -> Result<(), Failure> {
    let client = Client::new(&args.connection)?;
    let kubeconfig = match (&args.kubeconfig_file, args.driver) {
        (Some(_), _) if !client.is_private() => {
            return Err(Failure::new(Kind::Usage, "a kubeconfig is a secret and this miner API is plain http")
                .advise("--miner-api https://… --ca-file ca.pem"));
        }
        (Some(path), _) => {
            let path = expand(path);
            Some(std::fs::read_to_string(&path).map_err(|error| Failure::general(format!("cannot read {}: {error}", path.display())))?)
        }
        (None, Driver::Remote) => {
            return Err(Failure::new(Kind::Usage, "driver remote needs a kubeconfig").advise("--kubeconfig-file FILE"));
        }
        (None, Driver::Agent) => None,
    };
    let mut answer = client.post_stream(&["servers", ""], &body(&args, kubeconfig.as_deref())).await?;
    let mut reader = Reader::default();
    let mut outcome = Outcome { output: args.output, ..Outcome::default() };
    let cut = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => reader.feed(&chunk).iter().for_each(|event| outcome.show(event)),
            Ok(None) => break None,
            Err(error) => break Some(client.unreachable(&error)),
        }
    };
    reader.finish().iter().for_each(|event| outcome.show(event));
    let result = outcome.result(&args.name, cut.as_ref());
    if args.output == Output::Json {
        output::json(&outcome.summary(&args.name, &result));
    }
    result
}

fn body(args: &AddNode, kubeconfig: Option<&str>) -> Value {
    let mut body = json!({ "name": args.name });
    // Only what was said: an older miner API knows none of the later ones.
    let optional = [
        ("validator", args.validator.as_ref().map(|text| json!(text))),
        ("hourly_cost", args.hourly_cost.map(|cost| json!(cost))),
        ("gpu_short_ref", args.gpu_short_ref.as_ref().map(|text| json!(text))),
        ("agent_api", (args.agent_api.is_some() || !args.re_enrol).then(|| json!(args.agent_api))),
        ("re_enrol", args.re_enrol.then_some(json!(true))),
        ("driver", (args.driver == Driver::Remote || kubeconfig.is_some()).then(|| json!("remote"))),
        ("kubeconfig", kubeconfig.map(|text| json!(text))),
        ("address", args.address.as_ref().map(|text| json!(text))),
        ("gpu_count", args.gpu_count.map(|count| json!(count))),
        ("node_name", args.node_name.as_ref().map(|text| json!(text))),
        ("attestation", args.attestation.map(|kind| json!(if kind == Attestation::Tee { "Tee" } else { "Graval" }))),
        ("cluster", args.cluster.map(|kind| json!(if kind == Cluster::Shared { "Shared" } else { "Own" }))),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            body[key] = value;
        }
    }
    body
}

#[derive(Default)]
struct Outcome {
    output: Output,
    succeeded: bool,
    last: String,
}

impl Outcome {
    fn show(&mut self, event: &Event) {
        self.succeeded |= event.message.contains(SUCCESS);
        event.message.clone_into(&mut self.last);
        match self.output {
            Output::Table => output::progress(&event.timestamp, &event.message),
            Output::Json => output::json(&json!({ "timestamp": event.timestamp, "message": event.message })),
        }
    }

    /// What became of it by the last words; `cut` if the connection broke.
    fn result(&self, name: &str, cut: Option<&Failure>) -> Result<(), Failure> {
        if self.succeeded {
            return Ok(());
        }
        if self.gave_up() {
            let what = format!("{name} did not become ready: {}", self.last);
            return Err(Failure::new(Kind::RemoteFailed, what).advise("chutes-miner status"));
        }
        // Without a final word nothing failed: the miner API went away, or its time was up.
        let (kind, what) = match cut {
            Some(failure) => (Kind::TimedOut, format!("lost sight of {name}: {}", failure.what())),
            None if self.last.contains(TIME_IS_UP) => (Kind::Unfinished, format!("{name} is not ready yet: {}", self.last)),
            None => (Kind::Unfinished, format!("lost sight of {name}: the miner API ended the stream without saying how it went")),
        };
        Err(Failure::new(kind, what).advise("the control plane goes on with it; see: chutes-miner status"))
    }

    fn gave_up(&self) -> bool {
        let last = self.last.to_lowercase();
        (last.starts_with(FAILED) || ["fail", "error", "exception"].iter().any(|word| last.contains(word))) && !last.contains(TIME_IS_UP)
    }

    /// The last document of `-o json`.
    fn summary(&self, name: &str, result: &Result<(), Failure>) -> Value {
        let outcome = match result {
            Ok(()) => "ready",
            Err(failure) if failure.kind == Kind::RemoteFailed => "failed",
            Err(_) => "unfinished",
        };
        json!({ "server": name, "outcome": outcome, "message": self.last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser as _;

    fn parsed(extra: &str) -> AddNode {
        let line = format!("x add-node --name gpu-1 --validator v --hourly-cost 2.5 --gpu-short-ref h100 {extra}");
        match Args::try_parse_from(line.split_whitespace()).unwrap().command {
            Some(Command::AddNode(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_old_miner_api_gets_exactly_the_old_body() {
        let body = body(&parsed("--agent-api http://a:32000"), None);
        assert_eq!(
            body,
            json!({ "name": "gpu-1", "validator": "v", "hourly_cost": 2.5, "gpu_short_ref": "h100", "agent_api": "http://a:32000" })
        );
    }

    #[test]
    fn enrolling_again_needs_the_name_alone_and_says_so() {
        let only = Args::try_parse_from(["x", "add-node", "--name", "gpu-1", "--re-enrol"]).unwrap();
        let Some(Command::AddNode(args)) = only.command else { panic!("another command") };
        assert_eq!(body(&args, None), json!({ "name": "gpu-1", "re_enrol": true }));
        let again = body(&parsed("--agent-api http://a:32000 --re-enrol"), None);
        assert_eq!((&again["hourly_cost"], &again["agent_api"], &again["re_enrol"]), (&json!(2.5), &json!("http://a:32000"), &json!(true)));
        assert!(Args::try_parse_from(["x", "add-node", "--name", "gpu-1", "--re-enrol", "--kubeconfig-file", "f"]).is_err());
    }

    #[test]
    fn a_kubeconfig_makes_it_a_remote_server() {
        let body = body(&parsed("--kubeconfig-file f --gpu-count 8 --address 1.2.3.4 --attestation tee"), Some("yaml"));
        assert_eq!(
            (&body["driver"], &body["kubeconfig"], &body["gpu_count"], &body["attestation"]),
            (&json!("remote"), &json!("yaml"), &json!(8), &json!("Tee"))
        );
    }

    #[test]
    fn only_the_success_marker_is_success() {
        let mut outcome = Outcome::default();
        assert_eq!(outcome.result("gpu-1", None).unwrap_err().kind, Kind::Unfinished, "not a word");
        outcome.show(&Event { timestamp: "t".into(), message: "failed: too slow".into() });
        let failure = outcome.result("gpu-1", None).unwrap_err();
        assert_eq!(failure.kind, Kind::RemoteFailed);
        assert!(failure.text().contains("too slow"));
        outcome.show(&Event { timestamp: "t".into(), message: "completed server bootstrapping in 3.2 seconds!".into() });
        outcome.result("gpu-1", None).unwrap();
        outcome.result("gpu-1", Some(&Failure::general("reset"))).unwrap();
    }

    #[test]
    fn an_end_without_a_final_word_is_no_failure_and_the_end_of_time_is_none_either() {
        for last in [
            "waiting: Verified (Pending): the validator works on it",
            "failed: server bootstrapping did not complete, time is up: Verified is False (Pending). The control plane goes on trying",
        ] {
            let outcome = Outcome { last: last.to_owned(), ..Outcome::default() };
            assert_eq!(outcome.result("gpu-1", None).unwrap_err().kind, Kind::Unfinished, "{last}");
            assert_eq!(outcome.result("gpu-1", Some(&Failure::general("reset"))).unwrap_err().kind, Kind::TimedOut, "{last}");
        }
        for last in ["failed: the server was deleted meanwhile", "Failed to deploy the verifier", "unhandled exception: KeyError"] {
            let outcome = Outcome { last: last.to_owned(), ..Outcome::default() };
            assert_eq!(outcome.result("gpu-1", None).unwrap_err().kind, Kind::RemoteFailed, "{last}");
        }
    }
}
