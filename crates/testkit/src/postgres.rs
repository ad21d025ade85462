//! A private Postgres from the distribution's own binaries.
//!
//! [`Postgres::shared`] serves a whole test process, [`Postgres::start`] one test that wants to break it, and
//! [`start_detached`] a demo that outlives its launcher. `fsync` is off: what is committed survives a crash
//! of the server, not one of the machine.

use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::child::{ScratchDir, free_port, spawn, wait_until};

/// What to install where [`Postgres::available`] says no.
pub const NEEDS: &str = "Postgres (apt-get install postgresql)";

const USER: &str = "fleet";
const START_LIMIT: Duration = Duration::from_secs(30);

/// A Postgres of this process; stopped on drop and when the process dies.
#[derive(Debug)]
pub struct Postgres {
    install: Install,
    data: PathBuf,
    port: u16,
    child: Option<Child>,
    // Last: removed after the server was stopped.
    _scratch: ScratchDir,
}

impl Postgres {
    /// Whether the binaries are on this machine.
    #[must_use]
    pub fn available() -> bool {
        Install::find().is_ok()
    }

    /// Creates a cluster in a scratch directory and starts it on a free port of 127.0.0.1.
    pub fn start() -> anyhow::Result<Self> {
        let install = Install::find()?;
        let scratch = ScratchDir::new("postgres")?;
        install.own(scratch.path())?;
        let data = scratch.path().join("data");
        install.init(&data)?;
        let mut postgres = Self { install, data, port: free_port()?, child: None, _scratch: scratch };
        postgres.resume()?;
        Ok(postgres)
    }

    /// The one server that the tests of a process share; each takes a database of its own by [`Postgres::fresh_database`].
    ///
    /// # Panics
    /// Where it cannot be started; ask [`Postgres::available`] first.
    pub fn shared() -> &'static Postgres {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| match Postgres::start() {
            Ok(postgres) => postgres,
            Err(problem) => panic!("the tests' Postgres does not start: {problem:#}"),
        })
    }

    /// Creates an empty database and returns its URL.
    pub fn fresh_database(&self) -> anyhow::Result<String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.install.create_database(self.port, &name)?;
        Ok(self.url(&name))
    }

    /// The URL of a database of this server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url(self.port, database)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops the server the hard way, as a crash would; [`Postgres::resume`] starts it again on the same port.
    pub fn halt(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Immediate shutdown: backends are killed, nothing is written, the next start recovers.
            let stopped = self.install.ctl(&self.data, ["stop", "-m", "immediate", "-w", "-t", "10"]);
            if stopped.is_err() {
                let _ = child.kill();
            }
            let _ = child.wait();
        }
    }

    /// Starts the server where it was halted.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let mut command = self.install.tied("postgres", "QUIT");
        command.arg("-D").arg(&self.data).arg("-p").arg(self.port.to_string());
        let log = std::fs::File::create(self.data.with_extension("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(spawn(command).context("spawning postgres")?);
        self.install.await_ready(self.port).inspect_err(|_| self.halt())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.halt();
    }
}

/// The URL of `database` on a server of ours at `port`.
#[must_use]
pub fn url(port: u16, database: &str) -> String {
    format!("postgres://{USER}@127.0.0.1:{port}/{database}")
}

/// Starts a Postgres that outlives this process, its cluster under `dir`, and creates `database` where it is missing; returns its URL.
///
/// Started twice, the second call finds the first one's server. `postmaster.pid` under `dir/data` is its pid file.
pub fn start_detached(dir: &Path, port: u16, database: &str) -> anyhow::Result<String> {
    let install = Install::find()?;
    let data = dir.join("data");
    if !data.join("PG_VERSION").exists() {
        std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        install.own(dir)?;
        install.init(&data)?;
    }
    if install.ctl(&data, ["status"]).is_err() {
        let log = dir.join("postgres.log");
        install
            .ctl(
                &data,
                [
                    OsStr::new("start"),
                    OsStr::new("-w"),
                    OsStr::new("-l"),
                    log.as_os_str(),
                    OsStr::new("-o"),
                    OsStr::new(&format!("-p {port}")),
                ],
            )
            .with_context(|| format!("see {}", log.display()))?;
    }
    install.await_ready(port)?;
    if !install.database_exists(port, database)? {
        install.create_database(port, database)?;
    }
    Ok(url(port, database))
}

/// Stops the server that [`start_detached`] left under `dir`; nothing to stop is fine.
pub fn stop_detached(dir: &Path) -> anyhow::Result<()> {
    let data = dir.join("data");
    if !data.join("postmaster.pid").exists() {
        return Ok(());
    }
    Install::find()?.ctl(&data, ["stop", "-m", "fast", "-w", "-t", "20"])
}

/// Where the binaries lie, and as whom they run.
#[derive(Debug)]
struct Install {
    bin: PathBuf,
    /// uid and gid to drop to: Postgres refuses to run as root.
    drop_to: Option<(u32, u32)>,
}

impl Install {
    fn find() -> anyhow::Result<Self> {
        let mut homes: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
            .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
            .unwrap_or_default();
        homes.sort();
        let bin = homes
            .into_iter()
            .rev()
            .find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
            .with_context(|| format!("needs {NEEDS}"))?;
        let root = std::fs::metadata("/proc/self")?.uid() == 0;
        let drop_to = if root { Some(account("postgres")?) } else { None };
        Ok(Self { bin, drop_to })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        if let Some((uid, gid)) = self.drop_to {
            command.uid(uid).gid(gid);
        }
        // The caller's own directory may be closed to the account we drop to.
        command.current_dir("/").env_remove("PGOPTIONS").env("LC_ALL", "C");
        command
    }

    /// A program that the kernel signals when this process dies. `setpriv` sets that after the switch of user, which would clear it.
    fn tied(&self, program: &str, signal: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig").arg(signal);
        if let Some((uid, gid)) = self.drop_to {
            command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
        }
        command.arg("--").arg(self.bin.join(program)).current_dir("/").env("LC_ALL", "C");
        command
    }

    fn own(&self, dir: &Path) -> anyhow::Result<()> {
        if let Some((uid, gid)) = self.drop_to {
            chown(dir, Some(uid), Some(gid)).with_context(|| format!("giving {} to postgres", dir.display()))?;
        }
        Ok(())
    }

    fn init(&self, data: &Path) -> anyhow::Result<()> {
        let mut command = self.command("initdb");
        command.args(["--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8", "-U", USER, "-D"]).arg(data);
        checked(command)?;
        let settings = "listen_addresses = '127.0.0.1'\nunix_socket_directories = '.'\nfsync = off\n\
                        full_page_writes = off\nshared_buffers = 32MB\nmax_connections = 200\nlog_min_messages = warning\n";
        let path = data.join("postgresql.auto.conf");
        std::fs::write(&path, settings).with_context(|| format!("writing {}", path.display()))?;
        self.own(&path)
    }

    fn ctl<Arg: AsRef<OsStr>>(&self, data: &Path, args: impl IntoIterator<Item = Arg>) -> anyhow::Result<()> {
        let mut command = self.command("pg_ctl");
        command.arg("-D").arg(data).args(args);
        checked(command)
    }

    fn await_ready(&self, port: u16) -> anyhow::Result<()> {
        let ready = || {
            let mut command = self.command("pg_isready");
            command.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
            command.status().is_ok_and(|status| status.success())
        };
        ensure!(wait_until(START_LIMIT, ready), "Postgres does not answer on port {port}");
        Ok(())
    }

    fn database_exists(&self, port: u16, name: &str) -> anyhow::Result<bool> {
        let query = format!("SELECT 1 FROM pg_database WHERE datname = '{}'", name.replace('\'', "''"));
        let mut command = self.psql(port);
        command.args(["-tAc", &query]);
        let output = command.output().context("running psql")?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(output.stdout.starts_with(b"1"))
    }

    fn create_database(&self, port: u16, name: &str) -> anyhow::Result<()> {
        let mut command = self.psql(port);
        command.args(["-qc", &format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""))]);
        checked(command)
    }

    fn psql(&self, port: u16) -> Command {
        let mut command = self.command("psql");
        command.args(["-X", "-h", "127.0.0.1", "-p", &port.to_string(), "-U", USER, "-d", "postgres"]);
        command
    }
}

/// Runs to the end and turns a failure into what the program said.
///
/// Output goes to a file-less pipe only for short programs; `pg_ctl start` would hold a pipe open through its server, so it gets none.
fn checked(mut command: Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let starts_a_server = command.get_args().any(|arg| arg == "start");
    command.stdin(Stdio::null());
    if starts_a_server {
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        ensure!(status.with_context(|| format!("running {program}"))?.success(), "{program} failed");
        return Ok(());
    }
    let output = command.output().with_context(|| format!("running {program}"))?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// uid and gid of a local account.
fn account(name: &str) -> anyhow::Result<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    passwd
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == name).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some((uid, gid))
        })
        .with_context(|| format!("there is no account `{name}` to run Postgres as; {NEEDS} makes one"))
}

#[cfg(test)]
mod tests {
    use super::{NEEDS, Postgres, start_detached, stop_detached};
    use crate::child::{ScratchDir, free_port};
    use crate::level;
    use std::net::TcpStream;

    #[test]
    fn a_halted_server_comes_back_on_its_port() {
        if !level::require(2, Postgres::available(), NEEDS) {
            return;
        }
        let mut postgres = Postgres::start().unwrap();
        let before = postgres.fresh_database().unwrap();
        postgres.halt();
        assert!(TcpStream::connect(("127.0.0.1", postgres.port())).is_err());
        postgres.resume().unwrap();
        assert_ne!(postgres.fresh_database().unwrap(), before);
    }

    #[test]
    fn a_detached_server_is_found_again_and_stopped_by_its_directory() {
        if !level::require(2, Postgres::available(), NEEDS) {
            return;
        }
        let dir = ScratchDir::new("detached").unwrap();
        let port = free_port().unwrap();
        let first = start_detached(dir.path(), port, "fleet").unwrap();
        assert_eq!(start_detached(dir.path(), port, "fleet").unwrap(), first);
        stop_detached(dir.path()).unwrap();
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        stop_detached(dir.path()).unwrap();
    }
}
