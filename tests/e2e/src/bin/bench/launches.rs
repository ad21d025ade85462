//! From `Granted` to the Job created, by the clocks of the API servers' audit logs (microseconds).

use anyhow::{Result, bail};
use cluster::call::bounded;
use cluster::client::{ClientSource, connect};
use cluster::watch::{Touch, WatchOptions, source};
use crd::ChuteDeployment;
use crd::chute_deployment::{Phase, RunState};
use e2e::fleet::{Fleet, FleetOptions, binary};
use e2e::pods::{PodRunner, PodRunnerOptions};
use e2e::quiet::{Write, granted_to_job, launched};
use futures::StreamExt as _;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use validator_sim::{ChuteSpec, Selector};

/// Without a launch for so long, something is wrong.
const STUCK: Duration = Duration::from_secs(120);
/// Between two looks at the audit logs: seldom, since the looks share the cores with what is measured.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) fn measure(dir: &Path, count: usize, pace: Duration) -> Result<()> {
    println!("\nLaunch latency: {count} launches on a simulated node with 8 GPUs, a process for each chute, all on this machine");
    let options = FleetOptions { real: false, chutes: false, verify_seconds: 0.5, hasty: true, ..FleetOptions::new(dir) };
    let outcome = Fleet::up(&options, &mut |_| ()).and_then(|fleet| {
        let _pods = PodRunner::start(&fleet.node, PodRunnerOptions::new(binary("fake-chute"), fleet.dir.join("pods")))?;
        churn(&fleet, count, pace)
    });
    let down = Fleet::down(dir);
    outcome.and(down)
}

/// Eight copies at once; then one after the other is stopped once it is paid, so that the next takes its GPU.
fn churn(fleet: &Fleet, count: usize, pace: Duration) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    fleet.add_server()?;
    let selector = Selector { min_vram_gb_per_gpu: 80, include: Some(vec!["h100_sxm".to_owned()]), ..Selector::default() };
    let chute = ChuteSpec { name: "bench".to_owned(), chutes_version: "0.4.2".to_owned(), target: 8, selector, ..ChuteSpec::default() };
    let mut mark = fleet.mark()?;
    fleet.validator()?.offer(&chute)?;
    let person = runtime.block_on(connect(ClientSource::Kubeconfig(fleet.control.kubeconfig.clone())))?;
    runtime.spawn(stop_the_paid(person, pace));
    let (start, mut writes, mut last) = (Instant::now(), Vec::new(), (0, Instant::now()));
    let ids = loop {
        writes.extend(fleet.writes_on(&mut mark)?);
        let ids = launched(&writes);
        if ids.len() >= count {
            break ids;
        }
        if ids.len() > last.0 {
            last = (ids.len(), Instant::now());
        } else if last.1.elapsed() > STUCK {
            bail!("no launch for {} s; there were {}", STUCK.as_secs(), ids.len());
        }
        std::thread::sleep(LOOK);
    };
    print(&writes, &ids, count, start.elapsed());
    Ok(())
}

async fn stop_the_paid(person: Client, pace: Duration) {
    let mut touches = source(Api::<ChuteDeployment>::all(person.clone()), WatchOptions::default()).subscribe();
    while let Some(touch) = touches.next().await {
        let Touch::Applied(one) = touch else { continue };
        let phase = one.status.as_ref().and_then(|status| status.phase);
        if phase != Some(Phase::Active) || one.spec.run_state != RunState::Running {
            continue;
        }
        let api: Api<ChuteDeployment> = Api::namespaced(person.clone(), &one.namespace().unwrap_or_default());
        let patch = Patch::Merge(json!({ "spec": { "runState": "Stopped" } }));
        if let Err(error) = bounded("stopping a deployment", api.patch(&one.name_any(), &PatchParams::default(), &patch)).await {
            println!("  {} was not stopped: {error}", one.name_any());
        }
        tokio::time::sleep(pace).await;
    }
}

fn print(writes: &[Write], ids: &[String], count: usize, took: Duration) {
    let spans: Vec<Vec<Write>> = ids.iter().take(count).filter_map(|id| granted_to_job(writes, id)).collect();
    let most = spans.iter().map(Vec::len).max().unwrap_or(0);
    println!("  {} launches in {:.0} s; API writes from Granted to the Job: at most {most}", spans.len(), took.as_secs_f64());
    for (what, resource) in [("Service", "services"), ("launch Secret", "secrets"), ("Job", "jobs")] {
        let mut times: Vec<f64> = spans.iter().filter_map(|span| after_granted(span, resource)).collect();
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(f64::NAN);
        let target = if resource == "jobs" { "   (target: p99 < 250 ms)" } else { "" };
        println!(
            "  Granted to {what:13} created   p50 {:4.0} ms   p90 {:4.0} ms   p99 {:4.0} ms   most {:4.0} ms{target}",
            at(50),
            at(90),
            at(99),
            at(100)
        );
    }
}

/// Milliseconds from the first write, `Granted`, to the creation of such a resource.
fn after_granted(span: &[Write], resource: &str) -> Option<f64> {
    let granted = span.first()?.at;
    let created = span.iter().find(|write| write.is("create", resource))?.at;
    Some(created.duration_since(granted).as_secs_f64() * 1000.0)
}
