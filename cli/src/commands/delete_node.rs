//! `delete-node`: says what would be lost, asks, deletes, and waits until it is gone.

use super::{confirm, loss, preflight};
use crate::{
    args::DeleteNode,
    client::Client,
    failure::{Failure, Kind},
    output,
};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

const LOOK_EVERY: Duration = Duration::from_secs(3);

pub(crate) async fn run(args: DeleteNode) -> Result<(), Failure> {
    let client = Client::new(&args.connection)?;
    let found = preflight(&client, &args.name).await?;
    // The server as the preflight saw it: a name may be an id.
    let name = found["server"]["name"].as_str().unwrap_or(&args.name).to_owned();
    match loss(&found, &name) {
        Some(loss) => confirm(args.yes, &loss)?,
        // Scripts delete empty servers without an answer to give; people are asked all the same.
        None if output::can_ask() => confirm(args.yes, &format!("{name} runs nothing. It would be de-registered and forgotten."))?,
        None => {}
    }
    let mut query = vec![("confirm", name.as_str())];
    if args.lost {
        query.push(("lost", "true"));
    }
    let answer = client.delete(&["servers", &args.name], &query).await?;
    output::json(&answer);
    if args.no_wait {
        return Ok(());
    }
    wait(&client, &name, Duration::from_secs(args.timeout)).await
}

/// Shows how the server stands until the list lacks it.
async fn wait(client: &Client, name: &str, limit: Duration) -> Result<(), Failure> {
    let started = Instant::now();
    let mut shown = String::new();
    loop {
        match client.get(&["servers", ""]).await {
            Ok(list) => match stage(&list, name) {
                None => {
                    output::note(&format!("{name} is gone."));
                    return Ok(());
                }
                Some(stage) if stage != shown => {
                    output::note(&stage);
                    shown = stage;
                }
                Some(_) => {}
            },
            // The miner API may restart meanwhile; only the time limit ends the waiting.
            Err(failure) if matches!(failure.kind, Kind::Unreachable | Kind::General) => {}
            Err(failure) => return Err(failure),
        }
        if started.elapsed() >= limit {
            return Err(Failure::new(Kind::TimedOut, format!("{name} is not gone after {} s; the deletion goes on", limit.as_secs()))
                .advise("chutes-miner status; if the machine is dead: chutes-miner delete-node --lost"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How far the deletion is; `None` if the server is gone.
fn stage(list: &Value, name: &str) -> Option<String> {
    let server = list.as_array()?.iter().find(|server| server["name"] == name)?;
    let left = server["deployments"].as_array().map_or(0, Vec::len);
    let phase = server["status"].as_str().unwrap_or("unknown");
    Some(match left {
        0 => format!("{name} is {phase}: nothing runs any more, de-registering..."),
        left => format!("{name} is {phase}: {left} deployment(s) still to stop..."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_stage_follows_the_list() {
        let list = json!([{ "name": "gpu-1", "status": "Draining", "deployments": [{}, {}] }]);
        assert_eq!(stage(&list, "gpu-1").unwrap(), "gpu-1 is Draining: 2 deployment(s) still to stop...");
        assert_eq!(stage(&list, "gpu-2"), None);
        assert!(stage(&json!([{ "name": "gpu-1", "status": null }]), "gpu-1").unwrap().contains("de-registering"));
    }
}
