//! Our programs as detached processes with a log and a record each.

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How a program is started.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Program {
    /// The binary.
    pub binary: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, beside what it inherits.
    pub env: BTreeMap<String, String>,
}

/// A started program: its process, told from a later one of the same number by its start time.
#[derive(Serialize, Deserialize)]
struct Record {
    pid: i32,
    started: u64,
}

/// A binary of this workspace, beside the one that runs (tests lie one folder deeper).
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let mut folder = own.parent().unwrap_or(Path::new(".")).to_owned();
    if folder.ends_with("deps") {
        folder.pop();
    }
    folder.join(name)
}

/// Where a program logs.
pub(super) fn log(dir: &Path, name: &str) -> PathBuf {
    dir.join("logs").join(format!("{name}.log"))
}

fn record(dir: &Path, name: &str) -> PathBuf {
    dir.join("run").join(format!("{name}.json"))
}

/// Every program ever started in `dir`.
pub(super) fn recorded(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir.join("run")) else { return Vec::new() };
    let records = entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|kind| kind == "json"));
    records.filter_map(|path| path.file_stem().map(|name| name.to_string_lossy().into_owned())).collect()
}

/// Where it is noted that this run of a program ended (`end`, with its status), or that a test meant it to (`meant`).
fn note(dir: &Path, name: &str, pid: i32, kind: &str) -> PathBuf {
    dir.join("run").join(format!("{name}@{pid}.{kind}"))
}

/// The program's end is meant, whenever it comes.
pub(crate) fn expect_end(dir: &Path, name: &str) {
    if let Ok(Record { pid, .. }) = super::read_json(&record(dir, name)) {
        let _ = fs::write(note(dir, name, pid, "meant"), "");
    }
}

/// What ended by itself, each with its status and the last of its log.
pub(super) fn deaths(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in fs::read_dir(dir.join("run")).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|kind| kind == "end") && !path.with_extension("meant").exists() {
            let run = path.file_stem().unwrap_or_default().to_string_lossy();
            let name = run.split('@').next().unwrap_or_default();
            let status = fs::read_to_string(&path).unwrap_or_default();
            found.push(format!("{run} ended by itself, {status}; the last of its log: {}", tail(&log(dir, name))));
        }
    }
    found
}

/// The last lines of a log, in one.
pub(super) fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}

/// Starts a program in a session of its own; it outlives this process.
pub(super) fn start(dir: &Path, name: &str, how: &Program) -> Result<()> {
    for folder in ["logs", "run"] {
        fs::create_dir_all(dir.join(folder))?;
    }
    let out = fs::OpenOptions::new().create(true).append(true).open(log(dir, name))?;
    let mut command = Command::new(&how.binary);
    command.args(&how.args).envs(&how.env).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    // A stop of the launcher's terminal is not a stop of the fleet.
    command.process_group(0);
    let child = command.spawn().with_context(|| format!("starting {}; was it built?", how.binary.display()))?;
    let pid = i32::try_from(child.id()).context("process ids fit 31 bits")?;
    let started = start_time(pid).unwrap_or(0);
    fs::write(record(dir, name), serde_json::to_vec(&Record { pid, started })?)?;
    // Reaped here so that a program that ends while the launcher lives leaves no zombie.
    let ended = note(dir, name, pid, "end");
    std::thread::spawn(move || {
        let mut child = child;
        if let Ok(status) = child.wait() {
            // The folder goes with the fleet.
            let _ = fs::write(ended, status.to_string());
        }
    });
    Ok(())
}

fn alive(dir: &Path, name: &str) -> Option<Pid> {
    let record: Record = super::read_json(&record(dir, name)).ok()?;
    let pid = Pid::from_raw(record.pid)?;
    (start_time(record.pid) == Some(record.started) && test_kill_process(pid).is_ok()).then_some(pid)
}

/// Whether it runs.
pub(super) fn runs(dir: &Path, name: &str) -> bool {
    alive(dir, name).is_some()
}

/// Sends a signal; a KILL returns when the process is gone.
pub(super) fn signal(dir: &Path, name: &str, signal: Signal) -> Result<()> {
    let Some(pid) = alive(dir, name) else { bail!("{name} does not run; see {}", log(dir, name).display()) };
    if matches!(signal, Signal::KILL | Signal::TERM | Signal::INT) {
        expect_end(dir, name);
    }
    kill_process(pid, signal)?;
    if signal == Signal::KILL {
        let start = Instant::now();
        while alive(dir, name).is_some() && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(())
}

/// Asks a program to end, and insists after five seconds.
pub(super) fn stop(dir: &Path, name: &str) {
    if let Some(pid) = alive(dir, name) {
        expect_end(dir, name);
        let _ = kill_process(pid, Signal::CONT);
        let _ = kill_process(pid, Signal::TERM);
        let start = Instant::now();
        while alive(dir, name).is_some() {
            if start.elapsed() > Duration::from_secs(5) {
                let _ = kill_process(pid, Signal::KILL);
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let _ = fs::remove_file(record(dir, name));
}

/// When a process started, in clock ticks since boot; a zombie counts as ended when its last thread has.
fn start_time(pid: i32) -> Option<u64> {
    if !u32::try_from(pid).is_ok_and(testkit::faults::runs) {
        return None;
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    fields.get(19)?.parse().ok()
}
