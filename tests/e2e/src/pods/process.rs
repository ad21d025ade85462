//! A chute's process: its start, its end, its exit code.

use super::PodRunnerOptions;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

/// Gives up its children with the thread that started them, which no call of the standard library does.
const STARTER: [&str; 4] = ["setpriv", "--pdeathsig", "KILL", "--"];

/// Starts a chute with nothing but the environment given; it ends with the thread that calls this.
pub(super) fn start(options: &PodRunnerOptions, words: &[String], env: &[(String, String)], log: &File) -> io::Result<Child> {
    let mut command = Command::new(STARTER[0]);
    command.args(&STARTER[1..]).arg(&options.fake_chute).args(words);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").envs(env.iter().map(|(k, v)| (k, v)));
    command.env("FAKE_CHUTE_BIND", options.bind_ip.to_string());
    // Many pods share this machine's ports; the kernel chooses free ones.
    command.env("FAKE_CHUTE_PORT_8000", "0").env("FAKE_CHUTE_PORT_8001", "0").envs(&options.env);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
    // An interrupt at the terminal is for the test, which then ends its chutes in order.
    command.process_group(0).kill_on_drop(true);
    command.spawn()
}

/// Asks a process to end, and ends it after `grace`.
pub(super) async fn end(child: &mut Child, grace: Duration) -> io::Result<ExitStatus> {
    // There is a number for as long as the process was not waited for, so it is no stranger's.
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    match tokio::time::timeout(grace, child.wait()).await {
        Ok(ended) => ended,
        Err(_) => kill(child).await,
    }
}

/// Ends a process at once.
pub(super) async fn kill(child: &mut Child) -> io::Result<ExitStatus> {
    let _ = child.start_kill();
    child.wait().await
}

/// The exit code as a container runtime tells it: 128 and the signal for a process that a signal ended.
pub(super) fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_ends_with_the_thread_that_started_it() {
        let starter = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let log = File::options().write(true).open("/dev/null").unwrap();
            let options = PodRunnerOptions::new("/bin/sleep", "/dev/null");
            let child = runtime.block_on(async { start(&options, &["600".to_owned()], &[], &log) }).unwrap();
            let comm = format!("/proc/{}/comm", child.id().unwrap());
            // Before that it is not yet bound to us.
            while std::fs::read_to_string(&comm).unwrap() != "sleep\n" {}
            // As after a SIGKILL: no destructor runs.
            std::mem::forget(child);
            comm
        });
        let comm = starter.join().unwrap();
        crate::wait::until("it to end", Duration::from_secs(10), || {
            let stat = std::fs::read_to_string(comm.replace("comm", "stat")).unwrap_or_default();
            Ok((stat.is_empty() || stat.contains(") Z ")).then_some(()))
        })
        .unwrap();
    }

    #[test]
    fn a_signal_shows_in_the_exit_code() {
        assert_eq!(exit_code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
    }
}
