//! What can go wrong, one variant a cause.

use std::io;
use std::path::{Path, PathBuf};

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a lab could not be built, started, used or taken down.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read, written or removed.
    #[error("{what} {}: {source}", path.display())]
    File {
        /// What was tried, as in "read".
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A program could not be started or ended with an error.
    #[error("{program}: {message}")]
    Command {
        /// The program and its first arguments.
        program: String,
        /// Its standard error, or why it did not start.
        message: String,
    },
    /// A component did not come up in time, or died.
    #[error("{component} {problem}; the end of {}:\n{tail}", log.display())]
    NotReady {
        /// The component's name, as in `kube-apiserver`.
        component: String,
        /// What was waited for.
        problem: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of that file.
        tail: String,
    },
    /// This machine cannot run what was asked for.
    #[error("not possible on this machine: {0}")]
    Unavailable(String),
    /// The folder holds a lab that still runs.
    #[error("a lab already runs in {}; attach to it or take it down", .0.display())]
    AlreadyUp(PathBuf),
    /// The folder holds no lab.
    #[error("no lab in {}", .0.display())]
    NoLab(PathBuf),
    /// The lab's folder or an option is unusable.
    #[error("{0}")]
    Invalid(String),
    /// Something of the lab could not be removed.
    #[error("left behind: {}", .0.join(", "))]
    LeftBehind(Vec<String>),
    /// A certificate could not be made.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The image registry refused.
    #[error("registry: {0}")]
    Registry(String),
}

/// Adds the path to an I/O error.
pub(crate) trait At<T> {
    fn at(self, what: &'static str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, what: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|source| Error::File { what, path: path.as_ref().to_owned(), source })
    }
}
