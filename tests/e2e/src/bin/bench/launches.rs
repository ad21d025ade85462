//! From `Granted` to the Job created, by the clocks of the API servers' audit logs (microseconds).

use anyhow::{Result, bail};
use e2e::fleet::{Fleet, FleetOptions, binary};
use e2e::pods::{PodRunner, PodRunnerOptions};
use e2e::quiet::{granted_to_job, launched};
use std::path::Path;
use std::time::{Duration, Instant};
use validator_sim::{ChuteSpec, Selector};

/// Without a launch for so long, something is wrong.
const STUCK: Duration = Duration::from_secs(120);

pub(crate) fn measure(dir: &Path, count: usize) -> Result<()> {
    println!("\nLaunch latency: {count} launches on a simulated node with 8 GPUs, a process for each chute, all on this machine");
    let options = FleetOptions { real: false, chutes: false, verify_seconds: 0.5, hasty: true, ..FleetOptions::new(dir) };
    let outcome = Fleet::up(&options, &mut |_| ()).and_then(|fleet| {
        let _pods = PodRunner::start(&fleet.node, PodRunnerOptions::new(binary("fake-chute"), fleet.dir.join("pods")))?;
        churn(&fleet, count)
    });
    let down = Fleet::down(dir);
    outcome.and(down)
}

/// Eight copies at a time; each is stopped once it is paid, so that the next takes its GPU.
fn churn(fleet: &Fleet, count: usize) -> Result<()> {
    fleet.add_server()?;
    let selector = Selector { min_vram_gb_per_gpu: 80, include: Some(vec!["h100_sxm".to_owned()]), ..Selector::default() };
    let chute = ChuteSpec { name: "bench".to_owned(), chutes_version: "0.4.2".to_owned(), target: 8, selector, ..ChuteSpec::default() };
    let mark = fleet.mark()?;
    fleet.validator()?.offer(&chute)?;
    let (start, mut last) = (Instant::now(), (0, Instant::now()));
    let ids = loop {
        let ids = launched(&fleet.writes_since(mark)?);
        if ids.len() >= count {
            break ids;
        }
        if ids.len() > last.0 {
            last = (ids.len(), Instant::now());
        } else if last.1.elapsed() > STUCK {
            bail!("no launch for {} s; there were {}", STUCK.as_secs(), ids.len());
        }
        for active in fleet.deployed()?.iter().filter(|d| d.phase == "Active") {
            fleet.stop(active)?;
        }
        std::thread::sleep(Duration::from_millis(500));
    };
    let took = start.elapsed().as_secs_f64();
    let writes = fleet.writes_since(mark)?;
    let spans: Vec<_> = ids.iter().take(count).filter_map(|id| granted_to_job(&writes, id)).collect();
    let mut times: Vec<f64> =
        spans.iter().filter_map(|span| Some(span.last()?.at.duration_since(span.first()?.at).as_secs_f64() * 1000.0)).collect();
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(f64::NAN);
    let most = spans.iter().map(Vec::len).max().unwrap_or(0);
    println!("  {} launches in {took:.0} s; API writes from Granted to the Job: at most {most}", times.len());
    println!(
        "  Granted to Job created   p50 {:.0} ms   p90 {:.0} ms   p99 {:.0} ms   most {:.0} ms   (target: p99 < 250 ms)",
        at(50),
        at(90),
        at(99),
        at(100)
    );
    Ok(())
}
