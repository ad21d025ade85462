//! Which levels of the test ladder this machine can run, and why not.

use std::fs;
use std::path::{Path, PathBuf};

use crate::binaries;
use crate::process::which;

const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_SYS_RESOURCE: u32 = 24;
const OVERLAY_MAGIC: i64 = 0x794c_7630;

/// Where kubelets keep what no setting moves elsewhere.
pub(crate) const KUBELET_FOLDER: &str = "/var/lib/kubelet";

/// A level of the test ladder that needs this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A real control plane, with or without simulated nodes.
    L3 = 3,
    /// A real node: kubelet, containerd, pods.
    L4 = 4,
}

/// Why a control plane cannot run here, if so.
pub fn l3_unavailable() -> Option<String> {
    binaries::unavailable().or_else(|| {
        let missing = missing(&["setsid", "nice"])?;
        Some(format!("missing: {missing}"))
    })
}

/// Why a real node cannot run here, if so.
pub fn l4_unavailable() -> Option<String> {
    if let Some(reason) = l3_unavailable() {
        return Some(reason);
    }
    if !rustix::process::getuid().is_root() {
        return Some("not root".to_owned());
    }
    if !capable(CAP_NET_ADMIN) || !capable(CAP_SYS_ADMIN) {
        return Some("root without CAP_SYS_ADMIN and CAP_NET_ADMIN".to_owned());
    }
    let programs = ["containerd", "containerd-shim-runc-v2", "runc", "ip", "nsenter", "iptables", "conntrack", "docker-registry"];
    if let Some(missing) = missing(&programs) {
        return Some(format!("missing: {missing}"));
    }
    // A kubelet empties the machine-wide folder of device plugins when it
    // starts, which would cut off those of the machine's own.
    if Path::new(KUBELET_FOLDER).join("pods").exists() {
        return Some(format!("a kubelet of the machine's own uses {KUBELET_FOLDER}"));
    }
    if cni_folder().is_none() {
        return Some("missing: the CNI plugins bridge, host-local, portmap and loopback".to_owned());
    }
    None
}

/// Whether a test of `level` should run. If it cannot, writes a line that says
/// why; see [`testkit::level::require`].
///
/// # Panics
///
/// When `REQUIRE_LEVELS` (as in `0-4` or `0,1,3`) names the level and it cannot
/// run, or when that variable cannot be read.
pub fn level_or_skip(level: Level) -> bool {
    let reason = match level {
        Level::L3 => l3_unavailable(),
        Level::L4 => l4_unavailable(),
    };
    told(level, reason.as_deref())
}

fn told(level: Level, reason: Option<&str>) -> bool {
    let needs = reason.map(|reason| format!("what this machine lacks: {reason}"));
    testkit::level::require(level as u8, reason.is_none(), needs.as_deref().unwrap_or_default())
}

fn missing(programs: &[&str]) -> Option<String> {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| which(program).is_none()).collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// Where the CNI plugins lie: distributions disagree.
pub(crate) fn cni_folder() -> Option<PathBuf> {
    ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"]
        .into_iter()
        .map(PathBuf::from)
        .find(|folder| ["bridge", "host-local", "portmap", "loopback"].iter().all(|plugin| folder.join(plugin).is_file()))
}

/// Whether this process may lower its own OOM score and its children's.
pub(crate) fn may_raise_oom_score() -> bool {
    capable(CAP_SYS_RESOURCE)
}

fn capable(capability: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok())
        .is_some_and(|effective| effective >> capability & 1 == 1)
}

/// Whether a folder lies on an overlay file system, which cannot carry another.
pub(crate) fn on_overlay(folder: &Path) -> bool {
    #[allow(clippy::useless_conversion, reason = "the width of f_type depends on the architecture")]
    rustix::fs::statfs(folder).is_ok_and(|status| i64::from(status.f_type) == OVERLAY_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::{Level, told};
    use std::process::{Command, Output};

    /// Run by the test below in a process of its own.
    #[test]
    #[ignore = "a part of another test"]
    fn a_skipped_one() {
        assert!(!told(Level::L4, Some("not root")));
    }

    fn skipping(required: &str) -> Output {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "level::tests::a_skipped_one", "--ignored"]);
        command.env("REQUIRE_LEVELS", required).output().unwrap()
    }

    #[test]
    fn a_skip_is_seen_in_a_test_that_passes_and_no_mistyped_requirement_allows_it() {
        let output = skipping("0-3");
        assert!(output.status.success(), "{output:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.lines().any(|line| line == "skipped: L4 needs what this machine lacks: not root"), "{told}");
        for required in ["0-4", "all", "4-0"] {
            assert!(!skipping(required).status.success(), "REQUIRE_LEVELS={required} let it pass");
        }
    }
}
