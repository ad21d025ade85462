//! Looks at the GPUs again and again, and keeps what must survive a restart.

use crate::metrics::Metrics;
use crate::state::StateDir;
use crd::gpu_server::GpuHealth;
use gpu::{Driver, Health, Inventory, Seen};
use realize::{GpuHealthMap, GpuProcessMap};
use service::readiness::Gate;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use gpu::Reading;

/// What others tell the inventory.
#[derive(Clone, Debug)]
pub enum Command {
    /// GPUs that are missing from now on were taken out on purpose.
    Forget,
    /// These GPUs were here before; known ones stay as they are.
    Recall(Seen),
}

/// The loop that looks at the GPUs.
pub struct Looking {
    /// What it looks through.
    pub inventory: Inventory,
    /// Between two looks.
    pub period: Duration,
    /// Keeps the GPUs seen.
    pub state: StateDir,
    /// The health of each GPU as last known: a GPU that cannot be read now keeps what was known of it.
    pub health: watch::Sender<GpuHealthMap>,
    /// How many processes compute on each GPU, as last told.
    pub processes: watch::Sender<GpuProcessMap>,
    /// Somebody wants to know now.
    pub look: Arc<Notify>,
    /// Where readings go.
    pub readings: watch::Sender<Option<Reading>>,
    /// Orders.
    pub commands: mpsc::Receiver<Command>,
    /// Open while the driver answers.
    pub gate: Gate,
    /// Numbers that change all the time.
    pub metrics: Metrics,
}

impl Looking {
    /// Runs until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut kept = self.inventory.seen().clone();
        loop {
            let mut inventory = self.inventory;
            // Reading blocks, for a bounded time, whatever the driver does.
            let looked = tokio::task::spawn_blocking(move || {
                let reading = inventory.read();
                (inventory, reading)
            });
            let Ok((inventory, reading)) = looked.await else {
                self.gate.close("looking at the GPUs panicked: restart the agent");
                tracing::error!("looking at the GPUs panicked");
                return;
            };
            self.inventory = inventory;
            self.tell(reading);
            self.keep(&mut kept);
            tokio::select! {
                () = tokio::time::sleep(self.period) => {}
                () = self.look.notified() => {}
                command = self.commands.recv() => match command {
                    Some(Command::Forget) => self.inventory.forget(),
                    Some(Command::Recall(seen)) => self.inventory.recall(seen),
                    None => return,
                },
                () = shutdown.cancelled() => return,
            }
        }
    }

    fn tell(&self, reading: Reading) {
        match &reading.driver {
            Driver::Answers(_) => self.gate.open(),
            Driver::Silent => self.gate.close("the GPU driver does not answer: reboot the server if this stays"),
            Driver::Absent(why) => self.gate.close(why.clone()),
        }
        self.metrics.gpus(&reading);
        self.health.send_if_modified(|known| update(known, &reading));
        self.processes.send_if_modified(|known| count(known, &reading));
        self.readings.send_replace(Some(reading));
    }

    /// Writes the GPUs seen only when there is news.
    fn keep(&self, kept: &mut Seen) {
        if self.inventory.seen() == kept {
            return;
        }
        match self.state.save_seen(self.inventory.seen()) {
            Ok(()) => kept.clone_from(self.inventory.seen()),
            Err(error) => tracing::warn!(%error, "the GPUs seen could not be kept"),
        }
    }
}

/// Takes what a reading says into what is known. Returns whether that changed anything.
fn update(known: &mut GpuHealthMap, reading: &Reading) -> bool {
    let mut now: GpuHealthMap = known.clone();
    now.retain(|uuid, _| reading.gpus.iter().any(|gpu| gpu.facts.uuid == *uuid));
    for gpu in &reading.gpus {
        let health = match gpu.health {
            Health::Ok => GpuHealth::Ok,
            Health::Lost => GpuHealth::Lost,
            Health::Faulty => GpuHealth::Faulty,
            Health::Unknown => continue,
        };
        now.insert(gpu.facts.uuid.clone(), health);
    }
    let changed = *known != now;
    *known = now;
    changed
}

/// Takes the processes that a reading names into what is known; a GPU that could not be read keeps its own. Returns whether that
/// changed anything.
fn count(known: &mut GpuProcessMap, reading: &Reading) -> bool {
    let of = |gpu: &gpu::GpuReading| match &gpu.live {
        Some(live) => live.processes,
        None => known.get(&gpu.facts.uuid).copied(),
    };
    let now: GpuProcessMap =
        reading.gpus.iter().filter_map(|gpu| Some((gpu.facts.uuid.clone(), of(gpu).filter(|count| *count > 0)?))).collect();
    let changed = *known != now;
    *known = now;
    changed
}

/// How many GPUs answer.
#[must_use]
pub fn answering(reading: &Reading) -> usize {
    reading.gpus.iter().filter(|gpu| matches!(gpu.health, Health::Ok | Health::Faulty)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gpu::{GpuFacts, GpuReading};

    fn reading(healths: &[Health]) -> Reading {
        let gpu = |index: u32, health| GpuReading {
            facts: GpuFacts {
                uuid: format!("{index:032x}").parse().unwrap(),
                index,
                name: "Tesla T4".to_owned(),
                memory_bytes: 1,
                major: None,
                minor: None,
                processors: None,
                clock_mhz: None,
                ecc: None,
            },
            health,
            detail: None,
            live: None,
        };
        let gpus = (0u32..).zip(healths).map(|(index, health)| gpu(index, *health)).collect();
        Reading { gpus, driver: Driver::Answers(String::new()) }
    }

    fn values(known: &GpuHealthMap) -> Vec<GpuHealth> {
        known.values().copied().collect()
    }

    #[test]
    fn what_cannot_be_read_keeps_the_health_that_was_known() {
        let mut known = GpuHealthMap::new();
        assert!(update(&mut known, &reading(&[Health::Ok, Health::Lost])));
        assert!(!update(&mut known, &reading(&[Health::Unknown, Health::Unknown])));
        assert_eq!(values(&known), [GpuHealth::Ok, GpuHealth::Lost]);
        assert!(update(&mut known, &reading(&[Health::Faulty, Health::Ok])));
        assert_eq!(values(&known), [GpuHealth::Faulty, GpuHealth::Ok]);
    }

    #[test]
    fn a_gpu_that_was_never_read_is_not_known_and_one_that_was_forgotten_is_not_kept() {
        let mut known = GpuHealthMap::new();
        assert!(!update(&mut known, &reading(&[Health::Unknown])));
        update(&mut known, &reading(&[Health::Ok, Health::Ok]));
        assert!(update(&mut known, &reading(&[Health::Ok])));
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn processes_are_known_until_the_driver_tells_of_others() {
        let told = |processes| {
            let mut reading = reading(&[Health::Ok]);
            reading.gpus[0].live = Some(gpu::Live { processes, ..gpu::Live::default() });
            reading
        };
        let mut known = GpuProcessMap::new();
        assert!(!count(&mut known, &told(Some(0))) && !count(&mut known, &told(None)) && known.is_empty());
        assert!(count(&mut known, &told(Some(2))));
        assert!(!count(&mut known, &reading(&[Health::Unknown])), "a GPU that could not be read is no emptier");
        assert_eq!(known.values().copied().collect::<Vec<_>>(), [2]);
        assert!(count(&mut known, &told(Some(0))) && known.is_empty());
    }

    #[test]
    fn only_gpus_that_answer_are_counted() {
        assert_eq!(answering(&reading(&[Health::Ok, Health::Faulty, Health::Lost, Health::Unknown])), 2);
    }
}
