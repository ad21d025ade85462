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
        let blind = match client.get(&["servers", ""]).await.and_then(|list| stage(&list, name)) {
            Ok(None) => {
                output::note(&format!("{name} is gone."));
                return Ok(());
            }
            Ok(Some(stage)) => {
                if stage != shown {
                    output::note(&stage);
                    shown = stage;
                }
                String::new()
            }
            // The miner API may restart meanwhile; only the time limit ends the waiting.
            Err(failure) if matches!(failure.kind, Kind::Unreachable | Kind::General) => format!(" ({})", failure.what()),
            Err(failure) => return Err(failure),
        };
        if started.elapsed() >= limit {
            let what = format!("{name} is not known to be gone after {} s{blind}; the deletion goes on", limit.as_secs());
            return Err(Failure::new(Kind::TimedOut, what)
                .advise("chutes-miner status; if the machine is dead: chutes-miner delete-node --name {name} --lost"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How far the deletion is; `None` if the server is gone. Only a list of servers can say that.
fn stage(list: &Value, name: &str) -> Result<Option<String>, Failure> {
    let unreadable = || Failure::general("the list of servers cannot be read: is this URL really that of a miner API?");
    let servers = list.as_array().filter(|list| list.iter().all(|server| server["name"].is_string())).ok_or_else(unreadable)?;
    let Some(server) = servers.iter().find(|server| server["name"] == name) else { return Ok(None) };
    let left = server["deployments"].as_array().map_or(0, Vec::len);
    let phase = server["status"].as_str().unwrap_or("unknown");
    Ok(Some(match left {
        0 => format!("{name} is {phase}: nothing runs any more, de-registering..."),
        left => format!("{name} is {phase}: {left} deployment(s) still to stop..."),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_stage_follows_the_list() {
        let list = json!([{ "name": "gpu-1", "status": "Draining", "deployments": [{}, {}] }]);
        assert_eq!(stage(&list, "gpu-1").unwrap().unwrap(), "gpu-1 is Draining: 2 deployment(s) still to stop...");
        assert_eq!(stage(&list, "gpu-2"), Ok(None));
        assert_eq!(stage(&json!([]), "gpu-2"), Ok(None));
        assert!(stage(&json!([{ "name": "gpu-1", "status": null }]), "gpu-1").unwrap().unwrap().contains("de-registering"));
    }

    #[test]
    fn only_a_list_of_servers_says_that_one_is_gone() {
        for other in [json!({}), json!({ "detail": "maintenance" }), json!(null), json!("ok"), json!([{ "nodes": [] }]), json!([1])] {
            assert!(stage(&other, "gpu-1").is_err(), "{other}");
        }
    }
}
