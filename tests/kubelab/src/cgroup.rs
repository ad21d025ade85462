//! The control group below which the node's pods live, on either version.
//!
//! Pods of all labs would otherwise share `/kubepods`; with a group of its own,
//! a lab can end exactly its containers even when their runtime is gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::error::{At, Result};
use crate::process::Process;

const ROOT: &str = "/sys/fs/cgroup";

/// Whether this machine has the unified hierarchy only.
pub(crate) fn unified() -> bool {
    Path::new(ROOT).join("cgroup.controllers").exists()
}

/// The hierarchies a group must exist in: one on version 2, one a controller on
/// version 1.
fn hierarchies() -> Vec<PathBuf> {
    if unified() {
        return vec![ROOT.into()];
    }
    let Ok(entries) = fs::read_dir(ROOT) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(|path| path.join("cgroup.procs").exists()).collect()
}

/// Makes the group: the kubelet insists that its root exists.
pub(crate) fn create(name: &str) -> Result<()> {
    if unified() {
        // Refused where a controller is absent; the kubelet says so better than we could.
        for controller in ["cpu", "cpuset", "memory", "pids", "io", "hugetlb"] {
            let _ = fs::write(Path::new(ROOT).join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
    for hierarchy in hierarchies() {
        let group = hierarchy.join(name);
        fs::create_dir_all(&group).at("create", &group)?;
        // On version 1 a new cpuset is empty, and no process may enter it.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let (false, Ok(value)) = (unified(), fs::read_to_string(hierarchy.join(file))) {
                fs::write(group.join(file), value.trim()).at("write", group.join(file))?;
            }
        }
    }
    Ok(())
}

/// Kills every process in the group and removes it; says whether it is gone.
pub(crate) fn destroy(name: &str) -> bool {
    for _ in 0..100 {
        let groups: Vec<PathBuf> = hierarchies().iter().flat_map(|hierarchy| tree(&hierarchy.join(name))).collect();
        if groups.is_empty() {
            return true;
        }
        // Deepest first: a group with children cannot be removed.
        for group in &groups {
            for pid in fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines() {
                if let Some(process) = pid.parse().ok().and_then(Process::of) {
                    process.signal(Signal::KILL);
                }
            }
            let _ = fs::remove_dir(group);
        }
        thread::sleep(Duration::from_millis(30));
    }
    false
}

/// The group and those below it, deepest first.
fn tree(group: &Path) -> Vec<PathBuf> {
    if !group.is_dir() {
        return Vec::new();
    }
    let children = fs::read_dir(group).into_iter().flatten().flatten();
    let mut groups: Vec<PathBuf> = children.map(|child| child.path()).filter(|path| path.is_dir()).flat_map(|path| tree(&path)).collect();
    groups.push(group.to_owned());
    groups
}
