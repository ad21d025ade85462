//! Walking through all the writes of a run, and the blow that is dealt at each.

use std::fmt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::action::{Action, Rule, Then, When};
use super::book::RuleHandle;
use super::matcher::Matcher;
use super::proxy::FaultProxy;
use super::seen::Seen;

/// A place in a run: before or after its `n`-th write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Point {
    /// The write, from 1.
    pub write: u64,
    /// The side of its effect.
    pub when: When,
}

impl Point {
    /// Plans a hook for this point at a proxy.
    pub fn plan(self, proxy: &FaultProxy, hook: impl Fn(&Seen) -> Then + Send + Sync + 'static) -> RuleHandle {
        proxy.plan(Rule::once(Matcher::nth_write(self.write), Action::call(self.when, hook)))
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.when {
            When::Before => "before",
            When::After => "after",
        };
        write!(f, "{side} write {}", self.write)
    }
}

/// Runs the scenario for the points before and after the first write, the second, and so on, until it says that its run did not come
/// to the point: then the run has fewer writes. Returns the number of writes that were walked through.
///
/// The scenario starts from nothing each time, plans its fault by [`Point::plan`], and returns whether the rule fired. The point at
/// which it panics is printed.
///
/// # Panics
/// Where the run has more than `most` writes, or none at all: a walk through nothing proves nothing.
pub fn every_write(most: u64, mut scenario: impl FnMut(Point) -> bool) -> u64 {
    for write in 1..=most + 1 {
        for when in [When::Before, When::After] {
            let point = Point { write, when };
            let guard = Named(point);
            let reached = scenario(point);
            drop(guard);
            if !reached {
                assert!(write > 1, "the run did not come to its first write");
                return write - 1;
            }
        }
    }
    panic!("the run has more than {most} writes: it repeats itself, or the limit is too low");
}

struct Named(Point);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the fault was {}", self.0);
        }
    }
}

/// Kills a process as `kill -9` does and waits until it runs no more (a parent may still have to collect it).
///
/// # Panics
/// Where it still runs after ten seconds.
pub fn kill9(pid: u32) {
    let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    // It may have died of itself.
    let _ = kill_process(process, Signal::KILL);
    let deadline = Instant::now() + Duration::from_secs(10);
    while runs(pid) {
        assert!(Instant::now() < deadline, "process {pid} survived a kill");
        #[expect(clippy::disallowed_methods, reason = "hooks run where they may block")]
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the kernel still runs a process: it exists and is neither a zombie nor dead, or a thread of it still ends. As long as one
/// does, its files are open and its ports taken. See proc(5) on the state after the command's bracket.
#[must_use]
pub fn runs(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let ended = stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with(['Z', 'X']));
    // The first thread stays listed until the process is collected.
    !ended || std::fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|threads| threads.count() > 1)
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::process::Command;

    use super::*;

    #[test]
    fn every_point_is_visited_until_the_run_is_over() {
        let mut visited = Vec::new();
        let writes = every_write(10, |point| {
            visited.push(point.to_string());
            point.write <= 2
        });
        assert_eq!(writes, 2);
        assert_eq!(visited, ["before write 1", "after write 1", "before write 2", "after write 2", "before write 3"]);
    }

    #[test]
    fn a_walk_through_nothing_and_one_without_an_end_fail() {
        assert!(catch_unwind(|| every_write(10, |_| false)).is_err());
        assert!(catch_unwind(|| every_write(10, |_| true)).is_err());
    }

    #[test]
    fn a_killed_process_runs_no_more() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        assert!(runs(child.id()));
        kill9(child.id());
        assert!(!runs(child.id()));
        child.wait().unwrap();
    }
}
