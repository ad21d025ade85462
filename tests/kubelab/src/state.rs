//! The state file `lab.json`: what a lab is made of, written before it is made.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::error::{At, Error, Result};
use crate::options::Nodes;
use crate::process::{self, Process};
use crate::slot::Slot;

const FILE: &str = "lab.json";

/// Everything a later process must know to use a lab or to end it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) slot: Slot,
    pub(crate) nodes: Nodes,
    /// Where the Go programs lie that this lab was started with.
    pub(crate) binaries: PathBuf,
    /// Whether `up` finished.
    pub(crate) ready: bool,
    pub(crate) components: BTreeMap<String, Component>,
}

/// A program of the lab: how to start it, and the process it is now.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Component {
    pub(crate) argv: Vec<String>,
    /// The network namespace it runs in, if not the machine's own.
    pub(crate) netns: Option<String>,
    pub(crate) process: Option<Process>,
}

impl Component {
    /// A component in the machine's own network namespace, not started yet.
    pub(crate) fn new(program: &Path, args: impl IntoIterator<Item = String>) -> Self {
        let argv = std::iter::once(program.display().to_string()).chain(args).collect();
        Self { argv, netns: None, process: None }
    }

    /// Moves it into a network namespace.
    pub(crate) fn in_netns(mut self, netns: &str) -> Self {
        self.netns = Some(netns.to_owned());
        self
    }

    pub(crate) fn alive(&self) -> bool {
        self.process.is_some_and(Process::alive)
    }
}

impl State {
    /// Reads the state of the lab in `dir`.
    pub(crate) fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let bytes = fs::read(&path).map_err(|_| Error::NoLab(dir.to_owned()))?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Invalid(format!("{}: {error}", path.display())))
    }

    /// Writes it whole or not at all.
    pub(crate) fn save(&self, dir: &Path) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self).expect("plain data always serialises");
        let path = dir.join(FILE);
        let new = dir.join("lab.json.new");
        fs::write(&new, bytes).at("write", &new)?;
        fs::rename(&new, &path).at("rename", &path)
    }

    /// Removes the file: from here on there is no lab.
    pub(crate) fn remove(dir: &Path) -> Result<()> {
        match fs::remove_file(dir.join(FILE)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("remove", dir.join(FILE)),
            _ => Ok(()),
        }
    }

    /// Records a component and starts it.
    pub(crate) fn start(&mut self, dir: &Path, name: &str, component: Component) -> Result<()> {
        self.components.insert(name.to_owned(), component);
        self.save(dir)?;
        self.restart(dir, name)
    }

    /// Starts a recorded component that does not run.
    pub(crate) fn restart(&mut self, dir: &Path, name: &str) -> Result<()> {
        let component = self.components.get_mut(name).ok_or_else(|| Error::Invalid(format!("the lab has no component {name}")))?;
        if component.alive() {
            return Ok(());
        }
        let log = log_of(dir, name);
        component.process = Some(process::spawn_detached(&component.argv, component.netns.as_deref(), dir, &log)?);
        self.save(dir)
    }

    /// Sends a signal to a component.
    pub(crate) fn signal(&self, name: &str, signal: Signal) -> Result<Process> {
        let process = self
            .components
            .get(name)
            .and_then(|component| component.process)
            .ok_or_else(|| Error::Invalid(format!("the lab has no process {name}")))?;
        process.signal(signal);
        Ok(process)
    }

    /// Polls `done` until it says true; fails early when a component dies.
    pub(crate) fn wait(&self, dir: &Path, name: &str, problem: &str, limit: Duration, mut done: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !done() {
            let dead = self.components.iter().find(|(_, component)| component.process.is_some() && !component.alive());
            let (component, problem) = match dead {
                Some((dead, _)) => (dead.as_str(), "ended while starting".to_owned()),
                None if Instant::now() > deadline => (name, format!("{problem} within {} s", limit.as_secs())),
                None => {
                    thread::sleep(Duration::from_millis(100));
                    continue;
                }
            };
            let log = log_of(dir, component);
            return Err(Error::NotReady { component: component.to_owned(), problem, tail: process::tail(&log), log });
        }
        Ok(())
    }
}

/// Where a component writes what it has to say.
pub(crate) fn log_of(dir: &Path, component: &str) -> PathBuf {
    dir.join("logs").join(format!("{component}.log"))
}

/// Holds off other launchers of the same folder. The kernel releases it when
/// this process ends, however it ends.
pub(crate) fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let file = File::create(&path).at("open", &path)?;
    file.lock().at("lock", &path)?;
    Ok(file)
}
