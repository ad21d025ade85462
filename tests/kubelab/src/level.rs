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

/// Whether a test of `level` should run. If it cannot, prints a line that says
/// why.
///
/// # Panics
///
/// When `REQUIRE_LEVELS` (as in `0-4` or `0,1,3`) names the level and it cannot
/// run.
pub fn level_or_skip(level: Level) -> bool {
    let reason = match level {
        Level::L3 => l3_unavailable(),
        Level::L4 => l4_unavailable(),
    };
    let Some(reason) = reason else { return true };
    let required = std::env::var("REQUIRE_LEVELS").unwrap_or_default();
    assert!(!names(&required, level as u8), "level {level:?} is required but not possible: {reason}");
    println!("skipped: level {level:?} is not possible on this machine: {reason}");
    false
}

/// Whether a list such as `0-2,4` holds a number.
fn names(list: &str, level: u8) -> bool {
    list.split(',').map(str::trim).any(|part| match part.split_once('-') {
        Some((first, last)) => matches!(
            (first.trim().parse::<u8>(), last.trim().parse::<u8>()),
            (Ok(first), Ok(last)) if (first..=last).contains(&level)
        ),
        None => part.parse() == Ok(level),
    })
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
    use super::names;

    #[test]
    fn a_range_and_a_list_name_levels() {
        assert!(names("0-4", 4) && names("0-4", 3) && !names("0-3", 4));
        assert!(names("0,1,3", 3) && !names("0,1,3", 4) && !names("", 3));
    }
}
