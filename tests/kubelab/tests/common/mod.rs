//! What the lab's own tests share.

#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use kubelab::{Guard, Lab, Nodes, Options};

/// A folder for one lab, gone with the test.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("klab").tempdir().unwrap()
}

/// A lab that goes down with the test.
pub(crate) fn lab(dir: &Path, nodes: Nodes) -> Guard {
    Lab::up(Options::new(dir).nodes(nodes), |line| println!("{line}")).unwrap().guard()
}

/// Asks until the answer is yes.
pub(crate) fn eventually(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Applies objects given as JSON.
pub(crate) fn apply(lab: &Lab, objects: &[serde_json::Value]) {
    for object in objects {
        lab.apply(object).unwrap();
    }
}

/// All that a lab has on the machine outside its folder, as far as it is there.
pub(crate) fn traces(dir: &Path, slot: Option<u64>) -> Vec<String> {
    let marker = format!("KUBELAB_DIR={}", dir.display());
    let mut traces = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes()) {
            traces.push(format!("process {}", entry.file_name().display()));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    traces.extend(mounts.lines().filter(|line| line.contains(dir.to_str().unwrap())).map(|line| format!("mount {line}")));
    if let Some(slot) = slot {
        let mut files = vec![
            PathBuf::from(format!("/run/netns/kubelab-{slot}")),
            PathBuf::from(format!("/sys/class/net/klab{slot}h")),
            PathBuf::from(format!("/sys/fs/cgroup/kubelab-{slot}")),
            PathBuf::from(format!("/sys/fs/cgroup/memory/kubelab-{slot}")),
        ];
        files.retain(|path| path.exists());
        traces.extend(files.iter().map(|path| path.display().to_string()));
    }
    traces
}

/// The lab's slot, if its state file is there.
pub(crate) fn slot(dir: &Path) -> Option<u64> {
    let state: serde_json::Value = serde_json::from_slice(&fs::read(dir.join("lab.json")).ok()?).ok()?;
    state["slot"].as_u64()
}
