//! Reading all GPUs of the server, in bounded time.

use crate::facts::Seen;
use crate::health::GpuReading;
use crate::merge::{Doubts, Slot, merge, unread};
use crate::probe::{self, Overview};
use crate::worker::{Hung, Worker};
use nvml_wrapper::Nvml;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the driver may take for one question.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the GPUs and remembers those it saw.
pub struct Inventory {
    library: Option<PathBuf>,
    patience: Duration,
    /// The library, once it is loaded. Behind a lock because a worker that hangs may still hold it.
    nvml: Arc<Mutex<Option<Arc<Nvml>>>>,
    opener: Option<Worker>,
    probers: Vec<Worker>,
    seen: Seen,
    doubts: Doubts,
}

/// What one read found.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Every GPU seen now or before, in device order.
    pub gpus: Vec<GpuReading>,
    /// How the driver fares.
    pub driver: Driver,
}

/// How the driver fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    /// It answers; its version.
    Answers(String),
    /// It does not answer in time.
    Silent,
    /// It is not there, or refuses; why, and what to do.
    Absent(String),
}

impl Inventory {
    /// An inventory through the given `libnvidia-ml.so.1`, or the system's. Nothing is loaded before the first read,
    /// and a driver that is missing now may appear later.
    #[must_use]
    pub fn open(library: Option<&Path>) -> Self {
        Self {
            library: library.map(Path::to_owned),
            patience: PATIENCE,
            nvml: Arc::default(),
            opener: None,
            probers: Vec::new(),
            seen: Seen::default(),
            doubts: Doubts::default(),
        }
    }

    /// With the GPUs an earlier run saw.
    #[must_use]
    pub fn remembering(mut self, seen: Seen) -> Self {
        self.seen = seen;
        self
    }

    /// With another limit for one question to the driver (default 10 s).
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The GPUs seen so far, to be kept for the next run.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Adds GPUs that somebody else remembers; those known here stay as they are.
    pub fn recall(&mut self, seen: Seen) {
        self.seen.add(seen);
    }

    /// Forgets the GPUs seen so far: those that are missing at the next read were taken out on purpose.
    pub fn forget(&mut self) {
        self.seen = Seen::default();
        self.doubts = Doubts::default();
    }

    /// Reads all GPUs. Blocks for at most twice the limit for one question, whatever the driver does: call it from a
    /// thread that may block. What cannot be read is `Unknown`, which says nothing against the GPU.
    pub fn read(&mut self) -> Reading {
        let Overview { driver, count } = match self.overview() {
            Ok(Ok(overview)) => overview,
            Ok(Err(why)) => return Reading { gpus: unread(&self.seen, &why), driver: Driver::Absent(why) },
            Err(Hung) => {
                return Reading { gpus: unread(&self.seen, "the GPU driver does not answer"), driver: Driver::Silent };
            }
        };
        let slots = self.slots(count);
        if slots.iter().any(|slot| !matches!(slot, Slot::Device { .. })) {
            // A GPU that comes back after a reset is seen only by a library that was started after it.
            self.close();
        }
        Reading { gpus: merge(&mut self.seen, &mut self.doubts, slots), driver: Driver::Answers(driver) }
    }

    fn overview(&mut self) -> Result<Result<Overview, String>, Hung> {
        let deadline = Instant::now() + self.patience;
        let worker = match &mut self.opener {
            Some(worker) => worker,
            empty => empty.insert(Worker::start("nvml").map_err(|_| Hung)?),
        };
        let (shared, library) = (self.nvml.clone(), self.library.clone());
        worker
            .begin(move || {
                let opened = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let nvml = match opened {
                    Some(nvml) => nvml,
                    None => Arc::new(probe::open(library.as_deref())?),
                };
                let overview = probe::overview(&nvml);
                // After an error the library is loaded anew: the driver may have been replaced under it.
                let kept = overview.is_ok().then_some(nvml);
                let old = std::mem::replace(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner), kept);
                // Ending the library may hang too: never while holding the lock.
                drop(old);
                overview
            })
            .wait(deadline)
    }

    fn slots(&mut self, count: u32) -> Vec<Slot> {
        let Some(nvml) = self.nvml.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return vec![Slot::Hung; count as usize];
        };
        while self.probers.len() < count as usize {
            match Worker::start(&format!("nvml-{}", self.probers.len())) {
                Ok(worker) => self.probers.push(worker),
                Err(error) => {
                    tracing::error!(%error, "no thread for reading a GPU");
                    break;
                }
            }
        }
        let deadline = Instant::now() + self.patience;
        let pending: Vec<_> = (0..count)
            .zip(self.probers.iter())
            .map(|(index, worker)| {
                let nvml = nvml.clone();
                worker.begin(move || probe::slot(&nvml, index))
            })
            .collect();
        let mut slots: Vec<Slot> = pending.into_iter().map(|answer| answer.wait(deadline).unwrap_or(Slot::Hung)).collect();
        slots.resize(count as usize, Slot::Hung);
        slots
    }

    /// Ends the library on the thread that may hang; the next read starts it again.
    fn close(&mut self) {
        let Some(worker) = &self.opener else { return };
        let (deadline, shared) = (Instant::now() + self.patience, self.nvml.clone());
        let closing = worker.begin(move || {
            let nvml = shared.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(nvml);
        });
        // Not closed in time, or the worker hangs: then the library stays loaded, which costs nothing.
        let _ = closing.wait(deadline);
    }
}

impl Drop for Inventory {
    fn drop(&mut self) {
        self.close();
    }
}
