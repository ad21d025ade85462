//! What an operator of a fleet does and expects, step by step; tests are told in these words.

use crate::fleet::{Driver, Fleet, Form, Side};
use crate::validator::Validator;
use crate::wait;
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A deployment in short.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deployed {
    /// Its id.
    pub id: String,
    /// Its namespace on the control cluster.
    pub namespace: String,
    /// The chute's name.
    pub chute: String,
    /// Where it stands.
    pub phase: String,
    /// The GPUs.
    pub gpus: Vec<String>,
    /// The validator's id of its instance.
    pub instance: Option<String>,
}

impl Fleet {
    /// The validator's own view.
    ///
    /// # Errors
    /// When the simulator is gone.
    pub fn validator(&self) -> Result<Validator> {
        Validator::at(&self.facts.validator_admin)
    }

    /// Runs our command line and returns what it printed.
    ///
    /// # Errors
    /// When it exits with something else than 0; the complaint holds both outputs.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        let output = self.cli().args(args).output().context("running chutes-miner")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!("chutes-miner {}: {}\n{text}{}", args.join(" "), output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(text)
    }

    /// Adds the fleet's one server and waits until it is proven.
    ///
    /// # Errors
    /// When `add-node` fails.
    pub fn add_server(&self) -> Result<String> {
        let facts = &self.facts;
        let mut args = vec!["add-node", "--name", &facts.server, "--validator", &facts.validator_hotkey];
        args.extend(["--gpu-short-ref", "h100_sxm", "--hourly-cost", "1.80"]);
        if facts.form == Form::Shared {
            args.extend(["--cluster", "shared"]);
        }
        let kubeconfig = self.dir.join("agent.kubeconfig").display().to_string();
        match facts.driver {
            Driver::Agent => args.extend(["--agent-api", &facts.agent_api]),
            Driver::Remote => {
                args.extend([
                    "--driver",
                    "remote",
                    "--kubeconfig-file",
                    &kubeconfig,
                    "--address",
                    &facts.server_address,
                    "--gpu-count",
                    "8",
                ]);
            }
        }
        self.run(&args)
    }

    /// From now on a chute has one copy at most, and a launch that failed is tried again after a second: whatever else is launched or
    /// stopped in a test has another cause.
    ///
    /// # Errors
    /// When the API server refuses.
    pub fn one_copy_each(&self) -> Result<()> {
        let policy = "/apis/gepetto.fleet/v1alpha1/namespaces/chutes/gepettopolicies/default";
        let limits = json!({ "deploymentsPerChute": 1, "retryAfterSeconds": 1, "retryAtMostSeconds": 1 });
        self.patch(Side::Control, policy, &json!({ "spec": { "limits": limits } })).map(drop)
    }

    /// Every ChuteDeployment there is.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub fn deployed(&self) -> Result<Vec<Deployed>> {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let mut all: Vec<Deployed> = self
            .deployments()?
            .iter()
            .map(|d| Deployed {
                id: text(&d["metadata"]["name"]),
                namespace: text(&d["metadata"]["namespace"]),
                chute: text(&d["spec"]["chute"]["name"]),
                phase: d["status"]["phase"].as_str().unwrap_or("Pending").to_owned(),
                gpus: d["spec"]["gpus"].as_array().into_iter().flatten().map(text).collect(),
                instance: d["status"]["instanceId"].as_str().map(str::to_owned),
            })
            .collect();
        all.sort();
        Ok(all)
    }

    /// Waits until exactly these chutes, by name and with repetition, are Active.
    ///
    /// # Errors
    /// When they are not in time; the complaint lists what there is.
    pub fn await_active(&self, chutes: &[&str]) -> Result<Vec<Deployed>> {
        let mut wanted: Vec<&str> = chutes.to_vec();
        wanted.sort_unstable();
        wait::until(&format!("Active: {}", wanted.join(", ")), PATIENCE, || {
            let all = self.deployed()?;
            let mut active: Vec<&str> = all.iter().filter(|d| d.phase == "Active").map(|d| d.chute.as_str()).collect();
            active.sort_unstable();
            if active != wanted {
                bail!("there is {}", all.iter().map(|d| format!("{}={}", d.chute, d.phase)).collect::<Vec<_>>().join(", "));
            }
            Ok(Some(all.into_iter().filter(|d| d.phase == "Active").collect()))
        })
    }

    /// Stops a deployment as a person would.
    ///
    /// # Errors
    /// When the API server refuses.
    pub fn stop(&self, deployment: &Deployed) -> Result<()> {
        let patch = r#"{"spec":{"runState":"Stopped"}}"#;
        self.control
            .kubectl_run(["patch", "chutedeployment", &deployment.id, "-n", &deployment.namespace, "--type=merge", "-p", patch])
            .map(drop)
            .map_err(Into::into)
    }

    /// Asks Postgres; the first column of each row.
    ///
    /// # Errors
    /// When Postgres refuses.
    pub fn sql(&self, query: &str) -> Result<Vec<String>> {
        let output = Command::new("psql").args([&self.facts.database_url, "-XAtc", query]).output().context("running psql")?;
        if !output.status.success() {
            bail!("psql: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }

    /// What is left anywhere of the given deployments' lives: on the node, on the control cluster, at the validator, in the books.
    /// Empty when everything was cleaned up.
    ///
    /// # Errors
    /// When one of the places cannot be asked.
    pub fn residue(&self) -> Result<Vec<String>> {
        let mut left = Vec::new();
        let mut look = |side, collection: &str, labels| -> Result<()> {
            let names = self.list(side, collection, labels)?.into_iter().map(|object| object["metadata"]["name"].clone());
            left.extend(names.map(|name| format!("{side:?} cluster: {collection}/{name}")));
            Ok(())
        };
        for collection in ["/apis/batch/v1/jobs", "/api/v1/pods", "/api/v1/services", "/api/v1/secrets"] {
            look(Side::Node, collection, "chutes/deployment-id")?;
        }
        look(Side::Control, "/api/v1/secrets", "chutes/config-id")?;
        left.extend(self.deployed()?.into_iter().map(|d| format!("ChuteDeployment {} {}", d.id, d.phase)));
        left.extend(
            self.sql("select gpu || ' for ' || deployment from gpu_claims where freed_at is null")?
                .into_iter()
                .map(|g| format!("open claim on {g}")),
        );
        let validator = self.validator()?.snapshot()?;
        left.extend(validator.instances.iter().map(|i| format!("instance {} at the validator", i.instance_id)));
        Ok(left)
    }

    /// What is left of any but these deployments.
    ///
    /// # Errors
    /// When one of the places cannot be asked.
    pub fn residue_beside(&self, these: &[Deployed]) -> Result<Vec<String>> {
        let theirs =
            |line: &String| these.iter().any(|one| line.contains(&one.id) || one.instance.as_ref().is_some_and(|id| line.contains(id)));
        Ok(self.residue()?.into_iter().filter(|line| !theirs(line)).collect())
    }

    /// Waits until nothing is left of any deployment.
    ///
    /// # Errors
    /// With what is left.
    pub fn await_no_residue(&self) -> Result<()> {
        wait::until("nothing to be left behind", PATIENCE, || {
            let left = self.residue()?;
            if left.is_empty() { Ok(Some(())) } else { bail!("{}", left.join("; ")) }
        })
    }

    /// Deletes the server and checks that no side knows it any more.
    ///
    /// # Errors
    /// With what is left.
    pub fn delete_server(&self) -> Result<()> {
        self.run(&["delete-node", "--name", &self.facts.server, "--yes"])?;
        wait::until("the server to be gone everywhere", PATIENCE, || {
            let mut left = self.residue()?;
            for (collection, labels) in [("/apis/gepetto.fleet/v1alpha1/gpuservers", ""), ("/api/v1/namespaces", "gepetto.fleet/server")] {
                let objects = self.list(Side::Control, collection, labels)?;
                left.extend(objects.iter().map(|object| format!("{collection}/{}", object["metadata"]["name"])));
            }
            left.extend(self.validator()?.snapshot()?.nodes.iter().map(|n| format!("advertised GPU {}", n["uuid"])));
            if left.is_empty() { Ok(Some(())) } else { bail!("{}", left.join("; ")) }
        })
    }
}
