//! What can go wrong, by what the caller does about it.

use protocol::ids::{DeploymentId, GpuUuid};

use crate::Epoch;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres (or, for publishing, Redis) does not answer, or not in time. The write may have happened; ask again.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// Another leader has taken over: the caller must stop deciding.
    #[error("epoch {mine} is not the leader's any more, {current} is")]
    Superseded {
        /// The epoch the caller acted under.
        mine: Epoch,
        /// The epoch that counts.
        current: Epoch,
    },
    /// A GPU is held by somebody else.
    #[error("GPU {gpu} is held{}", .holder.as_ref().map(|id| format!(" by deployment {id}")).unwrap_or_default())]
    ClaimConflict {
        /// The first such GPU of the request.
        gpu: GpuUuid,
        /// Who holds it, where that is known.
        holder: Option<DeploymentId>,
    },
    /// It is there already, and not the same.
    #[error("already there: {0}")]
    AlreadyExists(String),
    /// There is no such row.
    #[error("not found: {0}")]
    NotFound(String),
    /// The deployment has ended; nothing more happens to it.
    #[error("deployment {0} has ended")]
    AlreadyEnded(DeploymentId),
    /// The request contradicts itself or what is written. A bug of the caller, not of the database.
    #[error("{0}")]
    Invalid(String),
    /// The database holds what this program cannot read, or lacks what it needs.
    #[error("the database does not fit this program: {0}")]
    Corrupt(String),
}

impl Error {
    /// Whether the database was not there, as opposed to having answered.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// A short name of the variant, for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Superseded { .. } => "superseded",
            Self::ClaimConflict { .. } => "claim_conflict",
            Self::AlreadyExists(_) => "already_exists",
            Self::NotFound(_) => "not_found",
            Self::AlreadyEnded(_) => "already_ended",
            Self::Invalid(_) => "invalid",
            Self::Corrupt(_) => "corrupt",
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match error {
            E::Database(database) => from_database(database.as_ref()),
            E::RowNotFound => Self::NotFound("no such row".to_owned()),
            E::ColumnDecode { .. } | E::ColumnNotFound(_) | E::ColumnIndexOutOfBounds { .. } | E::Decode(_) => {
                Self::Corrupt(error.to_string())
            }
            E::TypeNotFound { .. } => Self::Corrupt(error.to_string()),
            E::Configuration(_) | E::Encode(_) | E::InvalidArgument(_) => Self::Invalid(error.to_string()),
            // Sockets, TLS, the pool, a garbled protocol: the connection, not the question.
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// By SQLSTATE, the appendix "PostgreSQL Error Codes" of its manual.
fn from_database(error: &dyn sqlx::error::DatabaseError) -> Error {
    let code = error.code().unwrap_or_default();
    let detail = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().and_then(|error| error.detail());
    let text = || match detail {
        Some(detail) => format!("{} ({detail})", error.message()),
        None => error.message().to_owned(),
    };
    match code.as_ref() {
        "23P01" if error.constraint() == Some("gpu_claims_one_holder") => match conflicting_gpu(detail.unwrap_or_default()) {
            Some(gpu) => Error::ClaimConflict { gpu, holder: None },
            None => Error::AlreadyExists(text()),
        },
        "23505" | "23P01" => Error::AlreadyExists(text()),
        "23503" => Error::NotFound(text()),
        // Other constraints, bad data, and what our own triggers raise.
        "P0001" => Error::Invalid(text()),
        code if code.starts_with("22") || code.starts_with("23") => Error::Invalid(text()),
        "42P01" | "42703" | "42883" => Error::Corrupt(format!("{}; have the migrations run?", text())),
        // Lost connections (08), shutdown and cancelled statements (57), no resources (53), locks and deadlocks (40, 55),
        // a read-only standby (25), a refused login or a database still missing (28, 3D), I/O (58).
        code if ["08", "25", "28", "3D", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class)) => {
            Error::Unavailable(text())
        }
        _ => Error::Corrupt(text()),
    }
}

/// The detail of an exclusion violation reads `Key (gpu, tstzrange(…))=(<gpu>, […)) conflicts with …`.
fn conflicting_gpu(detail: &str) -> Option<GpuUuid> {
    let (_, values) = detail.split_once("=(")?;
    values.split([',', ')']).next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gpu_is_read_from_the_violation() {
        let gpu = "0123456789abcdef0123456789abcdef";
        let detail =
            format!("Key (gpu, tstzrange(granted_at, freed_at))=({gpu}, [\"2026-01-01 00:00:00+00\",)) conflicts with existing key");
        assert_eq!(conflicting_gpu(&detail).unwrap(), gpu);
        assert_eq!(conflicting_gpu("anything else"), None);
    }

    #[test]
    fn a_pool_without_a_connection_is_unavailability() {
        assert!(Error::from(sqlx::Error::PoolTimedOut).is_unavailable());
        assert!(!Error::from(sqlx::Error::RowNotFound).is_unavailable());
    }
}
