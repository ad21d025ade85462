//! What must not change while something cannot be seen, and proof that somebody looked all the same.

use crate::fleet::{Fleet, Side};
use crate::wait;
use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use validator_sim::{Fault, FaultMode};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// The validator's lists that our programs read over and over.
pub const LISTS: [&str; 4] = ["/miner/chutes/", "/miner/instances/", "/miner/nodes/", "/miner/inventory"];

impl Fleet {
    /// Everything a fleet earns with, by its own id: servers, chutes, deployments and where they stand, pods, instances and GPUs at
    /// the validator; and how many launch tokens it was ever given.
    ///
    /// # Errors
    /// When one of the places cannot be asked.
    pub fn standing(&self) -> Result<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        for kind in ["gpuservers", "chutes"] {
            for object in self.list(Side::Control, &format!("/apis/gepetto.fleet/v1alpha1/{kind}"), "")? {
                let meta = &object["metadata"];
                all.insert(format!("{kind} {} {} {}", meta["name"], meta["uid"], meta["deletionTimestamp"]));
            }
        }
        all.extend(self.deployed()?.into_iter().map(|d| format!("deployment {} {} {}", d.chute, d.id, d.phase)));
        all.extend(self.pods()?);
        let validator = self.validator()?;
        let seen = validator.snapshot()?;
        all.extend(seen.instances.iter().map(|i| format!("instance {} {}", i.chute_name, i.instance_id)));
        all.extend(seen.nodes.iter().map(|n| format!("advertised {}", n["uuid"])));
        all.insert(format!("launch tokens given: {}", validator.counters()?.launches.granted));
        Ok(all)
    }

    /// The pods of all chutes by UID, those that are ending marked as such.
    ///
    /// # Errors
    /// When the node's API server does not answer.
    pub fn pods(&self) -> Result<BTreeSet<String>> {
        let pods = self.list(Side::Node, "/api/v1/pods", "chutes/deployment-id")?;
        let line = |pod: &Value| {
            let (meta, phase) = (&pod["metadata"], &pod["status"]["phase"]);
            format!("pod {} of {} {phase} {}", meta["uid"], meta["labels"]["chutes/deployment-id"], meta["deletionTimestamp"])
        };
        Ok(pods.iter().map(line).collect())
    }

    /// Compares with what stood before.
    ///
    /// # Errors
    /// With what is gone and what is new.
    pub fn still(&self, before: &BTreeSet<String>) -> Result<()> {
        differs(before, &self.standing()?)
    }

    /// Lets every list of the validator fail in this way until [`crate::validator::Validator::heal`].
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub fn blind(&self, mode: FaultMode) -> Result<()> {
        let validator = self.validator()?;
        LISTS.iter().try_for_each(|list| validator.fault(&Fault::forever(list, mode)))
    }

    /// Waits until the validator was asked so many times more on each of these routes.
    ///
    /// # Errors
    /// When nobody asks.
    pub fn await_asked(&self, routes: &[&str], times: u64) -> Result<()> {
        let validator = self.validator()?;
        let before = validator.counters()?;
        wait::until(&format!("the validator to be asked {times} times on {}", routes.join(", ")), PATIENCE, || {
            let now = validator.counters()?;
            Ok(routes.iter().all(|route| now.asked(route) >= before.asked(route) + times).then_some(()))
        })
    }

    /// How often a program's log has these words.
    ///
    /// # Errors
    /// When there is no log.
    pub fn said(&self, program: &str, words: &str) -> Result<usize> {
        let path = self.log(program);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(text.lines().filter(|line| line.contains(words)).count())
    }

    /// Waits until the program's log has these words so many times more than it had.
    ///
    /// # Errors
    /// When it has not.
    pub fn await_said(&self, program: &str, words: &str, before: usize, times: usize) -> Result<()> {
        wait::until(&format!("{program} to say {words:?} {times} times"), PATIENCE, || {
            Ok((self.said(program, words)? >= before + times).then_some(()))
        })
    }

    /// The server's resource.
    ///
    /// # Errors
    /// When there is none, or the API server does not answer.
    pub fn server(&self) -> Result<Value> {
        self.object(Side::Control, &format!("/apis/gepetto.fleet/v1alpha1/namespaces/chutes/gpuservers/{}", self.facts.server))
    }

    /// Status and reason of a condition of the server.
    ///
    /// # Errors
    /// When the API server does not answer, or there is no such condition.
    pub fn server_condition(&self, kind: &str) -> Result<(String, String)> {
        let server = self.server()?;
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let found = server["status"]["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == kind);
        found.map(|c| (text(&c["status"]), text(&c["reason"]))).with_context(|| format!("the server has no condition {kind}"))
    }

    /// Waits until the server is ready, or not for this reason.
    ///
    /// # Errors
    /// With what it is instead.
    pub fn await_ready(&self, status: &str, reason: &str) -> Result<()> {
        wait::until(&format!("Ready={status} ({reason})"), PATIENCE, || {
            let found = self.server_condition("Ready")?;
            if found == (status.to_owned(), reason.to_owned()) { Ok(Some(())) } else { bail!("it is {found:?}") }
        })
    }

    /// Asks a program to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not run, or does not end.
    pub fn end(&self, program: &str) -> Result<()> {
        self.signal(program, Signal::TERM)?;
        wait::until(&format!("{program} to end"), PATIENCE, || Ok((!self.runs(program)).then_some(())))
    }

    /// Complains of programs that ended although nobody ended them.
    ///
    /// # Errors
    /// With the last of their logs.
    pub fn all_lived(&self) -> Result<()> {
        let deaths = self.deaths();
        if deaths.is_empty() { Ok(()) } else { bail!("{}", deaths.join("; ")) }
    }

    /// Wipes Redis, as a person with the wrong prompt would.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn flush_redis(&self) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", port(&self.facts.redis_url)?))?;
        stream.write_all(b"FLUSHALL\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        anyhow::ensure!(answer == *b"+OK\r\n", "Redis refused to flush");
        Ok(())
    }

    /// Takes Redis away.
    ///
    /// # Errors
    /// When it does not go.
    pub fn stop_redis(&self) -> Result<()> {
        testkit::redis::stop_detached(&self.dir.join("redis"))
    }

    /// Brings an empty Redis back.
    ///
    /// # Errors
    /// When it does not come.
    pub fn start_redis(&self) -> Result<()> {
        testkit::redis::start_detached(&self.dir.join("redis"), port(&self.facts.redis_url)?).map(drop)
    }

    /// Takes Postgres away.
    ///
    /// # Errors
    /// When it does not go.
    pub fn stop_postgres(&self) -> Result<()> {
        testkit::postgres::stop_detached(&self.dir.join("postgres"))
    }

    /// Brings Postgres back.
    ///
    /// # Errors
    /// When it does not come.
    pub fn start_postgres(&self) -> Result<()> {
        testkit::postgres::start_detached(&self.dir.join("postgres"), port(&self.facts.database_url)?, "fleet").map(drop)
    }

    /// The problems that `status` tells, worst first.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn problems(&self) -> Result<Vec<Value>> {
        let report: Value = serde_json::from_str(&self.run(&["status", "-o", "json"])?)?;
        Ok(report["problems"].as_array().cloned().unwrap_or_default())
    }
}

/// Complains of each line that only one side has.
///
/// # Errors
/// With these lines.
pub fn differs(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Result<()> {
    let gone: Vec<&str> = before.difference(after).map(String::as_str).collect();
    let new: Vec<&str> = after.difference(before).map(String::as_str).collect();
    if !gone.is_empty() || !new.is_empty() {
        bail!("gone: {}; new: {}", gone.join(", "), new.join(", "));
    }
    Ok(())
}

fn port(url: &str) -> Result<u16> {
    let tail = url.rsplit_once(':').map(|(_, tail)| tail).unwrap_or_default();
    tail.split('/').next().unwrap_or_default().parse().with_context(|| format!("{url} has no port"))
}
