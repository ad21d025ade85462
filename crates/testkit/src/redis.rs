//! A private Redis, without persistence: what the wake-ups run over, and what tests kill, flush and restart.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::child::{ScratchDir, free_port, spawn, wait_until};

/// What to install where [`Redis::available`] says no.
pub const NEEDS: &str = "Redis (apt-get install redis-server)";

const PROGRAM: &str = "redis-server";
const START_LIMIT: Duration = Duration::from_secs(15);

/// A Redis of this process; stopped on drop and when the process dies.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    child: Option<Child>,
    scratch: ScratchDir,
}

impl Redis {
    /// Whether the binary is on this machine.
    #[must_use]
    pub fn available() -> bool {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths).any(|dir| dir.join(PROGRAM).exists())
    }

    /// Starts an empty server on a free port of 127.0.0.1.
    pub fn start() -> anyhow::Result<Self> {
        let mut redis = Self { port: free_port()?, child: None, scratch: ScratchDir::new("redis")? };
        redis.resume()?;
        Ok(redis)
    }

    /// The server's URL.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Kills the server with everything in it.
    pub fn halt(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts an empty server on the port of the halted one.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", PROGRAM]);
        command.args(settings(self.port)).arg("--dir").arg(self.scratch.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(spawn(command).context("spawning redis-server")?);
        await_ready(self.port).inspect_err(|_| self.halt())
    }

    /// Wipes the server's data, as an operator with the wrong prompt would.
    pub fn flush(&self) -> anyhow::Result<()> {
        ensure!(ask(self.port, "FLUSHALL")?.starts_with("+OK"), "Redis refused to flush");
        Ok(())
    }

    /// How many subscribers a channel has; lets a test wait until its subscriber is there.
    pub fn subscribers(&self, channel: &str) -> anyhow::Result<u64> {
        let answer = ask(self.port, &format!("PUBSUB NUMSUB {channel}"))?;
        let count = answer.lines().last().and_then(|line| line.trim().strip_prefix(':')).context("no count")?;
        Ok(count.parse()?)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.halt();
    }
}

/// The URL of a server of ours at `port`.
#[must_use]
pub fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/")
}

/// Starts a Redis that outlives this process, its pid file and log under `dir`; returns its URL. An answering server is left alone.
pub fn start_detached(dir: &Path, port: u16) -> anyhow::Result<String> {
    std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    if ask(port, "PING").is_err() {
        let mut command = Command::new(PROGRAM);
        command.args(settings(port)).args(["--daemonize", "yes", "--dir"]).arg(dir);
        command.arg("--pidfile").arg(dir.join("redis.pid")).arg("--logfile").arg(dir.join("redis.log"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().with_context(|| format!("running {PROGRAM}; needs {NEEDS}"))?;
        ensure!(status.success(), "{PROGRAM} does not start; see {}", dir.join("redis.log").display());
        await_ready(port)?;
    }
    Ok(url(port))
}

/// Stops the server that [`start_detached`] left under `dir`; nothing to stop is fine.
pub fn stop_detached(dir: &Path) -> anyhow::Result<()> {
    let file = dir.join("redis.pid");
    let Ok(text) = std::fs::read_to_string(&file) else { return Ok(()) };
    let pid: i32 = text.trim().parse().with_context(|| format!("reading {}", file.display()))?;
    let alive = || std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == PROGRAM);
    // A pid file that outlived its server may name somebody else's process by now.
    if let (true, Some(pid)) = (alive(), rustix::process::Pid::from_raw(pid)) {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        ensure!(wait_until(START_LIMIT, || !alive()), "Redis does not stop");
    }
    let _ = std::fs::remove_file(file);
    Ok(())
}

fn settings(port: u16) -> [String; 8] {
    let port = port.to_string();
    ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"].map(ToOwned::to_owned)
}

fn await_ready(port: u16) -> anyhow::Result<()> {
    let ready = || ask(port, "PING").is_ok_and(|answer| answer.starts_with("+PONG"));
    ensure!(wait_until(START_LIMIT, ready), "Redis does not answer on port {port}");
    Ok(())
}

/// One inline command and the first piece of its answer: enough here, without a client library.
fn ask(port: u16, command: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut answer = [0; 512];
    let read = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{NEEDS, Redis, ask, start_detached, stop_detached};
    use crate::child::{ScratchDir, free_port};
    use crate::level;

    #[test]
    fn a_restarted_server_has_forgotten_everything() {
        if !level::require(2, Redis::available(), NEEDS) {
            return;
        }
        let mut redis = Redis::start().unwrap();
        assert!(ask(redis.port, "SET a 1").unwrap().starts_with("+OK"));
        redis.halt();
        assert!(ask(redis.port, "PING").is_err());
        redis.resume().unwrap();
        assert!(ask(redis.port, "GET a").unwrap().starts_with("$-1"));
    }

    #[test]
    fn a_detached_server_is_stopped_by_its_pid_file() {
        if !level::require(2, Redis::available(), NEEDS) {
            return;
        }
        let dir = ScratchDir::new("detached-redis").unwrap();
        let port = free_port().unwrap();
        start_detached(dir.path(), port).unwrap();
        stop_detached(dir.path()).unwrap();
        assert!(ask(port, "PING").is_err());
    }
}
