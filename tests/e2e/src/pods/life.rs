//! The life of one pod's process, from the pod's first sight to the pod's end.

use super::report::{End, FINALIZER, Reporter};
use super::{RunningPod, Shared, container, process};
use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{Client, ResourceExt as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Child;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The chute that a pod belongs to.
const CHUTE_ID: &str = "chutes/chute-id";
/// Between attempts to read what the environment comes from.
const PAUSE: Duration = Duration::from_millis(500);
/// What a process gets at a stop of the runner: nobody looks at how it ends.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// One pod's life.
pub(super) struct Life {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Client,
    pub(super) reporter: Reporter,
    pub(super) pod: Arc<Pod>,
    /// The grace period, once the pod is being deleted.
    pub(super) deleted: watch::Receiver<Option<Duration>>,
}

impl Life {
    /// Lives. Trouble is told in the pod's log.
    pub(super) async fn live(mut self) {
        let path = self.shared.options.log_dir.join(format!("{}.{}.log", self.pod.namespace().unwrap_or_default(), self.pod.name_any()));
        if let Err(error) = self.stages(&path).await
            && let Ok(mut log) = open(&path)
        {
            let _ = writeln!(log, "pod-runner: {error:#}");
        }
    }

    async fn stages(&mut self, path: &Path) -> Result<()> {
        // A process ends with its runner: what an earlier one held has none any more, as after a node's restart.
        if self.pod.finalizers().iter().any(|f| f == FINALIZER) {
            let end = End { code: 137, message: "its runner ended".to_owned() };
            return self.finish(&end).await;
        }
        if !self.reporter.hold(&self.pod).await? {
            return Ok(());
        }
        let mut log = open(path)?;
        let Some(env) = self.environment(&mut log).await else {
            return self.finish(&End { code: 137, message: "deleted before it started".to_owned() }).await;
        };
        let words = container::command(container::of(&self.pod)?);
        let end = match process::start(&self.shared.options, &words, &env, &log) {
            Ok(child) => self.watch_over(child, path).await?,
            Err(error) => End { code: 128, message: format!("cannot start it: {error}") },
        };
        self.finish(&end).await
    }

    /// Waits until the environment can be read; `None` when the pod goes before.
    async fn environment(&mut self, log: &mut File) -> Option<Vec<(String, String)>> {
        let mut told = String::new();
        loop {
            match container::environment(&self.client, &self.pod).await {
                Ok(mut env) => {
                    env.push(("HOSTNAME".to_owned(), self.pod.name_any()));
                    let hooks = self.shared.hooks();
                    let hooks = self.pod.labels().get(CHUTE_ID).and_then(|chute| hooks.get(chute));
                    env.extend(hooks.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
                    return Some(env);
                }
                Err(error) => {
                    let text = format!("{error:#}");
                    if text != told {
                        let _ = writeln!(log, "pod-runner: waits for its environment: {text}");
                        told = text;
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.shared.stop.cancelled() => return None,
                _ = deletion(&mut self.deleted) => return None,
            }
        }
    }

    async fn watch_over(&mut self, mut child: Child, path: &Path) -> Result<End> {
        let uid = self.pod.uid().unwrap_or_default();
        let crash = CancellationToken::new();
        let running = RunningPod {
            namespace: self.pod.namespace().unwrap_or_default(),
            name: self.pod.name_any(),
            uid: uid.clone(),
            pid: child.id().unwrap_or(0),
            log: path.to_owned(),
        };
        self.shared.running().insert(uid.clone(), (running, crash.clone()));
        let status = tokio::select! {
            status = child.wait() => status,
            () = crash.cancelled() => process::kill(&mut child).await,
            () = self.shared.stop.cancelled() => process::end(&mut child, STOP_GRACE).await,
            grace = deletion(&mut self.deleted) => process::end(&mut child, grace).await,
        };
        self.shared.running().remove(&uid);
        Ok(End { code: process::exit_code(status.context("waiting for it")?), message: String::new() })
    }

    /// Reports the end, then lets the pod go. At a stop of the runner it does neither: the next one finds the pod held.
    async fn finish(&self, end: &End) -> Result<()> {
        if self.shared.stop.is_cancelled() {
            return Ok(());
        }
        self.reporter.ended(&self.pod, end).await?;
        self.reporter.release(&self.pod).await?;
        Ok(())
    }
}

/// The grace period, as soon as the pod is being deleted.
async fn deletion(deleted: &mut watch::Receiver<Option<Duration>>) -> Duration {
    match deleted.wait_for(Option::is_some).await {
        Ok(grace) => (*grace).unwrap_or_default(),
        // The keeper forgets a pod only when it is gone.
        Err(_) => Duration::ZERO,
    }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new().create(true).append(true).open(path).with_context(|| format!("opening {}", path.display()))
}
