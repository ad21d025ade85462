//! `add-node`: sends what is wanted, shows the stream, and says in the exit code whether the server became ready.

use crate::{
    args::{AddNode, Attestation, Cluster, Driver},
    client::Client,
    failure::{Failure, Kind},
    hotkey::expand,
    output,
    sse::{Event, Reader},
};
use serde_json::{Value, json};

/// What the miner API says last, and only, when all went well.
const SUCCESS: &str = "completed server bootstrapping in";

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
    let mut outcome = Outcome::default();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => reader.feed(&chunk).iter().for_each(|event| outcome.show(event)),
            Ok(None) => break,
            Err(error) => return Err(outcome.cut(&client.unreachable(&error))),
        }
    }
    reader.finish().iter().for_each(|event| outcome.show(event));
    outcome.result(&args.name)
}

fn body(args: &AddNode, kubeconfig: Option<&str>) -> Value {
    let mut body = json!({
        "name": args.name,
        "validator": args.validator,
        "hourly_cost": args.hourly_cost,
        "gpu_short_ref": args.gpu_short_ref,
        "agent_api": args.agent_api,
    });
    // Only what was said: an older miner API knows none of these.
    let optional = [
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
    succeeded: bool,
    last: String,
}

impl Outcome {
    fn show(&mut self, event: &Event) {
        self.succeeded |= event.message.contains(SUCCESS);
        event.message.clone_into(&mut self.last);
        output::progress(&event.timestamp, &event.message);
    }

    fn cut(&self, failure: &Failure) -> Failure {
        if self.succeeded {
            return Failure::general("the connection broke after the end");
        }
        Failure::new(
            Kind::Unreachable,
            format!("lost sight of it: {}", failure.text().lines().next().unwrap_or_default().trim_start_matches("error: ")),
        )
        .advise("the control plane goes on with it; see: chutes-miner status")
    }

    fn result(&self, name: &str) -> Result<(), Failure> {
        if self.succeeded {
            return Ok(());
        }
        let last = if self.last.is_empty() { "nothing was reported" } else { &self.last };
        Err(Failure::new(Kind::RemoteFailed, format!("{name} did not become ready: {last}")).advise("chutes-miner status"))
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
        assert_eq!(outcome.result("gpu-1").unwrap_err().kind, Kind::RemoteFailed);
        outcome.show(&Event { timestamp: "t".into(), message: "failed: too slow".into() });
        assert!(outcome.result("gpu-1").unwrap_err().text().contains("too slow"));
        outcome.show(&Event { timestamp: "t".into(), message: "completed server bootstrapping in 3.2 seconds!".into() });
        outcome.result("gpu-1").unwrap();
    }
}
