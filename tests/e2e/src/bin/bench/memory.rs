//! Resident memory of each program in a large fleet.
//!
//! One server is real as far as our programs can tell. The others are GpuServers whose inventory and heartbeat are written here in
//! place of their agents; the operator provisions, advertises and proves them like any other. Then launches are granted until there are
//! as many deployments as asked for; where there is no agent they wait for one. After that the policy is `Shadow`: every plan is made
//! over the whole fleet, and nothing more is launched.

use anyhow::{Context as _, Result, bail};
use e2e::fleet::{Fleet, FleetOptions};
use e2e::wait;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use validator_sim::{ChuteSpec, Selector};

/// How long the fleet may take to be ready.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long it is then watched.
const SETTLE: Duration = Duration::from_secs(60);
const PROGRAMS: [&str; 3] = ["operator", "miner-api", "agent"];

pub(crate) fn measure(dir: &Path, servers: usize, chutes: usize, deployments: usize) -> Result<()> {
    println!(
        "\nMemory: {servers} servers of 8 GPUs beside the one with an agent, {chutes} chutes, {deployments} deployments, default intervals"
    );
    let options = FleetOptions { real: false, chutes: false, verify_seconds: 0.5, ..FleetOptions::new(dir) };
    let outcome = Fleet::up(&options, &mut |_| ()).and_then(|fleet| grow(&fleet, servers, chutes, deployments));
    let down = Fleet::down(dir);
    outcome.and(down)
}

fn grow(fleet: &Fleet, servers: usize, chutes: usize, deployments: usize) -> Result<()> {
    policy(fleet, &json!({ "mode": "Shadow" }))?;
    fleet.add_server()?;
    let small = resident(fleet)?;
    let validator = fleet.validator()?;
    for n in 0..chutes {
        // At most 4 of 8: the fleet has room for two deployments a server.
        let gpu_count = [1, 1, 2, 4][n % 4];
        let selector = Selector { gpu_count, min_vram_gb_per_gpu: 80, include: Some(vec!["h100_sxm".to_owned()]), ..Selector::default() };
        let name = format!("chute-{n}");
        validator.offer(&ChuteSpec { name, chutes_version: "0.4.2".to_owned(), selector, ..ChuteSpec::default() })?;
    }
    let names: Vec<String> = (0..servers).map(|n| format!("sim-{n}")).collect();
    fleet.control.apply(&list(names.iter().map(|name| server(fleet, name))))?;
    wait::until("the servers' namespaces", PATIENCE, || {
        let made =
            fleet.control.kubectl_run(["get", "namespaces", "-o", "name"])?.lines().filter(|l| l.contains("chutes-node-sim-")).count();
        if made >= servers { Ok(Some(())) } else { bail!("{made} of {servers}") }
    })?;
    fleet.control.apply(&list(names.iter().map(|name| lease(name))))?;
    report(fleet, &list(names.iter().enumerate().map(|(n, name)| reported(n, name))))?;
    wait::until("the servers to be ready and the chutes to be known", PATIENCE, || {
        let ready = column(fleet, "gpuservers", "{.items[*].status.phase}")?.iter().filter(|phase| *phase == "Ready").count();
        let known = column(fleet, "chutes.gepetto.fleet", "{.items[*].metadata.name}")?.len();
        if ready > servers && known >= chutes { Ok(Some(())) } else { bail!("{ready} of {} ready, {known} of {chutes} known", servers + 1) }
    })?;
    policy(fleet, &json!({ "mode": "Active", "limits": { "launchesPerPlan": 50, "launchesInFlight": 10000 } }))?;
    wait::until("the deployments", PATIENCE, || {
        let granted = fleet.deployed()?.iter().filter(|d| d.phase != "Pending").count();
        if granted >= deployments { Ok(Some(())) } else { bail!("{granted} of {deployments}") }
    })?;
    policy(fleet, &json!({ "mode": "Shadow" }))?;
    std::thread::sleep(SETTLE);
    println!("  {:10} {:>14} {:>14} {:>14} {:>14} {:>14}", "", "1 server", "the fleet", "of it its own", "of it text", "at most");
    for ((program, before), (_, now)) in small.iter().zip(resident(fleet)?) {
        let [all, own, text, most] = now.map(|mib| format!("{mib:>10.1} MiB"));
        println!("  {program:10} {:>10.1} MiB {all} {own} {text} {most}   (target: the fleet < 40 MiB)", before[0]);
    }
    Ok(())
}

fn policy(fleet: &Fleet, spec: &Value) -> Result<()> {
    fleet.control.apply(&json!({
        "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GepettoPolicy", "metadata": { "name": "default", "namespace": "chutes" }, "spec": spec,
    }))?;
    Ok(())
}

fn list(items: impl Iterator<Item = Value>) -> Value {
    json!({ "apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>() })
}

fn server(fleet: &Fleet, name: &str) -> Value {
    let driver = json!({ "agent": { "nodeKey": fleet.facts.hotkey } });
    json!({
        "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GpuServer", "metadata": { "name": name, "namespace": "chutes" },
        "spec": {
            "nodeName": name, "address": "127.0.0.1", "validator": fleet.facts.validator_hotkey, "gpuRef": "h100_sxm", "gpuCount": 8,
            "hourlyCostPerGpu": 1.8, "driver": driver,
        },
    })
}

/// A heartbeat from an hour ahead: alive for the whole measurement.
fn lease(name: &str) -> Value {
    let ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": "agent", "namespace": format!("chutes-node-{name}") },
        "spec": { "holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": format!("{ahead:.6}") },
    })
}

fn reported(n: usize, name: &str) -> Value {
    let gpus: Vec<Value> = (0..8)
        .map(|g| {
            json!({
                "uuid": format!("{n:024x}{g:08x}"), "index": g, "name": "NVIDIA H100 80GB HBM3", "memoryBytes": 85_520_809_984_u64,
                "major": 9, "minor": 0, "processors": 132, "clockMhz": 1980, "ecc": true, "health": "Ok",
            })
        })
        .collect();
    json!({
        "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GpuServer", "metadata": { "name": name, "namespace": "chutes" },
        "status": { "reported": {
            "nodeUid": format!("00000000-0000-4000-8000-{n:012x}"), "gpus": gpus,
            "capacity": { "cpu": 192, "memoryGib": 1900, "diskGib": 10000 }, "versions": { "agent": "0.1.0", "driver": "570.124.06" },
        } },
    })
}

fn report(fleet: &Fleet, list: &Value) -> Result<()> {
    let path = fleet.dir.join("reported.json");
    std::fs::write(&path, list.to_string())?;
    let file = path.display().to_string();
    let args = ["apply", "--server-side", "--validate=false", "--subresource=status", "--field-manager=gepetto-agent", "-f", &file];
    fleet.control.kubectl_run(args).map(drop).map_err(Into::into)
}

fn column(fleet: &Fleet, kind: &str, path: &str) -> Result<Vec<String>> {
    let text = fleet.control.kubectl_run(["get", kind, "-n", "chutes", "-o", &format!("jsonpath={path}")])?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// Resident in MiB, of each program: now (all, anonymous memory, pages of files), and at most so far.
fn resident(fleet: &Fleet) -> Result<Vec<(&'static str, [f64; 4])>> {
    PROGRAMS.into_iter().map(|program| Ok((program, of(&fleet.dir, program)?))).collect()
}

fn of(dir: &Path, program: &str) -> Result<[f64; 4]> {
    let record: Value = serde_json::from_slice(&std::fs::read(dir.join("run").join(format!("{program}.json")))?)?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", record["pid"]))?;
    let value = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key)).with_context(|| format!("{program} has no {key}"))?;
        let kib: f64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
        anyhow::Ok(kib / 1024.0)
    };
    Ok([value("VmRSS:")?, value("RssAnon:")?, value("RssFile:")?, value("VmHWM:")?])
}
