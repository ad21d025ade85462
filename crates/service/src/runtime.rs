//! The runtime of a program.

use std::{future::Future, num::NonZero, process::ExitCode, thread, time::Duration};

/// Our programs wait far more than they compute. A thread for each core of a GPU server would cost memory, a stack and an arena of
/// the allocator each, and bring nothing.
const MOST_WORKERS: usize = 4;
/// Calls that block: name look-ups, files, a driver that may hang.
const MOST_BLOCKING: usize = 16;
/// How long calls that block may go on at the end.
const LAST_CALLS: Duration = Duration::from_secs(5);

/// Runs the program on a runtime of few threads and returns how it ended.
///
/// # Panics
/// When the system gives no threads.
pub fn run(program: impl Future<Output = ExitCode>) -> ExitCode {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.min(MOST_WORKERS))
        .max_blocking_threads(MOST_BLOCKING)
        .enable_all()
        .build()
        .expect("the system gives threads to a program that starts");
    let ended = runtime.block_on(program);
    runtime.shutdown_timeout(LAST_CALLS);
    ended
}
