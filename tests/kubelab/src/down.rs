//! Ending a lab: exactly what `up` started, in whatever state it was left.
//!
//! Everything is killed rather than asked. The data goes anyway, and an API
//! server that is asked waits up to a minute for its watchers. Each step looks
//! for what is there instead of trusting a record, so a second run, or one after
//! a crash between any two steps of `up`, does the right thing.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::Signal;

use crate::cgroup;
use crate::error::{At, Error, Result};
use crate::level;
use crate::network;
use crate::node;
use crate::process::{self, Process};
use crate::slot::Slot;
use crate::state::{self, State};

const LOGS: &str = "logs";

/// What [`Lab::down_with`](crate::Lab::down_with) leaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct DownOptions {
    /// Whether the folder `logs` and the audit log stay.
    pub keep_logs: bool,
}

/// See [`Lab::down`](crate::Lab::down).
pub(crate) fn down(dir: &Path, options: DownOptions) -> Result<()> {
    let Ok(dir) = fs::canonicalize(dir) else { return Ok(()) };
    if matches!(State::load(&dir), Err(Error::NoLab(_))) {
        // Without a state file the folder may be anybody's.
        return Ok(());
    }
    // An `up` still at work finishes first; a dead one holds no lock.
    let _lock = state::lock(&dir)?;
    down_locked(&dir, options)
}

/// The same for a caller that holds the folder's lock.
pub(crate) fn down_locked(dir: &Path, options: DownOptions) -> Result<()> {
    let state = match State::load(dir) {
        Err(Error::NoLab(_)) => return Ok(()),
        state => state?,
    };
    let mut left = Vec::new();
    left.extend(kill_all(dir, &state));
    let slot = state.slot;
    // Another lab may hold the slot if this one was half taken down before.
    if slot.held_by(dir) {
        let group = slot.name();
        if !cgroup::destroy(&group) {
            left.push(format!("control group {group}"));
        }
        remove_shared(dir, slot);
        left.extend(unmount_below(dir));
        left.extend(network::destroy(slot));
    }
    if !left.is_empty() {
        // The state file stays, so that a later attempt knows what to look for.
        return Err(Error::LeftBehind(left));
    }
    clear(dir, options.keep_logs)?;
    slot.release(dir)?;
    State::remove(dir)?;
    let _ = fs::remove_file(dir.join("lock"));
    Ok(())
}

/// Kills the recorded processes and all that carry the lab's mark: those that
/// were started a moment before their launcher died, and containers' shims.
fn kill_all(dir: &Path, state: &State) -> Vec<String> {
    let recorded: Vec<Process> = state.components.values().filter_map(|component| component.process).collect();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut alive: Vec<Process> = recorded.iter().copied().filter(|process| process.alive()).collect();
        alive.extend(process::marked(dir));
        for process in &alive {
            process.signal(Signal::KILL);
        }
        alive.retain(|process| !process.gone_within(Duration::from_secs(2)));
        // A process may have had a child between the list and the signal.
        if alive.is_empty() && process::marked(dir).is_empty() {
            return Vec::new();
        }
        if Instant::now() > deadline {
            return alive.iter().map(|process| format!("process {}", process.pid)).collect();
        }
    }
}

/// Removes the few files that containerd, CNI and the kubelet write outside
/// their configured folders.
fn remove_shared(dir: &Path, slot: Slot) {
    let node = node::folder(dir);
    for bundle in entries(&node.join("run/io.containerd.runtime.v2.task/k8s.io")) {
        // A killed shim leaves its socket in a folder common to all of them.
        if let Ok(address) = fs::read_to_string(bundle.join("address"))
            && let Some(socket) = address.trim().strip_prefix("unix://")
        {
            let _ = fs::remove_file(socket);
        }
    }
    // CNI remembers what it gave to each sandbox, whose id is in the file's name.
    let sandboxes = entries(&node.join("containerd/io.containerd.grpc.v1.cri/sandboxes"));
    let sandboxes: Vec<_> = sandboxes.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    let network = format!("{}-", slot.name());
    for result in entries(Path::new("/var/lib/cni/results")) {
        let name = result.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(&network) || sandboxes.iter().any(|sandbox| name.contains(sandbox)) {
            let _ = fs::remove_file(&result);
        }
    }
    // The socket for device plugins has a fixed place, shared by all kubelets.
    if !Slot::all().any(|other| other != slot && other.holder().is_some()) {
        let _ = fs::remove_file(level::KUBELET_FOLDER.to_owned() + "/device-plugins/kubelet.sock");
        let _ = fs::remove_dir(level::KUBELET_FOLDER.to_owned() + "/device-plugins");
        let _ = fs::remove_dir(level::KUBELET_FOLDER);
    }
    for link in entries(Path::new("/var/log/containers")) {
        if fs::read_link(&link).is_ok_and(|target| target.starts_with(dir)) {
            let _ = fs::remove_file(link);
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Unmounts everything below the folder, last mounted first.
fn unmount_below(dir: &Path) -> Vec<String> {
    let mut mounts = mounts_below(dir);
    mounts.reverse();
    for mount in &mounts {
        let _ = unmount(mount, UnmountFlags::DETACH);
    }
    // A namespace's mount may need a moment until its last process is gone.
    for _ in 0..50 {
        if mounts_below(dir).is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    mounts_below(dir).iter().map(|mount| format!("mount {}", mount.display())).collect()
}

fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    points.filter(|point| point.starts_with(dir)).collect()
}

/// Blanks and the like stand as octal numbers in the mount table.
fn unescape(field: &str) -> PathBuf {
    let bytes = field.as_bytes();
    let mut path = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = (bytes[at] == b'\\').then(|| field.get(at + 1..at + 4)).flatten();
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                path.push(byte);
                at += 4;
            }
            None => {
                path.push(bytes[at]);
                at += 1;
            }
        }
    }
    std::ffi::OsString::from_vec(path).into()
}

/// Empties the folder but for the state file and the lock, which go last.
fn clear(dir: &Path, keep_logs: bool) -> Result<()> {
    for path in entries(dir) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let kept = matches!(name, "lab.json" | "lock") || (keep_logs && matches!(name, LOGS | "audit.log"));
        if kept {
            continue;
        }
        let removed = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.at("remove", path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_table_is_read_with_its_escapes() {
        assert_eq!(unescape(r"/a\040b\134c"), PathBuf::from(r"/a b\c"));
    }
}
