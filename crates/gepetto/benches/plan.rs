//! A plan over a large fleet: 100 servers of 8 GPUs, 500 chutes.

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use gepetto::snapshot::{Allowance, Chute, Deployment, Gpu, GpuState, Server, ServerState, Source, Sources, Stage};
use gepetto::{Policy, Snapshot, plan};
use jiff::Timestamp;

const SERVERS: usize = 100;
const CHUTES: usize = 500;
const MODELS: [&str; 4] = ["h100_sxm", "h200", "a100", "l40s"];

fn server(n: usize, busy: usize) -> Server {
    let gpu = |g: usize| Gpu {
        uuid: format!("{n:024x}{g:08x}").parse().unwrap(),
        state: if g < busy { GpuState::Claimed } else { GpuState::Free },
    };
    Server {
        name: format!("server-{n}").parse().unwrap(),
        gpu_ref: MODELS[n % MODELS.len()].parse().unwrap(),
        tee: false,
        gpu_hour_micro_usd: 1_000_000 + (n as u64 * 37_000) % 1_500_000,
        state: ServerState::Ready,
        held: false,
        gpus: (0..8).map(gpu).collect(),
    }
}

fn chute(n: usize) -> Chute {
    let supported = (0..=n % 3).map(|m| MODELS[(n + m) % MODELS.len()].parse().unwrap()).collect();
    Chute {
        id: format!("chute-{n}").parse().unwrap(),
        version: "v1".parse().unwrap(),
        gpu_count: [1, 1, 2, 4, 8][n % 5],
        supported,
        tee: false,
        library: "0.4.2".into(),
        withdrawn: false,
        gone: false,
        disabled: false,
        jobs_only: false,
        rate_micro: Some(1_000_000 + (n as u64 * 7_919) % 9_000_000),
        allowance: Some(Allowance { more: (n % 4) as u32, counts_pending: false }),
    }
}

/// `busy` GPUs of each server run a chute of one GPU each.
fn fleet(busy: usize) -> Snapshot {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let source = Source::complete(now);
    let servers: Vec<Server> = (0..SERVERS).map(|n| server(n, busy)).collect();
    let running = |(n, server): (usize, &Server)| {
        let deployments = server.gpus.iter().take(busy).enumerate().map(|(g, gpu)| Deployment {
            id: format!("00000000-0000-4000-8000-{:012x}", n * 8 + g).parse().unwrap(),
            chute: format!("chute-{}", (n * 8 + g) % CHUTES).parse().unwrap(),
            version: "v1".parse().unwrap(),
            server: server.name.clone(),
            gpus: vec![gpu.uuid.clone()],
            stage: Stage::Active,
            created_at: now,
            claimed_at: Some(now),
            active_at: Some(now),
        });
        deployments.collect::<Vec<_>>()
    };
    Snapshot {
        now,
        sources: Sources {
            resources: source,
            claims: source,
            chutes: source,
            instances: source,
            nodes: source,
            utilization: source,
            oldest: Duration::from_secs(60),
        },
        deployments: servers.iter().enumerate().flat_map(running).collect(),
        servers,
        chutes: (0..CHUTES).map(chute).collect(),
        setbacks: Vec::new(),
    }
}

fn plans(c: &mut Criterion) {
    let policy = Policy::default();
    for (name, busy) in [("empty", 0), ("half full", 4), ("full", 8)] {
        let snapshot = fleet(busy);
        c.bench_function(&format!("plan of 100 servers and 500 chutes, {name}"), |b| b.iter(|| plan(black_box(&snapshot), &policy)));
    }
}

criterion_group! { name = benches; config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(5)); targets = plans }
criterion_main!(benches);
