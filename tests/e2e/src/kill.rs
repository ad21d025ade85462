//! Killing our programs at chosen moments, and what must be true afterwards.
//!
//! Owns the fault proxies of a fleet ([`Lines`]), the blow ([`Blow`]) and the audit after it. Knows nothing of what our programs do.

use crate::fleet::{Between, Fleet};
use crate::story::Deployed;
use crate::wait;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use testkit::faults::{FaultProxy, FaultProxyConfig, Matcher, kill9};

/// The programs of ours that can be killed.
pub const PROGRAMS: [&str; 3] = ["operator", "miner-api", "agent"];

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The proxies between our programs and the API servers and the validator.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Mutex<BTreeMap<String, FaultProxy>>>);

impl Lines {
    /// Stands between a fleet's programs and the rest: proxies `operator`, `miner-api` and `agent` in front of the control cluster's
    /// API server, `node` in front of the node cluster's, `validator` in front of the validator.
    #[must_use]
    pub fn between(&self) -> Between {
        let (control, node, validator) = (self.clone(), self.clone(), self.clone());
        Between {
            control: Some(Arc::new(move |program, url, ca| control.open(program, url, Some(ca)))),
            node: Some(Arc::new(move |url, ca| node.open("node", url, Some(ca)))),
            validator: Some(Arc::new(move |url| validator.open("validator", url, None))),
            postgres: None,
        }
    }

    /// Starts one more proxy and returns its URL.
    ///
    /// # Panics
    /// When the URL is none, or there is no free port.
    pub fn open(&self, name: &str, url: &str, ca: Option<&str>) -> String {
        let mut config = FaultProxyConfig::new(name, url.parse().expect("launchers name URLs"));
        config.ca_pem = ca.map(str::to_owned);
        if name == "validator" {
            // A GET that makes something: the config cannot be given back.
            config = config.also_write(Matcher::any().path("/instances/launch_config"));
        }
        let proxy = FaultProxy::start(config).expect("a proxy on a free port");
        let url = proxy.url();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), proxy);
        url
    }

    /// The proxy of that name.
    ///
    /// # Panics
    /// When no program was told of it.
    #[must_use]
    pub fn of(&self, name: &str) -> FaultProxy {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().unwrap_or_else(|| panic!("no proxy {name}"))
    }

    /// Forgets every journal and every rule.
    pub fn reset(&self) {
        for proxy in self.0.lock().unwrap_or_else(PoisonError::into_inner).values() {
            proxy.reset();
        }
    }
}

/// Kills programs of one fleet from wherever a test stands, a hook included.
#[derive(Clone, Debug)]
pub struct Blow {
    run: PathBuf,
}

impl Blow {
    /// Kills these programs with SIGKILL, all before the first is waited for; they run no more when this returns.
    pub fn strike(&self, programs: &[&str]) {
        // Once: what is started again meanwhile has another number, and is not meant.
        let pids: Vec<u32> = programs.iter().filter_map(|program| pid(&self.run, program)).collect();
        for process in pids.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
            // It may have died of itself.
            let _ = kill_process(process, Signal::KILL);
        }
        for pid in pids {
            kill9(pid);
        }
    }

    /// Signals a program if it runs.
    pub fn signal(&self, program: &str, signal: Signal) {
        if let Some(process) = pid(&self.run, program).and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            // It may have died of itself.
            let _ = kill_process(process, signal);
        }
    }
}

fn pid(run: &Path, program: &str) -> Option<u32> {
    let record = std::fs::read(run.join(format!("{program}.json"))).ok()?;
    let record: serde_json::Value = serde_json::from_slice(&record).ok()?;
    u32::try_from(record["pid"].as_u64()?).ok()
}

impl Fleet {
    /// What kills programs of this fleet.
    #[must_use]
    pub fn blow(&self) -> Blow {
        Blow { run: self.dir.join("run") }
    }

    /// Whether a program runs at this moment.
    #[must_use]
    pub fn runs(&self, program: &str) -> bool {
        let Some(pid) = pid(&self.dir.join("run"), program) else { return false };
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
        stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X']))
    }

    /// Starts those of our programs that do not run, as Kubernetes would. Returns which.
    ///
    /// # Errors
    /// When one does not start.
    pub fn revive(&self) -> Result<Vec<&'static str>> {
        let dead: Vec<&'static str> = PROGRAMS.into_iter().filter(|program| !self.runs(program)).collect();
        dead.iter().try_for_each(|program| self.start(program))?;
        Ok(dead)
    }

    /// Waits until exactly one copy of the chute is Active and no other deployment of it is under way. Starts programs that ended,
    /// and adds them to `started`.
    ///
    /// # Errors
    /// With what there is instead.
    pub fn await_one(&self, chute: &str, started: &mut Vec<&'static str>) -> Result<Deployed> {
        wait::until(&format!("one Active copy of {chute}"), PATIENCE, || {
            started.extend(self.revive()?);
            let all: Vec<Deployed> = self.deployed()?.into_iter().filter(|d| d.chute == chute).collect();
            let living: Vec<&Deployed> = all.iter().filter(|d| !["Stopped", "Failed"].contains(&d.phase.as_str())).collect();
            match living[..] {
                [one] if one.phase == "Active" => Ok(Some(one.clone())),
                _ => bail!("there is {}", all.iter().map(|d| format!("{}={}", d.id, d.phase)).collect::<Vec<_>>().join(", ")),
            }
        })
    }

    /// Waits until nothing is left of any deployment. Starts programs that ended, and adds them to `started`.
    ///
    /// # Errors
    /// With what is left.
    pub fn await_nothing(&self, started: &mut Vec<&'static str>) -> Result<()> {
        wait::until("nothing to be left behind", PATIENCE, || {
            started.extend(self.revive()?);
            let left = self.residue()?;
            if left.is_empty() { Ok(Some(())) } else { bail!("{}", left.join("; ")) }
        })
    }

    /// What belongs to nobody, or was left open: objects on the node and instances at the validator without a ChuteDeployment,
    /// ChuteDeployments that claim an instance which is not there, launches whose end is not written down.
    ///
    /// # Errors
    /// When one of the places cannot be asked.
    pub fn orphans(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let labels = "jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.labels.chutes/deployment-id}{\"\\n\"}{end}";
        let node = self.node.kubectl_run(["get", "jobs,services,secrets", "-A", "-l", "chutes/deployment-id", "-o", labels])?;
        let validator = self.validator()?.snapshot()?;
        // Asked last: an owner that is gone by now is gone for good.
        let deployed = self.deployed()?;
        let owners: BTreeSet<&str> = deployed.iter().map(|d| d.id.as_str()).collect();
        for line in node.lines() {
            let (object, owner) = line.split_once('=').with_context(|| format!("an object without its owner: {line}"))?;
            if !owners.contains(owner) {
                found.push(format!("{object} on the node belongs to {owner}, which is gone"));
            }
        }
        for instance in &validator.instances {
            let known = deployed.iter().any(|d| d.instance.as_ref() == Some(&instance.instance_id));
            if !known {
                found.push(format!("instance {} of {} belongs to no deployment", instance.instance_id, instance.chute_name));
            }
        }
        for one in deployed.iter().filter(|d| d.phase == "Active") {
            if !validator.instances.iter().any(|i| Some(&i.instance_id) == one.instance.as_ref()) {
                found.push(format!("deployment {} of {} is Active without an instance", one.id, one.chute));
            }
        }
        let open = "select deployment || ' is ' || state from launch_attempts where settled_at is null";
        found.extend(self.sql(open)?.into_iter().map(|row| format!("launch of {row}")));
        let unowned =
            "select c.gpu from gpu_claims c join deployments d on d.id = c.deployment where c.freed_at is null and d.ended_at is not null";
        found.extend(self.sql(unowned)?.into_iter().map(|gpu| format!("GPU {gpu} is held by an ended deployment")));
        Ok(found)
    }

    /// What must hold after `kills` kills in the life of this fleet.
    ///
    /// # Errors
    /// With what does not.
    pub fn audit(&self, kills: u64) -> Result<()> {
        wait::until("no orphan on either side", PATIENCE, || {
            self.revive()?;
            let found = self.orphans()?;
            if found.is_empty() { Ok(Some(())) } else { bail!("{}", found.join("; ")) }
        })?;
        let validator = self.validator()?;
        let counters = validator.counters()?;
        let twice: Vec<_> = counters.claims_by_deployment.iter().filter(|(_, claims)| **claims != 1).collect();
        ensure!(twice.is_empty(), "claimed more than once: {twice:?}");
        let launches = counters.launches;
        ensure!(launches.abandoned <= kills, "{} launch configs abandoned by {kills} kills: {launches:?}", launches.abandoned);
        let unexpected = validator.unexpected()?;
        ensure!(unexpected.is_empty(), "the validator was asked what nobody should ask: {unexpected:?}");
        Ok(())
    }
}
