//! Why a reconcile did not get to its end. It is tried again, with the object's own backoff.

/// Why a reconcile did not get to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// The ledger.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The validator.
    #[error(transparent)]
    Validator(#[from] validator::ValidatorError),
    /// Something is missing that has to come first; the text says what.
    #[error("{0}")]
    Waiting(String),
}

/// The result of a reconcile's step.
pub type Result<T, E = Error> = std::result::Result<T, E>;
