//! The real node: containerd, kubelet and kube-proxy in a network namespace.
//!
//! Every path these programs would share with others of their kind is moved
//! into the lab's folder, apart from the few that cannot be; `down` knows those.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::binaries::Binaries;
use crate::certs::Authority;
use crate::control::extra;
use crate::error::{At, Error, Result};
use crate::level;
use crate::options::{Mirror, Options};
use crate::process::which;
use crate::slot::Slot;
use crate::state::Component;

pub(crate) const CONTAINERD: &str = "containerd";
pub(crate) const KUBELET: &str = "kubelet";
pub(crate) const KUBE_PROXY: &str = "kube-proxy";

/// The image of every pod's sandbox, in the lab's registry.
pub(crate) const PAUSE_IMAGE: &str = "kubelab/pause:1";

/// Unix sockets end at 107 bytes, and the kubelet's longest is this one.
const LONGEST_SOCKET: &str = "node/kubelet/pod-resources/kubelet.sock";
const SOCKET_LIMIT: usize = 107;

/// The node's folder within the lab's.
pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join("node")
}

/// Where containerd listens.
pub(crate) fn containerd_socket(dir: &Path) -> PathBuf {
    folder(dir).join("containerd.sock")
}

/// Refuses a folder whose sockets could not be bound.
pub(crate) fn check_folder(dir: &Path) -> Result<()> {
    if dir.join(LONGEST_SOCKET).as_os_str().len() > SOCKET_LIMIT {
        return Err(Error::Invalid(format!("{} is too long a path for a real node's sockets", dir.display())));
    }
    Ok(())
}

/// What the node's programs are configured from.
pub(crate) struct Node<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) slot: Slot,
    pub(crate) name: &'a str,
    pub(crate) binaries: &'a Binaries,
    pub(crate) options: &'a Options,
}

impl Node<'_> {
    fn registry(&self) -> String {
        format!("{}:{}", self.slot.host_ip(), self.slot.registry_port())
    }

    fn path(&self, name: &str) -> String {
        folder(self.dir).join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = folder(self.dir).join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).at("create", parent)?;
        }
        fs::write(&path, text).at("write", path)
    }

    /// Makes the node's certificates and kubeconfigs.
    pub(crate) fn credentials(&self, authority: &Authority) -> Result<()> {
        // The kubelet serves logs and exec under its address.
        let names = [self.name.to_owned(), self.slot.node_ip().to_string()];
        authority.issue("kubelet", &format!("system:node:{}", self.name), Some("system:nodes"), &names)?;
        let server = format!("https://{}:{}", self.slot.host_ip(), self.slot.api_port());
        let users = [
            ("kubelet.kubeconfig", format!("system:node:{}", self.name), Some("system:nodes")),
            ("kube-proxy.kubeconfig", "system:kube-proxy".to_owned(), None),
        ];
        for (file, user, group) in users {
            authority.kubeconfig(&self.dir.join(file), &self.options.name, &server, &user, group)?;
        }
        Ok(())
    }

    /// Writes containerd's configuration and names its command.
    pub(crate) fn containerd(&self) -> Result<Component> {
        self.write("cni/10-kubelab.conflist", &self.cni())?;
        for mirror in &self.options.mirrors {
            write_mirror(self.dir, &self.registry(), mirror)?;
        }
        // Whatever host an image reference names, there is only one registry here.
        write_mirror(self.dir, &self.registry(), &Mirror::to_lab("_default"))?;
        self.write("containerd.toml", &self.containerd_config()?)?;
        let program = which("containerd").ok_or_else(|| Error::Unavailable("no containerd".to_owned()))?;
        let args = ["--config".to_owned(), self.path("containerd.toml"), "--log-level=info".to_owned()];
        Ok(Component::new(&program, args).in_netns(&self.slot.name()))
    }

    fn containerd_config(&self) -> Result<String> {
        let runc = which("runc").ok_or_else(|| Error::Unavailable("no runc".to_owned()))?;
        let cni = level::cni_folder().ok_or_else(|| Error::Unavailable("no CNI plugins".to_owned()))?;
        // runc's own state must not meet that of another containerd.
        let runtime = |name: &str| {
            format!(
                r#"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}]
        runtime_type = "io.containerd.runc.v2"
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}.options]
          BinaryName = "{runc}"
          Root = "{root}"
          SystemdCgroup = false
"#,
                runc = runc.display(),
                root = self.path("runc"),
            )
        };
        Ok(format!(
            r#"version = 2
root = "{root}"
state = "{state}"
oom_score = 0

[grpc]
  address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{opt}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{registry}/{PAUSE_IMAGE}"
  # Raising a score above its parent's takes a capability this machine may lack;
  # without it every sandbox would die at its start.
  restrict_oom_score_adj = {restrict}
  # Keeps the pods' namespaces where `down` unmounts everything.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{cni_config}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    snapshotter = "{snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes]
{runc_runtime}{nvidia_runtime}
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{hosts}"
"#,
            root = self.path("containerd"),
            state = self.path("run"),
            socket = containerd_socket(self.dir).display(),
            opt = self.path("opt"),
            registry = self.registry(),
            restrict = !level::may_raise_oom_score(),
            cni = cni.display(),
            cni_config = self.path("cni"),
            snapshotter = if level::on_overlay(self.dir) { "native" } else { "overlayfs" },
            runc_runtime = runtime("runc"),
            nvidia_runtime = runtime("nvidia"),
            hosts = self.path("certs.d"),
        ))
    }

    fn cni(&self) -> String {
        let config = json!({
            "cniVersion": "1.0.0",
            "name": self.slot.name(),
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": "cni0",
                    "isGateway": true,
                    // Pods reach the machine under the node's address, the only
                    // one the machine has a route to.
                    "ipMasq": true,
                    "hairpinMode": true,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": self.path("ipam"),
                        "ranges": [[{ "subnet": self.slot.pod_cidr() }]],
                        "routes": [{ "dst": "0.0.0.0/0" }],
                    },
                },
                { "type": "portmap", "capabilities": { "portMappings": true } },
            ],
        });
        format!("{config:#}\n")
    }

    /// Writes the kubelet's configuration and names its command.
    pub(crate) fn kubelet(&self, authority: &Authority) -> Result<Component> {
        // The machine's own name servers are out of a pod's reach.
        self.write("resolv.conf", "# no name server in a lab\n")?;
        let config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": { "enabled": false },
                "webhook": { "enabled": true },
                "x509": { "clientCAFile": authority.file("ca.crt") },
            },
            "authorization": { "mode": "Webhook" },
            "tlsCertFile": authority.file("kubelet.crt"),
            "tlsPrivateKeyFile": authority.file("kubelet.key"),
            "address": self.slot.node_ip().to_string(),
            "containerRuntimeEndpoint": format!("unix://{}", containerd_socket(self.dir).display()),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": format!("/{}", self.slot.name()),
            "failCgroupV1": false,
            "failSwapOn": false,
            "oomScoreAdj": if level::may_raise_oom_score() { -999 } else { 0 },
            "podLogsDir": self.path("pod-logs"),
            "volumePluginDir": self.path("volume-plugins"),
            "resolvConf": self.path("resolv.conf"),
            "maxPods": 250,
            "serializeImagePulls": false,
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
            // The machine's full disk is none of the lab's business.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": { "memory.available": "50Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%", "imagefs.available": "1%" },
            // The Lease, not the status, is the node's sign of life.
            "nodeStatusUpdateFrequency": if self.options.claims.is_empty() { "5s" } else { "24h" },
            "syncFrequency": "10s",
        });
        self.write("kubelet.json", &format!("{config:#}\n"))?;
        fs::create_dir_all(self.path("kubelet")).at("create", self.path("kubelet"))?;
        let mut args = vec![
            KUBELET.to_owned(),
            format!("--config={}", self.path("kubelet.json")),
            format!("--kubeconfig={}", self.dir.join("kubelet.kubeconfig").display()),
            format!("--root-dir={}", self.path("kubelet")),
            format!("--cert-dir={}", self.path("kubelet-pki")),
            format!("--hostname-override={}", self.name),
            format!("--node-ip={}", self.slot.node_ip()),
        ];
        args.extend(extra(self.options, KUBELET));
        Ok(Component::new(&self.binaries.kubernetes(), args).in_netns(&self.slot.name()))
    }

    /// Writes kube-proxy's configuration and names its command.
    pub(crate) fn kube_proxy(&self) -> Result<Component> {
        let config = json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clusterCIDR": self.slot.pod_cidr(),
            "bindAddress": self.slot.node_ip().to_string(),
            "hostnameOverride": self.name,
            "clientConnection": { "kubeconfig": self.dir.join("kube-proxy.kubeconfig") },
            // The machine-wide limits are not this namespace's to change.
            "conntrack": { "maxPerCore": 0, "min": 0 },
            "iptables": { "minSyncPeriod": "100ms" },
            "oomScoreAdj": if level::may_raise_oom_score() { -999 } else { 0 },
        });
        self.write("kube-proxy.json", &format!("{config:#}\n"))?;
        let mut args = vec![KUBE_PROXY.to_owned(), format!("--config={}", self.path("kube-proxy.json"))];
        args.extend(extra(self.options, KUBE_PROXY));
        Ok(Component::new(&self.binaries.kubernetes(), args).in_netns(&self.slot.name()))
    }
}

/// Tells containerd where to find a host's images. It reads this at each pull,
/// so a running node takes it up too.
pub(crate) fn write_mirror(dir: &Path, registry: &str, mirror: &Mirror) -> Result<()> {
    let path = folder(dir).join("certs.d").join(&mirror.host);
    fs::create_dir_all(&path).at("create", &path)?;
    let endpoint = mirror.endpoint.clone().unwrap_or_else(|| format!("http://{registry}"));
    let text = format!("[host.\"{endpoint}\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
    let path = path.join("hosts.toml");
    fs::write(&path, text).at("write", &path)?;
    fs::set_permissions(&path, Permissions::from_mode(0o644)).at("protect", path)
}
