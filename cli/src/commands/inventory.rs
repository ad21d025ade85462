//! `local-inventory`: the existing views, whose `Server:` and `Hourly Cost` lines scripts search for.

use crate::{
    args::{Inventory, Output},
    client::Client,
    failure::Failure,
    output::{self, Table},
};
use serde_json::Value;

pub(crate) async fn run(args: Inventory) -> Result<(), Failure> {
    let list = Client::new(&args.connection)?.get(&["servers", ""]).await?;
    if args.output == Output::Json || (args.raw_json && !args.no_raw_json) {
        output::json_indented(&list);
    } else {
        output::text(&render(&list, output::width()));
    }
    Ok(())
}

fn render(list: &Value, width: u16) -> String {
    let servers = list.as_array().map(Vec::as_slice).unwrap_or_default();
    if servers.is_empty() {
        return "No servers. Add one with: chutes-miner add-node\n".to_owned();
    }
    let rule = format!("{}\n", "=".repeat(80));
    servers.iter().map(|server| one(server, width)).collect::<Vec<_>>().join(&rule)
}

fn one(server: &Value, width: u16) -> String {
    let mut text = format!("Server: {}\n", plain(&server["name"]));
    let mut facts = Table::new(&["Property", "Value"], width);
    facts.row(["Status".to_owned(), plain(&server["status"])]);
    facts.row(["GPUs".to_owned(), plain(&server["gpu_count"])]);
    facts.row(["Memory/GPU".to_owned(), format!("{}GB", plain(&server["memory_per_gpu"]))]);
    facts.row(["CPU/GPU".to_owned(), plain(&server["cpu_per_gpu"])]);
    facts.row(["Hourly Cost".to_owned(), format!("${:.2}", server["hourly_cost"].as_f64().unwrap_or(0.0))]);
    facts.row(["IP Address".to_owned(), plain(&server["ip_address"])]);
    facts.row(["Created".to_owned(), minute(&server["created_at"])]);
    facts.row(["Locked".to_owned(), if server["locked"].as_bool().unwrap_or(false) { "yes" } else { "no" }.to_owned()]);
    text.push_str(&facts.render());
    let deployments = server["deployments"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !deployments.is_empty() {
        text.push_str("\nActive Deployments\n");
        let mut table = Table::new(&["Model Name", "GPUs", "Port", "Created", "Status"], width);
        for one in deployments {
            let active = one["active"].as_bool().unwrap_or(false) && !one["stub"].as_bool().unwrap_or(false);
            let gpus = one["gpus"].as_array().map_or(0, Vec::len).to_string();
            let state = if active { "Active" } else { "Inactive" };
            table.row([plain(&one["chute"]["name"]), gpus, plain(&one["port"]), minute(&one["created_at"]), state.to_owned()]);
        }
        text.push_str(&table.render());
    }
    text.push_str("\nGPU Details\n");
    let mut table = Table::new(&["Name", "Memory", "Clock (MHz)", "Processors", "Status"], width);
    for gpu in server["gpus"].as_array().into_iter().flatten() {
        let info = &gpu["device_info"];
        let memory = info["memory"].as_f64().map_or_else(|| "-".to_owned(), |bytes| format!("{:.1}GB", bytes / f64::from(1 << 30)));
        let clock = info["clock_rate"].as_f64().map_or_else(|| "-".to_owned(), |khz| format!("{:.0}", khz / 1000.0));
        let state = if gpu["verified"].as_bool().unwrap_or(false) { "Verified" } else { "Unverified" };
        table.row([plain(&info["name"]), memory, clock, plain(&info["processors"]), state.to_owned()]);
    }
    text.push_str(&table.render());
    text
}

/// A value as people read it; nothing that could disturb a terminal.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => output::printable(text),
        other => other.to_string(),
    }
}

/// `YYYY-MM-DD HH:MM`.
fn minute(value: &Value) -> String {
    let text = plain(value);
    text.get(..16).map_or_else(|| text.clone(), |minute| minute.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn list() -> Value {
        json!([{
            "name": "gpu-1", "status": "Ready", "gpu_count": 2, "memory_per_gpu": 80, "cpu_per_gpu": 4, "hourly_cost": 2.5, "ip_address": "203.0.113.7",
            "created_at": "2023-11-14T20:00:00.000000+00:00", "locked": false,
            "deployments": [{ "active": true, "stub": false, "chute": { "name": "user/model" }, "gpus": [{}], "port": 30000, "created_at": "2023-11-14T21:00:00.000000+00:00" }],
            "gpus": [{ "verified": true, "device_info": { "name": "NVIDIA H100 80GB HBM3", "memory": 85_899_345_920_u64, "clock_rate": 1_980_000.0, "processors": 132 } }],
        }, { "name": "gpu-2", "status": null, "gpu_count": 8, "hourly_cost": 3, "deployments": [], "gpus": [] }])
    }

    #[test]
    fn the_inventory_of_two_servers() {
        insta::assert_snapshot!(render(&list(), 80));
    }

    #[test]
    fn each_server_has_one_name_line_and_one_cost_line_and_all_lines_fit() {
        let text = render(&list(), 80);
        assert_eq!(text.matches("Server:").count(), 2);
        let costs: Vec<&str> = text.lines().filter(|line| line.contains("Hourly Cost")).collect();
        assert!(costs.len() == 2 && costs[0].contains("$2.50") && costs[1].contains("$3.00"), "{costs:?}");
        assert!(text.lines().all(|line| line.chars().count() <= 80));
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn an_empty_fleet_says_how_to_begin() {
        assert!(render(&json!([]), 80).contains("add-node"));
    }
}
