//! Counters and gauges. GPU names follow the OpenTelemetry hardware conventions.

use cluster::metrics::Looks;
use gpu::{Health, Reading};
use service::metrics::{Counters, Fractions, Gauges, Registry, result};

/// All of the agent's own metrics. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    health: Gauges<2>,
    temperature: Gauges<1>,
    power: Fractions<1>,
    utilization: Fractions<1>,
    memory: Gauges<1>,
    processes: Gauges<1>,
    tokens: Counters<1>,
    reports: Counters<1>,
    heartbeats: Counters<1>,
    looks: Looks,
}

const STATES: [Health; 4] = [Health::Ok, Health::Lost, Health::Faulty, Health::Unknown];

/// A health in one small word.
#[must_use]
pub fn word(health: Health) -> &'static str {
    match health {
        Health::Ok => "ok",
        Health::Lost => "lost",
        Health::Faulty => "faulty",
        Health::Unknown => "unknown",
    }
}

impl Metrics {
    /// Metrics that `registry` serves.
    pub fn registered(registry: &mut Registry) -> Self {
        let metrics = Self { looks: Looks::register(registry), ..Self::default() };
        registry.register("gpu_health_state", "1 for the state a GPU is in", metrics.health.clone());
        registry.register("hw_gpu_temperature_celsius", "Core temperature", metrics.temperature.clone());
        registry.register("hw_gpu_power_watts", "Power draw", metrics.power.clone());
        registry.register("hw_gpu_utilization_ratio", "Utilisation from 0 to 1", metrics.utilization.clone());
        registry.register("hw_gpu_memory_usage_bytes", "Memory in use", metrics.memory.clone());
        registry.register("gpu_process_count", "Processes that compute", metrics.processes.clone());
        registry.register("agent_tokens_bought", "Purchases of a control cluster token", metrics.tokens.clone());
        registry.register("agent_reports_written", "Writes of the server's status", metrics.reports.clone());
        registry.register("agent_heartbeats", "Renewals of the agent's Lease", metrics.heartbeats.clone());
        metrics
    }

    /// Notes what was read of the GPUs.
    pub fn gpus(&self, reading: &Reading) {
        for gpu in &reading.gpus {
            let name = gpu.facts.uuid.device_name();
            for state in STATES {
                let label = [("gpu", name.clone()), ("state", word(state).to_owned())];
                self.health.get_or_create(&label).set(i64::from(gpu.health == state));
            }
            let label = [("gpu", name)];
            let Some(live) = &gpu.live else {
                // A number that is no longer read must not look like one that is.
                self.temperature.remove(&label);
                self.power.remove(&label);
                self.utilization.remove(&label);
                self.memory.remove(&label);
                self.processes.remove(&label);
                continue;
            };
            if let Some(value) = live.temperature_c {
                self.temperature.get_or_create(&label).set(value.into());
            }
            if let Some(value) = live.power_mw {
                self.power.get_or_create(&label).set(f64::from(value) / 1000.0);
            }
            if let Some(value) = live.utilization {
                self.utilization.get_or_create(&label).set(f64::from(value) / 100.0);
            }
            if let Some(value) = live.memory_used_bytes.and_then(|bytes| i64::try_from(bytes).ok()) {
                self.memory.get_or_create(&label).set(value);
            }
            if let Some(value) = live.processes {
                self.processes.get_or_create(&label).set(value.into());
            }
        }
    }

    /// Where the realizer shows its counters and its watches.
    pub fn looks(&self) -> Looks {
        self.looks.clone()
    }

    /// Counts a purchase of a token.
    pub fn token_bought(&self, ok: bool) {
        self.tokens.get_or_create(&[result(ok)]).inc();
    }

    /// Counts a write of the status.
    pub fn report_written(&self, ok: bool) {
        self.reports.get_or_create(&[result(ok)]).inc();
    }

    /// Counts a renewal of the Lease.
    pub fn heartbeat(&self, ok: bool) {
        self.heartbeats.get_or_create(&[result(ok)]).inc();
    }
}
