//! How a program says why it ended.

use std::fmt::Display;
use std::process::ExitCode;

/// The exit code of a program; a problem goes to the log in one line, whatever the environment says of backtraces.
pub fn ending<E: Display>(outcome: Result<ExitCode, E>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(problem) => {
            tracing::error!("stopped: {problem:#}");
            ExitCode::FAILURE
        }
    }
}
