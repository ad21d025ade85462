//! A fleet on this machine: two clusters, the stores, the validator simulator and our programs.
//!
//! Everything it starts is detached and recorded in `dir`, so that one process may start it and another take it down.

mod accounts;
mod eyes;
mod images;
mod options;
mod programs;
mod scenario;
mod up;

pub use eyes::Side;
pub use options::{Between, Driver, FleetOptions, ForCluster, ForPort, ForProgram, ForUrl, Form};
pub(crate) use programs::expect_end;
pub use programs::{Program, binary};

use anyhow::{Context as _, Result, bail};
use kubelab::Lab;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A running fleet.
#[derive(Debug)]
pub struct Fleet {
    /// Where everything of it lies.
    pub dir: PathBuf,
    /// What the others need to know.
    pub facts: Facts,
    /// The control cluster.
    pub control: Lab,
    /// The server's own cluster; the control cluster again where they are one.
    pub node: Lab,
    eyes: eyes::Eyes,
}

/// What is known of a running fleet, kept in `fleet.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// Whether the server has a cluster of its own.
    pub form: Form,
    /// Who realizes deployments.
    pub driver: Driver,
    /// Postgres.
    pub database_url: String,
    /// Redis.
    pub redis_url: String,
    /// The validator, as this machine and the pods reach it.
    pub validator_url: String,
    /// The simulator's admin API.
    pub validator_admin: String,
    /// The validator's hotkey address.
    pub validator_hotkey: String,
    /// The miner API for people.
    pub miner_api: String,
    /// The agent's API.
    pub agent_api: String,
    /// The miner's hotkey file.
    pub hotkey_file: PathBuf,
    /// The miner's hotkey address.
    pub hotkey: String,
    /// The server's name.
    pub server: String,
    /// The server's address, where NodePorts answer.
    pub server_address: String,
    /// How each program was started, to start it again.
    pub programs: BTreeMap<String, Program>,
}

impl Fleet {
    /// Starts a fleet; `say` hears each step as it is done. What an earlier start in that folder left, if it did not come to its end, is
    /// ended first.
    ///
    /// # Errors
    /// When a part does not start; what was started by then goes on, for a look at it, until [`Fleet::down`] or another start.
    pub fn up(options: &FleetOptions, say: &mut dyn FnMut(&str)) -> Result<Self> {
        up::up(options, say)
    }

    /// Finds the fleet that was started in `dir`.
    ///
    /// # Errors
    /// When there is none.
    pub fn attach(dir: &Path) -> Result<Self> {
        let dir = &std::fs::canonicalize(dir).with_context(|| format!("no fleet in {}", dir.display()))?;
        let facts: Facts = read_json(&dir.join("fleet.json")).with_context(|| format!("no fleet in {}", dir.display()))?;
        let control = Lab::attach(dir.join("control"))?;
        let node = if facts.form == Form::Own { Lab::attach(dir.join("node"))? } else { control.clone() };
        Ok(Self { dir: dir.to_owned(), facts, control, node, eyes: eyes::Eyes::default() })
    }

    /// Ends everything that was started in `dir`, also after a start that failed midway. Returns what could not be removed.
    ///
    /// # Errors
    /// When something is left.
    pub fn down(dir: &Path) -> Result<()> {
        // Servers that are asked to stop run in a folder of their own.
        let Ok(dir) = &std::fs::canonicalize(dir) else { return Ok(()) };
        let mut left = Vec::new();
        for program in programs::recorded(dir) {
            programs::stop(dir, &program);
        }
        for lab in ["node", "control"] {
            if let Err(error) = Lab::down(dir.join(lab)) {
                left.push(format!("{lab} cluster: {error}"));
            }
        }
        if let Err(error) = testkit::redis::stop_detached(&dir.join("redis")) {
            left.push(format!("redis: {error:#}"));
        }
        if let Err(error) = testkit::postgres::stop_detached(&dir.join("postgres")) {
            left.push(format!("postgres: {error:#}"));
        }
        images::remove_caches(dir);
        if !left.is_empty() {
            bail!("left behind: {}", left.join("; "));
        }
        if dir.join(MARK).exists() {
            std::fs::remove_dir_all(dir).with_context(|| format!("removing {}", dir.display()))?;
        }
        Ok(())
    }

    /// Our command line, ready to talk to this fleet.
    pub fn cli(&self) -> Command {
        let mut command = Command::new(programs::binary("chutes-miner"));
        command.env("HOTKEY", &self.facts.hotkey_file).env("MINER_API", &self.facts.miner_api);
        command
    }

    /// `kubectl get -o json` on the control cluster.
    ///
    /// # Errors
    /// When the API server refuses.
    pub fn get(&self, args: &[&str]) -> Result<Value> {
        let text = self.control.kubectl_run(["get", "-o", "json"].iter().chain(args))?;
        serde_json::from_str(&text).context("kubectl printed something else than JSON")
    }

    /// All ChuteDeployments.
    ///
    /// # Errors
    /// When the API server refuses.
    pub fn deployments(&self) -> Result<Vec<Value>> {
        self.list(Side::Control, "/apis/gepetto.fleet/v1alpha1/chutedeployments", "")
    }

    /// Kills a program with SIGKILL.
    ///
    /// # Errors
    /// When it is not known.
    pub fn kill(&self, program: &str) -> Result<()> {
        programs::signal(&self.dir, program, rustix::process::Signal::KILL)
    }

    /// Sends a signal to a program.
    ///
    /// # Errors
    /// When it is not known or does not run.
    pub fn signal(&self, program: &str, signal: rustix::process::Signal) -> Result<()> {
        programs::signal(&self.dir, program, signal)
    }

    /// Takes the coming end of a program, as it runs now, for a part of the test.
    pub fn expect_end(&self, program: &str) {
        programs::expect_end(&self.dir, program);
    }

    /// Our programs that ended although no test ended them, each with its status and the last of its log.
    #[must_use]
    pub fn deaths(&self) -> Vec<String> {
        programs::deaths(&self.dir)
    }

    /// Starts a program again, as it was started first.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&self, program: &str) -> Result<()> {
        let how = self.facts.programs.get(program).with_context(|| format!("no program {program}"))?;
        programs::start(&self.dir, program, how)
    }

    /// What a program's admin listener shows under `/metrics`.
    ///
    /// # Errors
    /// When it is not known or does not answer.
    pub fn metrics(&self, program: &str) -> Result<String> {
        let args = &self.facts.programs.get(program).with_context(|| format!("no program {program}"))?.args;
        let at = args.iter().position(|arg| arg == "--admin-listen").and_then(|at| args.get(at + 1));
        let mut stream = TcpStream::connect(at.with_context(|| format!("{program} has no --admin-listen"))?)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: fleet\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// A program's log.
    #[must_use]
    pub fn log(&self, program: &str) -> PathBuf {
        programs::log(&self.dir, program)
    }
}

/// Marks a folder as a fleet's, so that nothing else is ever removed.
const MARK: &str = ".fleet";

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path)?;
    Ok(serde_json::from_str(&text)?)
}
