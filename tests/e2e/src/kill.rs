//! Killing our programs at chosen moments, and what must be true afterwards.
//!
//! Owns the fault proxies of a fleet ([`Lines`]), the blow ([`Blow`]) and the audit after it. Knows nothing of what our programs do.

use crate::fleet::{Between, Fleet, Side, expect_end};
use crate::wait;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use testkit::faults::{FaultProxy, FaultProxyConfig, Matcher, PgProxy, Rule, kill9, runs};

/// The programs of ours that can be killed.
pub const PROGRAMS: [&str; 3] = ["operator", "miner-api", "agent"];

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The proxies between our programs and the API servers, the validator and Postgres.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    http: Arc<Mutex<BTreeMap<String, FaultProxy>>>,
    postgres: Arc<Mutex<BTreeMap<String, PgProxy>>>,
}

impl Lines {
    /// Stands between a fleet's programs and the rest: proxies `operator`, `miner-api` and `agent` in front of the control cluster's
    /// API server, `node` in front of the node cluster's, `validator` in front of the validator, and `operator's Postgres` and
    /// `miner-api's Postgres`.
    #[must_use]
    pub fn between(&self) -> Between {
        let (control, node, validator, postgres) = (self.clone(), self.clone(), self.clone(), self.clone());
        Between {
            control: Some(Arc::new(move |program, url, ca| control.open(program, url, Some(ca)))),
            node: Some(Arc::new(move |url, ca| node.open("node", url, Some(ca)))),
            validator: Some(Arc::new(move |url| validator.open("validator", url, None))),
            postgres: Some(Arc::new(move |program, port| postgres.open_postgres(&format!("{program}'s Postgres"), port))),
        }
    }

    fn open_postgres(&self, name: &str, port: u16) -> u16 {
        let proxy = PgProxy::start(name, SocketAddr::from((Ipv4Addr::LOCALHOST, port))).expect("a proxy on a free port");
        let port = proxy.port();
        self.postgres.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), proxy);
        port
    }

    /// Adds a rule at a proxy, whatever it stands in front of.
    ///
    /// # Panics
    /// When no program was told of it.
    pub fn plan(&self, name: &str, rule: Rule) {
        let postgres = self.postgres.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        match postgres {
            Some(proxy) => drop(proxy.plan(rule)),
            None => drop(self.of(name).plan(rule)),
        }
    }

    /// All writes since the last reset and what became of them, for the message of a test that fails.
    #[must_use]
    pub fn transcript(&self) -> String {
        let http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        let postgres = self.postgres.lock().unwrap_or_else(PoisonError::into_inner);
        let writes = http.values().map(|proxy| proxy.transcript(&Matcher::writes()));
        writes.chain(postgres.values().map(PgProxy::transcript)).collect()
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
        self.http.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), proxy);
        url
    }

    /// The proxy of that name.
    ///
    /// # Panics
    /// When no program was told of it.
    #[must_use]
    pub fn of(&self, name: &str) -> FaultProxy {
        self.http.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().unwrap_or_else(|| panic!("no proxy {name}"))
    }

    /// Forgets every journal and every rule.
    pub fn reset(&self) {
        for proxy in self.postgres.lock().unwrap_or_else(PoisonError::into_inner).values() {
            proxy.reset();
        }
        for proxy in self.http.lock().unwrap_or_else(PoisonError::into_inner).values() {
            proxy.reset();
        }
    }
}

/// Kills programs of one fleet from wherever a test stands, a hook included.
#[derive(Clone, Debug)]
pub struct Blow {
    fleet: PathBuf,
}

impl Blow {
    /// Kills these programs with SIGKILL, all before the first is waited for; they run no more when this returns.
    pub fn strike(&self, programs: &[&str]) {
        // Once: what is started again meanwhile has another number, and is not meant.
        let pids: Vec<u32> = programs.iter().filter_map(|program| pid(&self.fleet, program)).collect();
        programs.iter().for_each(|program| expect_end(&self.fleet, program));
        for process in pids.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
            // It may have died of itself.
            let _ = kill_process(process, Signal::KILL);
        }
        for pid in pids {
            kill9(pid);
        }
    }

    /// Whether a program runs at this moment.
    #[must_use]
    pub fn runs(&self, program: &str) -> bool {
        pid(&self.fleet, program).is_some_and(runs)
    }

    /// Signals a program if it runs.
    pub fn signal(&self, program: &str, signal: Signal) {
        if let Some(process) = pid(&self.fleet, program).and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            // It may have died of itself.
            let _ = kill_process(process, signal);
        }
    }
}

fn pid(fleet: &Path, program: &str) -> Option<u32> {
    let record = std::fs::read(fleet.join("run").join(format!("{program}.json"))).ok()?;
    let record: serde_json::Value = serde_json::from_slice(&record).ok()?;
    u32::try_from(record["pid"].as_u64()?).ok()
}

impl Fleet {
    /// What kills programs of this fleet.
    #[must_use]
    pub fn blow(&self) -> Blow {
        Blow { fleet: self.dir.clone() }
    }

    /// The process of a program that was started.
    #[must_use]
    pub fn pid(&self, program: &str) -> Option<u32> {
        pid(&self.dir, program)
    }

    /// Whether a program runs at this moment.
    #[must_use]
    pub fn runs(&self, program: &str) -> bool {
        self.blow().runs(program)
    }

    /// Starts those of our programs that a test killed, as Kubernetes would. Returns which.
    ///
    /// The lease of an operator that was killed is given back in its place: that it runs out is shown by a leader that freezes.
    ///
    /// # Errors
    /// When one does not start.
    ///
    /// # Panics
    /// When one ended that nobody killed.
    pub fn revive(&self) -> Result<Vec<&'static str>> {
        let deaths = self.deaths();
        assert!(deaths.is_empty(), "{}", deaths.join("\n"));
        let dead: Vec<&'static str> = PROGRAMS.into_iter().filter(|program| !self.runs(program)).collect();
        if dead.contains(&"operator") {
            let lease = "/apis/coordination.k8s.io/v1/namespaces/chutes/leases/gepetto-operator";
            self.patch(Side::Control, lease, &json!({ "spec": { "holderIdentity": "" } }))?;
        }
        dead.iter().try_for_each(|program| self.start(program))?;
        Ok(dead)
    }

    /// What belongs to nobody, or was left open: objects on the node and instances at the validator without a ChuteDeployment,
    /// ChuteDeployments that claim an instance which is not there, launches whose end is not written down.
    ///
    /// # Errors
    /// When one of the places cannot be asked.
    pub fn orphans(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut objects = Vec::new();
        for collection in ["/apis/batch/v1/jobs", "/api/v1/pods", "/api/v1/services", "/api/v1/secrets"] {
            objects.extend(self.list(Side::Node, collection, "chutes/deployment-id")?.into_iter().map(|object| (collection, object)));
        }
        let validator = self.validator()?.snapshot()?;
        // Asked last: an owner that is gone by now is gone for good.
        let deployed = self.deployed()?;
        let owners: BTreeSet<&str> = deployed.iter().map(|d| d.id.as_str()).collect();
        for (collection, object) in &objects {
            let owner = object["metadata"]["labels"]["chutes/deployment-id"].as_str().context("an object without its owner")?;
            if !owners.contains(owner) {
                found.push(format!("{collection}/{} on the node belongs to {owner}, which is gone", object["metadata"]["name"]));
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

    /// What must hold after `kills` kills of the operator in the life of this fleet.
    ///
    /// # Errors
    /// With what does not.
    pub fn audit(&self, kills: u64) -> Result<()> {
        wait::until("no orphan on either side", PATIENCE, || {
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
