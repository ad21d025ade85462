//! One file a command.

pub(crate) mod add_node;
pub(crate) mod chain;
pub(crate) mod delete_node;
pub(crate) mod inventory;
pub(crate) mod lock;
pub(crate) mod purge;
pub(crate) mod status;
pub(crate) mod subnets;
pub(crate) mod wallet;

use crate::{
    client::Client,
    failure::{Failure, Kind},
    output,
};
use serde_json::Value;

/// Asks unless `yes`, after saying what would be lost. Without a terminal an answer may be piped in.
fn confirm(yes: bool, loss: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    output::note(loss);
    match output::ask("Continue (y/n)? ") {
        Some(answer) if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") => Ok(()),
        Some(_) => Err(Failure::new(Kind::Declined, "nothing was done")),
        None => Err(Failure::general("nobody answered the question").advise("--yes if you are sure")),
    }
}

/// What would be lost with a server: jobs and running instances, in words. `None` if nothing.
fn loss(preflight: &Value, server: &str) -> Option<String> {
    let rows = |key: &str| preflight.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().to_vec();
    let (jobs, instances) = (rows("jobs"), rows("instances"));
    if jobs.is_empty() && instances.is_empty() {
        return None;
    }
    let mut text = format!("{server} runs {} job(s) and {} chute(s), which would be stopped:\n", jobs.len(), instances.len());
    for (kind, row) in jobs.iter().map(|row| ("job", row)).chain(instances.iter().map(|row| ("chute", row))) {
        let name = row["chute"]["name"].as_str().unwrap_or("?");
        let gpus = row["gpus"].as_array().map_or(0, Vec::len);
        text.push_str(&format!("  {kind:<5} {name}, {gpus} GPU(s), {}\n", row["phase"].as_str().unwrap_or("state unknown")));
    }
    Some(text.trim_end().to_owned())
}

async fn preflight(client: &Client, server: &str) -> Result<Value, Failure> {
    client.get(&["servers", server, "delete_preflight"]).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_would_be_lost_is_said_and_nothing_lost_is_nothing_said() {
        assert_eq!(loss(&json!({ "jobs": [], "instances": [] }), "gpu-1"), None);
        assert_eq!(loss(&json!({ "jobs": [] }), "gpu-1"), None);
        let row = json!({ "chute": { "name": "user/model" }, "gpus": [{}, {}], "phase": "Active" });
        insta::assert_snapshot!(loss(&json!({ "jobs": [row], "instances": [row] }), "gpu-1").unwrap());
    }
}
