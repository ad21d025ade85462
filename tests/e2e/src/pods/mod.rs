//! Chutes on simulated nodes: a process for every chute pod.
//!
//! A simulated node's pods are running and ready at once, without anything behind them. [`PodRunner`] is what a kubelet is to a real
//! node: it starts each chute pod as a process with the pod's environment, tells the API server of its end, and ends it when the
//! pod is deleted; the pod object stays until the process is gone. What it does not do: readiness, which is the simulation's own
//! (a pod is ready before its chute answers), init containers, restarts, volumes and expansion of `$(NAME)`.
//!
//! Owns processes, their logs, one finalizer on their pods and the status of pods that ended. Touches pods on real nodes never.

mod container;
mod keeper;
mod life;
mod options;
mod process;
mod report;

pub use options::PodRunnerOptions;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use cluster::client::{ClientSource, connect};
use kubelab::Lab;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the first list of pods may take.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A chute's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningPod {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's UID.
    pub uid: String,
    /// The process.
    pub pid: u32,
    /// What it prints.
    pub log: PathBuf,
}

/// What the handle, the keeper and the lives of the pods share.
struct Shared {
    options: PodRunnerOptions,
    stop: CancellationToken,
    /// By UID, with the means to kill it.
    running: Mutex<BTreeMap<String, (RunningPod, CancellationToken)>>,
    /// Further environment by chute id, for processes that start from now on.
    hooks: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, BTreeMap<String, (RunningPod, CancellationToken)>> {
        // Held for single insertions and reads, so a panic leaves nothing half done.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hooks(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<String, String>>> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the chutes of a lab's simulated nodes until it is stopped or dropped; they also end with this process, however that ends.
pub struct PodRunner {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl PodRunner {
    /// Starts, and returns when it knows the pods that there are. One at a time for a lab.
    ///
    /// # Errors
    /// When the fake chute is not built, or the API server does not answer.
    pub fn start(lab: &Lab, options: PodRunnerOptions) -> Result<Self> {
        ensure!(options.fake_chute.is_file(), "{} is missing; build it with `cargo build -p fake-chute`", options.fake_chute.display());
        std::fs::create_dir_all(&options.log_dir).with_context(|| format!("making {}", options.log_dir.display()))?;
        let kubeconfig = lab.kubeconfig.clone();
        let shared = Arc::new(Shared { options, stop: CancellationToken::new(), running: Mutex::default(), hooks: Mutex::default() });
        let (ready, started) = sync_channel(1);
        // One thread of its own for everything: the kernel ends a child with the thread that started it.
        let thread = std::thread::Builder::new().name("pod-runner".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || run(shared, kubeconfig, &ready)
        })?;
        let runner = Self { shared, thread: Some(thread) };
        match started.recv_timeout(START_LIMIT) {
            Ok(Ok(())) => Ok(runner),
            Ok(Err(error)) => Err(error),
            Err(_) => bail!("the API server did not list its pods within {} s", START_LIMIT.as_secs()),
        }
    }

    /// The processes of this moment.
    #[must_use]
    pub fn running(&self) -> Vec<RunningPod> {
        self.shared.running().values().map(|(pod, _)| pod.clone()).collect()
    }

    /// Kills a pod's process, as a crash of the chute or the kernel's lack of memory would: the pod fails with exit code 137.
    /// Says whether there was one.
    pub fn crash(&self, namespace: &str, name: &str) -> bool {
        let running = self.shared.running();
        let found = running.values().find(|(pod, _)| pod.namespace == namespace && pod.name == name);
        found.map(|(_, crash)| crash.cancel()).is_some()
    }

    /// Sets a variable in every process of a chute that starts from now on, such as `FAKE_CHUTE_FAIL_AT`.
    pub fn hook(&self, chute_id: &str, variable: &str, value: &str) {
        let mut hooks = self.shared.hooks();
        hooks.entry(chute_id.to_owned()).or_default().insert(variable.to_owned(), value.to_owned());
    }

    /// Takes back what [`PodRunner::hook`] set for a chute.
    pub fn unhook(&self, chute_id: &str) {
        self.shared.hooks().remove(chute_id);
    }

    /// Ends every process without a word to the API server, as when a node's power goes: pods stay as they are, also those that
    /// are then deleted, until a next runner finds them dead.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for PodRunner {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread: ends when told to stop and all processes are gone.
fn run(shared: Arc<Shared>, kubeconfig: PathBuf, ready: &SyncSender<Result<()>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(anyhow!(error).context("starting the pod runner")));
            return;
        }
    };
    runtime.block_on(async move {
        match connect(ClientSource::Kubeconfig(kubeconfig)).await {
            Ok(client) => keeper::keep(shared, client, || drop(ready.send(Ok(())))).await,
            Err(error) => drop(ready.send(Err(error.into()))),
        }
    });
}
