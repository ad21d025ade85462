//! A running lab as a caller sees it.

use std::fs;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::binaries::Binaries;
use crate::down::{self, DownOptions};
use crate::error::{At, Error, Result};
use crate::node;
use crate::options::{Nodes, Options};
use crate::process::run;
use crate::simulated::SimulatedNode;
use crate::slot::Slot;
use crate::state::{self, State};
use crate::up;

/// A running Kubernetes. Dropping it changes nothing: the processes are
/// detached, and a later [`Lab::attach`] finds them. See [`Lab::guard`].
#[derive(Debug, Clone)]
pub struct Lab {
    /// The lab's folder.
    pub dir: PathBuf,
    /// The cluster's name.
    pub name: String,
    /// An administrator's kubeconfig, with everything inside.
    pub kubeconfig: PathBuf,
    /// The API server's audit log: one JSON object a line.
    pub audit_log: PathBuf,
    /// The API server as this machine reaches it.
    pub api_url: String,
    /// The authority that signed the API server's certificate.
    pub ca_pem: String,
    /// The real node, if the lab has one.
    pub real_node: Option<RealNode>,
    /// `host:port` of the image registry of a lab with a real node.
    pub registry: Option<String>,
    /// The Go programs the lab was started with.
    pub binaries: Binaries,
}

/// The real node of a lab.
#[derive(Debug, Clone)]
pub struct RealNode {
    /// Its name in Kubernetes.
    pub name: String,
    /// Its network namespace, as `ip netns` lists it.
    pub netns: String,
    /// Its address: NodePorts answer here.
    pub ip: Ipv4Addr,
    /// This machine's address as the node and its pods reach it.
    pub host_ip: Ipv4Addr,
    /// The API server as pods reach it without the Service `kubernetes`.
    pub api_url: String,
    /// Where its containerd listens.
    pub containerd_socket: PathBuf,
}

impl Lab {
    /// Starts a lab and returns when it is ready; `progress` hears what it
    /// waits for. Leftovers of a dead lab in the same folder are removed first.
    ///
    /// # Errors
    ///
    /// When the machine cannot run it, the folder holds a living lab, or a
    /// component fails; then everything but the logs is taken down again.
    pub fn up(options: Options, mut progress: impl FnMut(&str)) -> Result<Self> {
        up::up(&options, &mut progress)
    }

    /// Finds the lab that an earlier `up` started in `dir`.
    ///
    /// # Errors
    ///
    /// When there is none, or its start was never finished.
    pub fn attach(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let dir = fs::canonicalize(dir).map_err(|_| Error::NoLab(dir.to_owned()))?;
        let state = State::load(&dir)?;
        if !state.ready {
            return Err(Error::NoLab(dir));
        }
        Self::of(&dir, &state)
    }

    /// Ends what `up` started in `dir` and removes its files, also after a
    /// crash of `up` at any moment. Does nothing where there is no lab.
    ///
    /// # Errors
    ///
    /// When something cannot be removed.
    pub fn down(dir: impl AsRef<Path>) -> Result<()> {
        down::down(dir.as_ref(), DownOptions::default())
    }

    /// As [`Lab::down`], with a choice.
    ///
    /// # Errors
    ///
    /// When something cannot be removed.
    pub fn down_with(dir: impl AsRef<Path>, options: DownOptions) -> Result<()> {
        down::down(dir.as_ref(), options)
    }

    /// The folders of all labs that are up on this machine, of this user.
    pub fn list() -> Vec<PathBuf> {
        Slot::all().filter_map(Slot::holder).collect()
    }

    /// Takes the lab down when the guard is dropped, also by a panic.
    pub fn guard(self) -> Guard {
        Guard(self)
    }

    /// `kubectl` of the lab's own version, as administrator.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.binaries.kubectl());
        command.env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", self.dir.join("kubectl-cache")).env("KUBERC", "off");
        command
    }

    /// Runs `kubectl` and returns its output.
    ///
    /// # Errors
    ///
    /// With what it wrote to standard error.
    pub fn kubectl_run<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        run(self.kubectl().args(args))
    }

    /// Applies an object or a List.
    ///
    /// # Errors
    ///
    /// When the API server refuses.
    pub fn apply(&self, manifest: &Value) -> Result<String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("apply-{}-{count}.json", std::process::id()));
        fs::write(&path, manifest.to_string()).at("write", &path)?;
        let result = self.kubectl_run(["apply", "--server-side", "--validate=false", "-f", &path.display().to_string()]);
        let _ = fs::remove_file(&path);
        result
    }

    /// Adds a node that kwok keeps ready, in a lab with simulated nodes.
    ///
    /// # Errors
    ///
    /// When the API server refuses.
    pub fn add_simulated_node(&self, node: &SimulatedNode) -> Result<()> {
        self.apply(&node.manifest()).map(drop)
    }

    /// Where a component writes its log.
    pub fn log(&self, component: &str) -> PathBuf {
        state::log_of(&self.dir, component)
    }

    pub(crate) fn of(dir: &Path, state: &State) -> Result<Self> {
        let slot = state.slot;
        let real_node = match &state.nodes {
            Nodes::Real { name, .. } => Some(RealNode {
                name: name.clone(),
                netns: slot.name(),
                ip: slot.node_ip(),
                host_ip: slot.host_ip(),
                api_url: format!("https://{}:{}", slot.host_ip(), slot.api_port()),
                containerd_socket: node::containerd_socket(dir),
            }),
            Nodes::None | Nodes::Simulated { .. } => None,
        };
        let authority = dir.join("pki/ca.crt");
        Ok(Self {
            dir: dir.to_owned(),
            name: state.name.clone(),
            kubeconfig: dir.join("kubeconfig"),
            audit_log: dir.join("audit.log"),
            api_url: format!("https://127.0.0.1:{}", slot.api_port()),
            ca_pem: fs::read_to_string(&authority).at("read", &authority)?,
            registry: real_node.as_ref().map(|_| format!("{}:{}", slot.host_ip(), slot.registry_port())),
            real_node,
            binaries: Binaries::in_folder(&state.binaries),
        })
    }
}

/// A lab that goes down with its owner.
#[derive(Debug)]
pub struct Guard(Lab);

impl Deref for Guard {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The logs explain a failed test; a passed one needs none.
        let options = DownOptions { keep_logs: std::thread::panicking() };
        if let Err(error) = down::down(&self.0.dir, options) {
            eprintln!("taking the lab in {} down: {error}", self.0.dir.display());
        }
    }
}
