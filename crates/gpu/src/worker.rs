//! A thread for calls that may never return.
//!
//! A sick GPU can keep a driver call in the kernel for ever, and such a thread cannot be stopped. So each worker runs
//! one job at a time; while one hangs the worker takes no other, and at most one thread per worker is ever lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Instant;

type Job = Box<dyn FnOnce() + Send>;

/// One thread, one job at a time.
pub(crate) struct Worker {
    jobs: SyncSender<Job>,
    busy: Arc<AtomicBool>,
}

/// The job did not end in time, or an earlier one still hangs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hung;

/// A job under way.
pub(crate) struct Pending<T>(Result<Receiver<T>, Hung>);

impl Worker {
    /// Starts the thread; it ends when the worker is dropped and its job, if any, returned.
    pub(crate) fn start(name: &str) -> std::io::Result<Self> {
        let (jobs, inbox) = sync_channel::<Job>(1);
        let busy = Arc::new(AtomicBool::new(false));
        let working = busy.clone();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in inbox {
                // A panic inside a driver binding must not end the thread with the flag still up.
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::error!("a call into the driver's library panicked");
                    working.store(false, Ordering::Release);
                }
            }
        })?;
        Ok(Self { jobs, busy })
    }

    /// Begins a job unless one is still under way.
    pub(crate) fn begin<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Pending<T> {
        if self.busy.swap(true, Ordering::AcqRel) {
            return Pending(Err(Hung));
        }
        let (answer, answers) = sync_channel(1);
        let working = self.busy.clone();
        let job: Job = Box::new(move || {
            let value = job();
            // Before the answer: whoever has it may begin the next job at once.
            working.store(false, Ordering::Release);
            // Nobody listens any more if the job took too long; its answer is of no use then.
            let _ = answer.try_send(value);
        });
        Pending(self.jobs.try_send(job).map(|()| answers).map_err(|_| Hung))
    }
}

impl<T> Pending<T> {
    /// Waits for the answer.
    pub(crate) fn wait(self, deadline: Instant) -> Result<T, Hung> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.0?.recv_timeout(left) {
            Ok(answer) => Ok(answer),
            // Disconnected: the job panicked, which says as little as no answer.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(Hung),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_hanging_job_blocks_only_its_worker_until_it_returns() {
        let worker = Worker::start("test").unwrap();
        let (release, wait) = sync_channel::<()>(0);
        let hanging = worker.begin(move || {
            let _ = wait.recv();
        });
        assert_eq!(hanging.wait(Instant::now()), Err(Hung));
        assert_eq!(worker.begin(|| 1).wait(soon()), Err(Hung));
        release.send(()).unwrap();
        // The flag falls soon after the job's last line.
        let answer = std::iter::repeat_with(|| worker.begin(|| 2).wait(soon())).find(Result::is_ok);
        assert_eq!(answer, Some(Ok(2)));
    }

    #[test]
    fn whoever_has_an_answer_may_begin_the_next_job() {
        let worker = Worker::start("test").unwrap();
        for number in 0..10_000 {
            assert_eq!(worker.begin(move || number).wait(soon()), Ok(number));
        }
    }

    #[test]
    fn a_panicking_job_does_not_end_the_worker() {
        let worker = Worker::start("test").unwrap();
        assert_eq!(worker.begin(|| -> u8 { panic!("as bindings may") }).wait(soon()), Err(Hung));
        let answer = std::iter::repeat_with(|| worker.begin(|| 3).wait(soon())).find(Result::is_ok);
        assert_eq!(answer, Some(Ok(3)));
    }
}
