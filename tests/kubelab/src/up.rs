//! Starting a lab, step by step, each recorded before it is made.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::binaries;
use crate::cgroup;
use crate::control::{self, API_SERVER, CONTROLLER_MANAGER, ETCD, SCHEDULER};
use crate::down::{self, DownOptions};
use crate::error::{At, Error, Result};
use crate::image::ImageSpec;
use crate::lab::Lab;
use crate::level;
use crate::network;
use crate::node::{self, CONTAINERD, KUBE_PROXY, KUBELET, Node, PAUSE_IMAGE};
use crate::options::{Nodes, Options};
use crate::registry::{self, REGISTRY};
use crate::simulated::{self, KWOK, SimulatedNode};
use crate::slot::Slot;
use crate::state::{self, Component, State};

/// See [`Lab::up`].
pub(crate) fn up(options: &Options, progress: &mut dyn FnMut(&str)) -> Result<Lab> {
    let reason = match options.nodes {
        Nodes::Real { .. } => level::l4_unavailable(),
        Nodes::None | Nodes::Simulated { .. } => level::l3_unavailable(),
    };
    if let Some(reason) = reason {
        return Err(Error::Unavailable(reason));
    }
    let binaries = binaries::build(matches!(options.nodes, Nodes::Simulated { .. }), progress)?;

    fs::create_dir_all(&options.dir).at("create", &options.dir)?;
    let dir = fs::canonicalize(&options.dir).at("find", &options.dir)?;
    node::check_folder(&dir)?;
    let _lock = state::lock(&dir)?;
    match State::load(&dir) {
        Ok(state) if state.components.values().any(Component::alive) && state.ready => {
            return Err(Error::AlreadyUp(dir));
        }
        Ok(_) => {
            progress("removing what an earlier lab left");
            down::down_locked(&dir, DownOptions::default())?;
        }
        Err(_) => {}
    }

    let result = Start::new(&dir, options, binaries).and_then(|start| start.run(progress));
    if result.is_err() {
        down::down_locked(&dir, DownOptions { keep_logs: true })?;
    }
    result
}

struct Start<'a> {
    dir: &'a Path,
    options: &'a Options,
    binaries: binaries::Binaries,
    slot: Slot,
    state: State,
}

impl<'a> Start<'a> {
    fn new(dir: &'a Path, options: &'a Options, binaries: binaries::Binaries) -> Result<Self> {
        let state = |slot| State {
            name: options.name.clone(),
            slot,
            nodes: options.nodes.clone(),
            binaries: binaries.folder().to_owned(),
            ready: false,
            components: Default::default(),
        };
        let slot = Slot::claim(dir, |slot| state(slot).save(dir))?;
        let logs = dir.join("logs");
        fs::create_dir_all(&logs).at("create", &logs)?;
        Ok(Self { dir, options, slot, state: state(slot), binaries })
    }

    fn start(&mut self, name: &str, component: Component) -> Result<()> {
        self.state.start(self.dir, name, component)
    }

    fn wait(&self, component: &str, problem: &str, done: impl FnMut() -> bool) -> Result<()> {
        self.state.wait(self.dir, component, problem, self.options.timeout, done)
    }

    fn run(mut self, progress: &mut dyn FnMut(&str)) -> Result<Lab> {
        let (dir, slot, options, binaries) = (self.dir, self.slot, self.options, self.binaries.clone());
        progress("starting the control plane");
        let authority = control::credentials(dir, slot, options)?;
        self.start(ETCD, control::etcd(dir, slot, &binaries))?;
        self.start(API_SERVER, control::api_server(dir, slot, &binaries, &authority, options)?)?;

        // What needs no API server starts while that one wakes up.
        let node = match &options.nodes {
            Nodes::Real { name, .. } => Some(Node { dir, slot, name, binaries: &binaries, options }),
            Nodes::None | Nodes::Simulated { .. } => None,
        };
        if let Some(node) = &node {
            network::create(dir, slot)?;
            cgroup::create(&slot.name())?;
            node.credentials(&authority)?;
            self.start(REGISTRY, registry::component(dir, slot)?)?;
            self.start(CONTAINERD, node.containerd()?)?;
            self.push_pause()?;
        }

        let lab = Lab::of(dir, &self.state)?;
        self.wait(API_SERVER, "did not become ready", || {
            TcpStream::connect(("127.0.0.1", slot.api_port())).is_ok() && lab.kubectl_run(["get", "--raw=/readyz"]).is_ok()
        })?;
        self.start(CONTROLLER_MANAGER, control::controller_manager(dir, slot, &binaries, &authority, options))?;
        self.start(SCHEDULER, control::scheduler(dir, &binaries, options))?;
        if let Some(node) = &node {
            progress("starting the node");
            self.wait(CONTAINERD, "did not listen", || node::containerd_socket(dir).exists())?;
            self.start(KUBELET, node.kubelet(&authority)?)?;
            self.start(KUBE_PROXY, node.kube_proxy()?)?;
        }
        if let Nodes::Simulated { count, gpus } = options.nodes {
            progress("adding simulated nodes");
            self.start(KWOK, simulated::kwok(dir, slot, &binaries, options)?)?;
            if count > 0 {
                lab.apply(&simulated_nodes(count, gpus, options))?;
            }
        }
        lab.apply(&runtime_class())?;
        self.finish(lab, progress)
    }

    /// Waits until a pod could be created and run.
    fn finish(mut self, lab: Lab, progress: &mut dyn FnMut(&str)) -> Result<Lab> {
        progress("waiting for the default service account");
        self.wait(CONTROLLER_MANAGER, "made no default service account", || lab.kubectl_run(["get", "serviceaccount", "default"]).is_ok())?;
        let any_node = match &self.options.nodes {
            Nodes::None => false,
            Nodes::Simulated { count, .. } => *count > 0,
            Nodes::Real { .. } => true,
        };
        if any_node {
            progress("waiting for nodes to be ready");
            let component = if lab.real_node.is_some() { KUBELET } else { KWOK };
            self.wait(component, "brought up no ready node", || {
                let jsonpath = "-o=jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
                lab.kubectl_run(["get", "nodes", jsonpath])
                    .is_ok_and(|statuses| !statuses.is_empty() && !statuses.contains("False") && !statuses.contains("Unknown"))
            })?;
        }
        if let (Nodes::Real { name, gpus }, labels) = (&self.options.nodes, &self.options.node_labels) {
            let mut claims = self.options.claims.clone();
            if *gpus > 0 {
                claims.insert("nvidia.com/gpu".to_owned(), gpus.to_string());
            }
            if !claims.is_empty() {
                let patch = json!({ "status": { "capacity": claims, "allocatable": claims }}).to_string();
                lab.kubectl_run(["patch", "node", name, "--subresource=status", "--type=merge", "-p", &patch])?;
            }
            if !labels.is_empty() {
                let patch = json!({ "metadata": { "labels": labels }}).to_string();
                lab.kubectl_run(["patch", "node", name, "--type=merge", "-p", &patch])?;
            }
        }
        self.state.ready = true;
        self.state.save(self.dir)?;
        Ok(lab)
    }

    fn push_pause(&self) -> Result<()> {
        let registry = format!("{}:{}", self.slot.host_ip(), self.slot.registry_port());
        self.state.wait(self.dir, REGISTRY, "did not listen", Duration::from_secs(20), || TcpStream::connect(&registry).is_ok())?;
        let image = ImageSpec::program(self.binaries.pause(), "/pause")?;
        registry::push_image(&registry, PAUSE_IMAGE, &image).map(drop)
    }
}

/// Pods ask for the runtime `nvidia` by this name, on every kind of node.
fn runtime_class() -> serde_json::Value {
    json!({
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": { "name": "nvidia" },
        "handler": "nvidia",
    })
}

fn simulated_nodes(count: u32, gpus: u32, options: &Options) -> serde_json::Value {
    let nodes: Vec<_> = (0..count)
        .map(|index| SimulatedNode { name: format!("sim-{index}"), address: None, gpus, labels: options.node_labels.clone() })
        .map(|node| node.manifest())
        .collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": nodes })
}
