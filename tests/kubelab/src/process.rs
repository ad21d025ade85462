//! Detached processes and their identity.
//!
//! A pid alone names whoever holds it now. Here a process is its pid *and* its
//! start time, so a signal never reaches a stranger that inherited the number.
//! Every process also carries the lab's folder in its environment: one that was
//! spawned but not yet written down when its launcher died is still found.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde::{Deserialize, Serialize};

use crate::error::{At, Error, Result};

/// The environment variable that marks a process as belonging to a lab.
pub(crate) const MARKER: &str = "KUBELAB_DIR";

/// A process that cannot be confused with a later one of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// Clock ticks after boot, as `/proc/<pid>/stat` has it.
    pub(crate) started: u64,
}

impl Process {
    /// The process that holds `pid` now, unless it has ended.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let (process, ended) = Self::look(pid)?;
        (!ended).then_some(process)
    }

    /// The process that holds `pid` now, and whether it is a zombie.
    fn look(pid: i32) -> Option<(Self, bool)> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold blanks and parentheses; fields count after the last one.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let process = Self { pid, started: fields.get(19)?.parse().ok()? };
        // The first thread may be a zombie while others still close files.
        let threads = || fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
        let ended = matches!(fields.first(), Some(&"Z" | &"X")) && threads() < 2;
        Some((process, ended))
    }

    /// Whether it still runs.
    pub(crate) fn alive(self) -> bool {
        let Some((found, ended)) = Self::look(self.pid) else { return false };
        if let (true, true, Some(pid)) = (found == self, ended, Pid::from_raw(self.pid)) {
            // Ours to reap if we spawned it; otherwise this does nothing.
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
        found == self && !ended
    }

    /// Sends a signal, unless the process has ended.
    pub(crate) fn signal(self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.alive()) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for its end; says whether it came in time.
    pub(crate) fn gone_within(self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.alive() {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
        true
    }
}

/// Starts a program in a session of its own, without our standard streams and
/// environment, optionally in a network namespace.
pub(crate) fn spawn_detached(argv: &[String], netns: Option<&str>, lab: &Path, log: &Path) -> Result<Process> {
    let out = OpenOptions::new().create(true).append(true).open(log).at("open", log)?;
    let err = out.try_clone().at("open", log)?;
    // Both setsid and nsenter replace themselves, so the pid is the program's.
    let mut command = Command::new("setsid");
    if let Some(netns) = netns {
        command.arg("nsenter").arg(format!("--net=/run/netns/{netns}"));
    }
    let child = command
        .args(argv)
        .env_clear()
        .env("PATH", search_path())
        .env("HOME", lab)
        .env(MARKER, lab)
        .current_dir(lab)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .map_err(|error| Error::Command { program: argv[0].clone(), message: error.to_string() })?;
    let pid = child.id().cast_signed();
    Process::of(pid).ok_or_else(|| Error::Command { program: argv[0].clone(), message: format!("ended at once: {}", tail(log)) })
}

/// All processes that carry the marker of this lab, shims included. Programs in
/// containers do not: their runtime gives them an environment of their own.
pub(crate) fn marked(lab: &Path) -> Vec<Process> {
    let wanted = [MARKER.as_bytes(), b"=", lab.as_os_str().as_bytes()].concat();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| pid.cast_unsigned() != std::process::id())
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|entry| entry == wanted))
        })
        .filter_map(Process::of)
        .collect()
}

/// Runs a program to its end and returns what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Command { program: describe(command), message: if message.is_empty() { output.status.to_string() } else { message } })
}

fn output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().map_err(|error| Error::Command { program: describe(command), message: error.to_string() })
}

fn describe(command: &Command) -> String {
    let arguments = command.get_args().take(4).map(OsStr::to_string_lossy);
    std::iter::once(command.get_program().to_string_lossy()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// The caller's search path with the folders of system programs added: a plain
/// user's often lacks them.
pub(crate) fn search_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    format!("{own}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}

/// Where a program lies, if anywhere on the search path.
pub(crate) fn which(program: &str) -> Option<std::path::PathBuf> {
    std::env::split_paths(&search_path()).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// The end of a log, for error messages.
pub(crate) fn tail(log: &Path) -> String {
    const BYTES: u64 = 3000;
    let read = || -> std::io::Result<String> {
        let mut file = fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_process_of_the_same_number_is_a_stranger() {
        let own = Process::of(std::process::id().cast_signed()).unwrap();
        assert!(own.alive());
        assert!(!Process { started: own.started + 1, ..own }.alive());
    }
}
